package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ingot/internal/backup"
	"ingot/internal/dest"
	"ingot/internal/dest/folder"
	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/retention"
	"ingot/internal/runner"
)

// imageJob is one image that is to be taken.
type imageJob struct {
	source string
	sector int64  // of a file; 0 finds out
	layout string // of a Windows system image
	to     string
	name   string // template, see backup.Naming
	split  string // as --split has it
	opts   backup.Options
	rules  plan.Retention

	purgeBefore bool // apply the rules before the image too
	verify      bool
	retryFor    time.Duration
	rate        int64 // of writing, in bytes a second; 0 is no limit
	mounted     bool  // take partitions that are mounted writable
	lock        bool  // the set; else the caller holds it, nothing is written, or media are exchanged
}

// imaging is a job that can begin: everything was looked at, nothing is written.
// Close it.
type imaging struct {
	*imageJob
	src    *source
	store  *folder.Store
	plan   *backup.Plan
	target *backup.Target
	locks  locks
}

// beginImaging looks at source and destination, and refuses what cannot give a
// good image.
func beginImaging(ctx context.Context, j *imageJob) (*imaging, error) {
	src, err := openSource(ctx, j.source, sourceFlags{sector: j.sector, layout: j.layout, tempDir: j.opts.TempDir})
	if err != nil {
		return nil, err
	}
	im := &imaging{imageJob: j, src: src}
	if err := im.prepare(ctx); err != nil {
		return nil, errors.Join(err, im.locks.release(), src.Close())
	}
	return im, nil
}

func (im *imaging) prepare(ctx context.Context) (err error) {
	if im.store, err = folder.New(im.to); err == nil {
		im.opts.Split, err = splitSize(im.split, im.store)
	}
	if err != nil {
		return err
	}
	if im.plan, err = backup.Prepare(im.src.Source, im.opts); err != nil {
		return fmt.Errorf("%s: %w", im.source, err)
	}
	im.plan.Notes = append(im.src.notes(), im.plan.Notes...)
	if err := im.allowed(im.src, im.plan); err != nil {
		return err
	}
	if im.lock {
		if im.locks, err = lockDisks(ctx, im.store, "ingot image", diskKey(im.src)); err != nil {
			return err
		}
	}
	im.plan.Source.Live = im.mounted
	im.plan.Source.Changed = func() error { return im.unchanged(im.src, im.plan) }
	if im.target, err = im.plan.Target(ctx, im.store); err != nil {
		return fmt.Errorf("look for backup sets in %s: %w", im.to, err)
	}
	return nil
}

// Close closes the source and the set. It takes a job that has run, too.
func (im *imaging) Close() error {
	return errors.Join(im.target.Close(), im.locks.release(), im.src.Close())
}

// diskKey names a disk in locks.
func diskKey(src *source) string {
	return (&runner.Found{Disk: runner.Disk{Info: src.Info, Layout: src.Layout}}).Key()
}

// run takes the image, verifies it where that was asked for, and applies the
// rules of retention.
func (im *imaging) run(ctx context.Context, log *job.Log) (*imageReport, error) {
	tellPlan(ctx, log, im.plan, im.target, im.store, im.opts)
	host, _ := os.Hostname()
	abs, _ := filepath.Abs(im.to)
	began := time.Now()
	keep := keeper{rules: im.rules, run: retention.Run{Now: began, Disk: im.plan.Shape()}, log: log, opts: retention.Options{TempDir: im.opts.TempDir, Access: im.opts.Access}}
	if im.purgeBefore {
		if err := keep.before(ctx, im.store, im.target, im.plan); err != nil {
			return nil, err
		}
	}
	res, err := im.plan.Run(ctx, im.patient(keep.guard(&dest.Limited{Store: im.store, Rate: im.rate}, im.target), log), im.target, backup.Naming{
		Template: im.name, Time: began, Host: host, Disk: filepath.Base(im.source), Destination: abs, Version: version,
	}, log)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", im.source, err)
	}
	r := &imageReport{Result: *res, Folder: abs, Seconds: time.Since(began).Seconds(), Status: "done"}
	if im.verify {
		v, err := verifyFile(ctx, im.store, res.Name, im.opts.Access, log)
		if err != nil {
			return nil, fmt.Errorf("the image %s was written, but: %w", res.Name, err)
		}
		r.Verified = v.Blocks
	}
	// After a purge before it too: the last good set has waited for this image.
	if err := keep.apply(ctx, im.store); err != nil {
		return nil, fmt.Errorf("the image %s was written, but applying the rules of retention: %w", res.Name, err)
	}
	if r.BadBytes > 0 {
		r.Status = "unreadable"
	}
	r.Warnings, r.Notes = log.Warnings(), append([]string{}, im.plan.Notes...)
	return r, nil
}

// patient has writes that fail tried again, and says so.
func (im *imaging) patient(store dest.Store, log *job.Log) dest.Store {
	told := false
	return &dest.Patient{Store: store, For: im.retryFor, Tell: func(err error, wait time.Duration, until time.Time) {
		switch {
		case err == nil:
			log.Note("the destination can be written to again: going on")
		case !told:
			log.Warn("the destination cannot be written to: %v. It is tried again until %s", err, until.Format(time.TimeOnly))
		default:
			log.Note("the destination cannot be written to: %v. Next try in %s", err, wait)
		}
		told = err != nil
	}}
}

// unreadable is an error when some of the source is zeros in the image.
func (r *imageReport) unreadable() error {
	if r.BadBytes == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d bytes in %d ranges", errUnreadable, r.BadBytes, len(r.Bad))
}

// allowed refuses what cannot give a good image.
func (j *imageJob) allowed(src *source, plan *backup.Plan) error {
	holds, err := src.holds(j.to)
	if err != nil {
		return fmt.Errorf("find out which disk %s lies on: %w", j.to, err)
	}
	if holds {
		return refuse("%s lies on the disk that is to be imaged: choose a destination on another disk", j.to)
	}
	use, err := src.writableUse(plan)
	if err != nil || use == "" {
		return err
	}
	if j.mounted {
		plan.Warnings = append(plan.Warnings, use+": its files may be inconsistent in the image")
		return nil
	}
	return refuse("%s and would change while it is imaged: unmount it or remount it read-only, or say --allow-mounted", use)
}

// unchanged looks at the source once more before its image is finished.
func (j *imageJob) unchanged(src *source, plan *backup.Plan) error {
	if err := src.changed(!j.mounted); err != nil || j.mounted {
		return err
	}
	use, err := src.writableUse(plan)
	if err == nil && use != "" {
		err = fmt.Errorf("%s", use)
	}
	return err
}
