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
	"ingot/internal/disk"
	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/retention"
)

// imageJob is one image that is to be taken.
type imageJob struct {
	source string
	sector int64 // of a file; 0 finds out
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
}

// imaging is a job that can begin: everything was looked at, nothing is written.
// Close it.
type imaging struct {
	*imageJob
	file   *disk.File
	store  *folder.Store
	plan   *backup.Plan
	target *backup.Target
}

// beginImaging looks at source and destination, and refuses what cannot give a
// good image.
func beginImaging(ctx context.Context, j *imageJob) (*imaging, error) {
	opened := modified(j.source)
	f, src, err := openSource(j.source, j.sector)
	if err != nil {
		return nil, err
	}
	im := &imaging{imageJob: j, file: f}
	if err := im.prepare(ctx, src, opened); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return im, nil
}

func (im *imaging) prepare(ctx context.Context, src backup.Source, opened time.Time) (err error) {
	if im.store, err = folder.New(im.to); err == nil {
		im.opts.Split, err = splitSize(im.split, im.store)
	}
	if err != nil {
		return err
	}
	if im.plan, err = backup.Prepare(src, im.opts); err != nil {
		return fmt.Errorf("%s: %w", im.source, err)
	}
	if err := im.allowed(im.file, im.plan); err != nil {
		return err
	}
	im.plan.Source.Live = im.mounted
	im.plan.Source.Changed = func() error { return im.unchanged(im.file, im.plan, opened) }
	if im.target, err = im.plan.Target(ctx, im.store); err != nil {
		return fmt.Errorf("look for backup sets in %s: %w", im.to, err)
	}
	return nil
}

// Close closes the source and the set. It takes a job that has run, too.
func (im *imaging) Close() error { return errors.Join(im.target.Close(), im.file.Close()) }

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
func (j *imageJob) allowed(f *disk.File, plan *backup.Plan) error {
	holds, err := disk.HoldsPath(f, j.to)
	if err != nil {
		return fmt.Errorf("find out which disk %s lies on: %w", j.to, err)
	}
	if holds {
		return refuse("%s lies on the disk that is to be imaged: choose a destination on another disk", j.to)
	}
	use, err := writableUse(f, plan)
	if err != nil || use == "" {
		return err
	}
	if j.mounted {
		plan.Warnings = append(plan.Warnings, use+": its files may be inconsistent in the image")
		return nil
	}
	return refuse("%s and would change while it is imaged: unmount it or remount it read-only, or say --allow-mounted", use)
}

// writableUse says which partition of the plan is in use by something that may
// write to it; "" when none is.
func writableUse(f *disk.File, plan *backup.Plan) (string, error) {
	uses, err := f.Users()
	if err != nil {
		return "", fmt.Errorf("find out what uses %s: %w", f.Info.Path, err)
	}
	for _, u := range uses {
		for i := range plan.Parts {
			part := &plan.Parts[i]
			if u.Writable && u.Off >= part.Off && u.Off < part.Off+part.Len {
				return fmt.Sprintf("%s is in use (%s)", part.Name(), u), nil
			}
		}
	}
	return "", nil
}

// modified is when the file at path was last written to, as far as it tells:
// the zero time for devices.
func modified(path string) time.Time {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return time.Time{}
	}
	return st.ModTime()
}

// unchanged looks at the source once more before its image is finished.
func (j *imageJob) unchanged(f *disk.File, plan *backup.Plan, opened time.Time) error {
	now, err := disk.Stat(f.Info.Path)
	if err != nil {
		return err
	}
	if now.Size != f.Size() {
		return fmt.Errorf("the size of %s changed from %d to %d bytes", f.Info.Path, f.Size(), now.Size)
	}
	if j.mounted {
		return nil
	}
	if at := modified(f.Info.Path); !at.Equal(opened) {
		return fmt.Errorf("%s was written to at %s", f.Info.Path, at.Format(time.TimeOnly))
	}
	use, err := writableUse(f, plan)
	if err == nil && use != "" {
		err = fmt.Errorf("%s", use)
	}
	return err
}
