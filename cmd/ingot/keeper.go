package main

import (
	"context"
	"fmt"

	"ingot/internal/backup"
	"ingot/internal/dest"
	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/retention"
)

// keeper applies rules of retention around a backup.
type keeper struct {
	rules plan.Retention
	run   retention.Run
	log   *job.Log
	opts  retention.Options
}

// before applies the rules as if the backup was there already, and then looks
// anew at what the backup is to be based on.
func (k *keeper) before(ctx context.Context, store dest.Store, target *backup.Target, p *backup.Plan) error {
	run := k.run
	run.Coming = plan.Type(target.Type)
	// The files of the parent may move: they are closed while that happens.
	if err := target.Close(); err != nil {
		return err
	}
	if err := k.decide(ctx, store, run); err != nil {
		return fmt.Errorf("apply the rules of retention before the image: %w", err)
	}
	again, err := p.Target(ctx, store)
	if err != nil {
		return err
	}
	*target = *again
	return nil
}

// apply applies the rules after the backup.
func (k *keeper) apply(ctx context.Context, store dest.Store) error {
	return k.decide(ctx, store, k.run)
}

func (k *keeper) decide(ctx context.Context, store dest.Store, run retention.Run) error {
	sets, broken, err := retention.Read(ctx, store)
	if err != nil {
		return err
	}
	if broken != nil {
		k.log.Warn("the rules of retention do not reach all of the folder: %v", broken)
	}
	d := retention.Decide(k.rules, sets, run)
	if err := retention.Tidy(ctx, store, k.opts, k.log); err != nil {
		return err
	}
	return d.Apply(ctx, store, k.opts, k.log)
}

// guard gives the store the backup is written to: one that makes room on the
// way, where the rules say so.
func (k *keeper) guard(store dest.Store, target *backup.Target) dest.Store {
	g := &retention.Guard{Store: store, Rules: k.rules, Run: k.run, Log: k.log, Options: k.opts}
	g.Run.Coming = plan.Type(target.Type)
	if target.Set != nil {
		g.Own = target.Set.ID
	}
	return g
}
