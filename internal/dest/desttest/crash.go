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

// Keep implements dest.Keeper.
func (c *Crash) Keep(ctx context.Context, name string) (dest.Kept, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	return c.kept(c.Store.(dest.Keeper).Keep(ctx, name))
}

// Left implements dest.Keeper.
func (c *Crash) Left(ctx context.Context) ([]dest.Left, error) {
	if c.Down() {
		return nil, ErrCrash
	}
	return c.Store.(dest.Keeper).Left(ctx)
}

// Take implements dest.Keeper.
func (c *Crash) Take(ctx context.Context, key string, size int64) (dest.Kept, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	return c.kept(c.Store.(dest.Keeper).Take(ctx, key, size))
}

// Drop implements dest.Keeper.
func (c *Crash) Drop(ctx context.Context, key string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Store.(dest.Keeper).Drop(ctx, key)
}

func (c *Crash) kept(k dest.Kept, err error) (dest.Kept, error) {
	if err != nil {
		return nil, err
	}
	return &crashKept{k, crashPending{k, c}}, nil
}

// crashKept is a file that outlives the crash.
type crashKept struct {
	dest.Kept
	p crashPending
}

func (k *crashKept) Write(b []byte) (int, error) { return k.p.Write(b) }

func (k *crashKept) Sync() error {
	if err := k.p.c.step(); err != nil {
		return err
	}
	return k.Kept.Sync()
}

func (k *crashKept) Commit(ctx context.Context) error {
	if err := k.p.c.step(); err != nil {
		return errors.Join(err, k.Leave())
	}
	return k.Kept.Commit(ctx)
}

// Abort deletes nothing once the machine is down.
func (k *crashKept) Abort() error {
	if k.p.c.Down() {
		return k.Leave()
	}
	return k.Kept.Abort()
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
