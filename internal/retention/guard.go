package retention

import (
	"context"

	"ingot/internal/dest"
	"ingot/internal/job"
	"ingot/internal/plan"
)

// Guard is a store that makes room while a backup is written to it: when less
// than rules.MinFree would be left, writing waits until the oldest sets have
// gone, as DecideSpace says.
type Guard struct {
	dest.Store
	Rules plan.Retention
	Run   Run
	// Own is the ID of the set the backup goes into; it never goes.
	Own     string
	Log     *job.Log
	Options Options

	told bool // that there is nothing left to delete
}

// guardStep is how many bytes are written between two looks at the free space.
const guardStep = 64 << 20

// Create implements dest.Store.
func (g *Guard) Create(ctx context.Context, name string) (dest.Pending, error) {
	p, err := g.Store.Create(ctx, name)
	if err != nil || g.Rules.MinFree <= 0 {
		return p, err
	}
	return &guarded{p, g, ctx, guardStep}, nil
}

// Keep implements dest.Keeper.
func (g *Guard) Keep(ctx context.Context, name string) (dest.Kept, error) {
	return g.guard(ctx, func(k dest.Keeper) (dest.Kept, error) { return k.Keep(ctx, name) })
}

// Take implements dest.Keeper.
func (g *Guard) Take(ctx context.Context, key string, size int64) (dest.Kept, error) {
	return g.guard(ctx, func(k dest.Keeper) (dest.Kept, error) { return k.Take(ctx, key, size) })
}

func (g *Guard) guard(ctx context.Context, open func(dest.Keeper) (dest.Kept, error)) (dest.Kept, error) {
	k, ok := g.Store.(dest.Keeper)
	if !ok {
		return nil, dest.ErrNoKeep
	}
	f, err := open(k)
	if err != nil || g.Rules.MinFree <= 0 {
		return f, err
	}
	return &guardedKept{f, guarded{f, g, ctx, guardStep}}, nil
}

// Left implements dest.Keeper.
func (g *Guard) Left(ctx context.Context) ([]dest.Left, error) {
	if k, ok := g.Store.(dest.Keeper); ok {
		return k.Left(ctx)
	}
	return nil, dest.ErrNoKeep
}

// Drop implements dest.Keeper.
func (g *Guard) Drop(ctx context.Context, key string) error {
	if k, ok := g.Store.(dest.Keeper); ok {
		return k.Drop(ctx, key)
	}
	return dest.ErrNoKeep
}

// guardedKept is a file that can be left.
type guardedKept struct {
	dest.Kept
	guarded guarded
}

// Write implements dest.Pending.
func (p *guardedKept) Write(b []byte) (int, error) { return p.guarded.Write(b) }

type guarded struct {
	dest.Pending
	g     *Guard
	ctx   context.Context // of the whole run that writes the file
	since int64           // bytes since the last look
}

// Write implements dest.Pending.
func (p *guarded) Write(b []byte) (int, error) {
	if p.since += int64(len(b)); p.since >= guardStep {
		p.since = 0
		if err := p.g.MakeRoom(p.ctx); err != nil {
			return 0, err
		}
	}
	return p.Pending.Write(b)
}

// Flush implements dest.Flusher.
func (p *guarded) Flush() error {
	if f, ok := p.Pending.(dest.Flusher); ok {
		return f.Flush()
	}
	return nil
}

// Flush implements dest.Flusher.
func (p *guardedKept) Flush() error { return p.guarded.Flush() }

// MakeRoom deletes sets until there is enough, or nothing left to delete.
func (g *Guard) MakeRoom(ctx context.Context) error {
	for {
		free, err := g.Store.Free(ctx)
		if err != nil || free < 0 {
			return err
		}
		if free >= g.Rules.MinFree+guardStep {
			return nil
		}
		sets, _, err := Read(ctx, g.Store)
		if err != nil {
			return err
		}
		d := DecideSpace(g.Rules, sets, g.Run, Space{Free: free, Need: guardStep, Own: g.Own})
		if len(d.Ops) == 0 {
			if !g.told {
				g.told = true
				g.Log.Warn("%s are free at the destination, less than the %s that are to stay free, and no set is left that may go", bytes(free), bytes(g.Rules.MinFree))
			}
			return nil
		}
		g.Log.Note("%s are free at the destination: the backup waits while room is made", bytes(free))
		d.Ops = d.Ops[:1] // then free space is measured anew
		warned := len(g.Log.Warnings())
		if err := d.Apply(ctx, g.Store, g.Options, g.Log); err != nil {
			return err
		}
		if len(g.Log.Warnings()) > warned {
			return nil // it could not be done: better a full disk than a loop
		}
	}
}
