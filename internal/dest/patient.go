package dest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Patient is a Store that does not give up at once when the place behind it
// cannot be written to: no space left, a cable, a server that restarts. What
// failed is tried again with growing pauses, for a set time.
//
// Only what can be repeated is: beginning a file, and writing to its end. A sync
// that failed is not, since a system may take for written what it has lost.
type Patient struct {
	Store
	// For is how long it is tried; 0 is not at all.
	For time.Duration
	// Tell is told of each failure, how long the next try is waited for, and when
	// the last one is; then, with a nil error, that it went on.
	Tell func(err error, wait time.Duration, until time.Time)

	// sleep waits; tests do not.
	sleep func(ctx context.Context, d time.Duration) error
}

const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// Create implements Store.
func (s *Patient) Create(ctx context.Context, name string) (Pending, error) {
	var p Pending
	err := s.try(ctx, func() (err error) {
		p, err = s.Store.Create(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &patientPending{p, s, ctx}, nil
}

// Keep implements Keeper.
func (s *Patient) Keep(ctx context.Context, name string) (Kept, error) {
	return s.keep(ctx, func(k Keeper) (Kept, error) { return k.Keep(ctx, name) })
}

// Take implements Keeper.
func (s *Patient) Take(ctx context.Context, key string, size int64) (Kept, error) {
	return s.keep(ctx, func(k Keeper) (Kept, error) { return k.Take(ctx, key, size) })
}

func (s *Patient) keep(ctx context.Context, open func(Keeper) (Kept, error)) (Kept, error) {
	k, ok := s.Store.(Keeper)
	if !ok {
		return nil, ErrNoKeep
	}
	var f Kept
	err := s.try(ctx, func() (err error) {
		f, err = open(k)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &patientKept{f, patientPending{f, s, ctx}}, nil
}

// Left implements Keeper.
func (s *Patient) Left(ctx context.Context) ([]Left, error) {
	if k, ok := s.Store.(Keeper); ok {
		return k.Left(ctx)
	}
	return nil, ErrNoKeep
}

// Drop implements Keeper.
func (s *Patient) Drop(ctx context.Context, key string) error {
	if k, ok := s.Store.(Keeper); ok {
		return k.Drop(ctx, key)
	}
	return ErrNoKeep
}

// try does something until it succeeds, fails for good, or the time is up.
func (s *Patient) try(ctx context.Context, do func() error) error {
	err := do()
	if err == nil || s.For <= 0 || !transient(err) {
		return err
	}
	until := time.Now().Add(s.For)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		s.Tell(err, pause, until)
		sleep := s.sleep
		if sleep == nil {
			sleep = wait
		}
		if werr := sleep(ctx, pause); werr != nil {
			return fmt.Errorf("%w (%w)", err, werr)
		}
		if err = do(); err == nil {
			s.Tell(nil, 0, until)
			return nil
		}
		if !transient(err) || time.Now().Add(pause).After(until) {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type patientPending struct {
	Pending
	s   *Patient
	ctx context.Context // of the run that writes the file
}

// Write implements Pending. What was written before a failure is not written
// again.
func (p *patientPending) Write(b []byte) (int, error) {
	done := 0
	err := p.s.try(p.ctx, func() error {
		n, err := p.Pending.Write(b[done:])
		done += n
		return err
	})
	return done, err
}

// flush has nothing held back that a sync would write, and could not be written.
func (p *patientPending) flush() error {
	f, ok := p.Pending.(Flusher)
	if !ok {
		return nil
	}
	return p.s.try(p.ctx, f.Flush)
}

// Commit implements Pending.
func (p *patientPending) Commit(ctx context.Context) error {
	if err := p.flush(); err != nil {
		return errors.Join(err, p.Abort())
	}
	return p.Pending.Commit(ctx)
}

type patientKept struct {
	Kept
	p patientPending
}

// Write implements Pending.
func (k *patientKept) Write(b []byte) (int, error) { return k.p.Write(b) }

// Sync implements Kept.
func (k *patientKept) Sync() error {
	if err := k.p.flush(); err != nil {
		return err
	}
	return k.Kept.Sync()
}

// Commit implements Pending.
func (k *patientKept) Commit(ctx context.Context) error {
	if err := k.p.flush(); err != nil {
		return errors.Join(err, k.Leave())
	}
	return k.Kept.Commit(ctx)
}
