package desttest

import (
	"context"
	"errors"
	"sync"

	"ingot/internal/dest"
)

// ErrCrash is what every call ends with once a Crash has happened.
var ErrCrash = errors.New("the machine went down")

// Crash is a Store that goes down after a number of steps: what was finished by
// then stays, nothing else does, and every later call fails. Steps are the calls
// that change something.
type Crash struct {
	dest.Store

	mu    sync.Mutex
	after int
}

// NewCrash makes a Crash of a store that survives after steps.
func NewCrash(s dest.Store, after int) *Crash { return &Crash{Store: s, after: after} }

// Down says whether it has happened.
func (c *Crash) Down() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.after < 0
}

// step counts one step, and says whether it still happens.
func (c *Crash) step() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after--; c.after < 0 {
		return ErrCrash
	}
	return nil
}

// Create implements dest.Store.
func (c *Crash) Create(ctx context.Context, name string) (dest.Pending, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	p, err := c.Store.Create(ctx, name)
	return &crashPending{p, c}, err
}

// Open implements dest.Store.
func (c *Crash) Open(ctx context.Context, name string) (dest.Blob, error) {
	if c.Down() {
		return nil, ErrCrash
	}
	return c.Store.Open(ctx, name)
}

// Remove implements dest.Store.
func (c *Crash) Remove(ctx context.Context, name string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Store.Remove(ctx, name)
}

// Rename implements dest.Store.
func (c *Crash) Rename(ctx context.Context, from, to string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Store.Rename(ctx, from, to)
}

type crashPending struct {
	dest.Pending
	c *Crash
}

func (p *crashPending) Write(b []byte) (int, error) {
	if err := p.c.step(); err != nil {
		return 0, err
	}
	return p.Pending.Write(b)
}

func (p *crashPending) Commit(ctx context.Context) error {
	if err := p.c.step(); err != nil {
		return errors.Join(err, p.Pending.Abort())
	}
	return p.Pending.Commit(ctx)
}
