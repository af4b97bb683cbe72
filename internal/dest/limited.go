package dest

import (
	"context"
	"sync"
	"time"
)

// Limited is a Store that is written to no faster than at a rate, so that the
// line to it, or its disk, has room for others.
type Limited struct {
	Store
	Rate int64 // bytes a second; 0 is no limit

	mu   sync.Mutex
	free time.Time // when the line has passed on what was written so far

	now   func() time.Time // tests have a clock of their own
	sleep func(ctx context.Context, d time.Duration) error
}

// burst is how much time that was not used can be made up for.
const burst = time.Second

// pass waits until n more bytes may have been written.
func (l *Limited) pass(ctx context.Context, n int) error {
	if l.Rate <= 0 || n <= 0 {
		return nil
	}
	now, sleep := l.now, l.sleep
	if now == nil {
		now, sleep = time.Now, wait
	}
	l.mu.Lock()
	t := now()
	if l.free.Before(t.Add(-burst)) {
		l.free = t.Add(-burst)
	}
	l.free = l.free.Add(time.Duration(float64(n) / float64(l.Rate) * float64(time.Second)))
	d := l.free.Sub(t)
	l.mu.Unlock()
	if d <= 0 {
		return nil
	}
	return sleep(ctx, d)
}

// Create implements Store.
func (l *Limited) Create(ctx context.Context, name string) (Pending, error) {
	p, err := l.Store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &limitedPending{p, l, ctx}, nil
}

// Keep implements Keeper.
func (l *Limited) Keep(ctx context.Context, name string) (Kept, error) {
	return l.keep(ctx, func(k Keeper) (Kept, error) { return k.Keep(ctx, name) })
}

// Take implements Keeper.
func (l *Limited) Take(ctx context.Context, key string, size int64) (Kept, error) {
	return l.keep(ctx, func(k Keeper) (Kept, error) { return k.Take(ctx, key, size) })
}

func (l *Limited) keep(ctx context.Context, open func(Keeper) (Kept, error)) (Kept, error) {
	k, ok := l.Store.(Keeper)
	if !ok {
		return nil, ErrNoKeep
	}
	f, err := open(k)
	if err != nil {
		return nil, err
	}
	return &limitedKept{f, limitedPending{f, l, ctx}}, nil
}

// Left implements Keeper.
func (l *Limited) Left(ctx context.Context) ([]Left, error) {
	if k, ok := l.Store.(Keeper); ok {
		return k.Left(ctx)
	}
	return nil, ErrNoKeep
}

// Drop implements Keeper.
func (l *Limited) Drop(ctx context.Context, key string) error {
	if k, ok := l.Store.(Keeper); ok {
		return k.Drop(ctx, key)
	}
	return ErrNoKeep
}

type limitedPending struct {
	Pending
	l   *Limited
	ctx context.Context // of the run that writes the file
}

// Write implements Pending.
func (p *limitedPending) Write(b []byte) (int, error) {
	if err := p.l.pass(p.ctx, len(b)); err != nil {
		return 0, err
	}
	return p.Pending.Write(b)
}

// Flush implements Flusher.
func (p *limitedPending) Flush() error {
	if f, ok := p.Pending.(Flusher); ok {
		return f.Flush()
	}
	return nil
}

type limitedKept struct {
	Kept
	p limitedPending
}

// Write implements Pending.
func (k *limitedKept) Write(b []byte) (int, error) { return k.p.Write(b) }

// Flush implements Flusher.
func (k *limitedKept) Flush() error { return k.p.Flush() }
