package main

import (
	"context"
	"errors"
	"fmt"

	"ingot/internal/backup"
	"ingot/internal/block"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/restore"
	"ingot/internal/vdisk"
)

// restoreFrom is an open disk that is to be restored. Close it.
type restoreFrom struct {
	restore.Source
	files   []string // it lies in, or the disk it is
	changed func() error
	close   func() error
}

// openRestoreFrom opens a disk of an image, or another disk or virtual disk.
func (c *console) openRestoreFrom(ctx context.Context, path string, fl *restoreFlags, log *job.Log) (*restoreFrom, error) {
	if !namesImage(path) {
		return diskToRestore(ctx, path, fl, log)
	}
	p, err := c.openPoint(ctx, path)
	if err != nil {
		return nil, err
	}
	from, err := pointToRestore(ctx, p, fl, log)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return from, nil
}

func pointToRestore(ctx context.Context, p *point, fl *restoreFlags, log *job.Log) (*restoreFrom, error) {
	if fl.disk < 1 || fl.disk > len(p.Disks()) {
		return nil, usageError{fmt.Errorf("--disk is %d: the image holds %d disks", fl.disk, len(p.Disks()))}
	}
	tellSealed(p.Chain, log)
	if fl.test {
		if _, err := verifyGood(ctx, p.Chain, log); err != nil {
			return nil, fmt.Errorf("verify %s before the restore: %w", p.Path(), err)
		}
	} else if err := p.CheckIndex(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Path(), err)
	}
	return &restoreFrom{
		Source: restoreSource(p.Disks()[fl.disk-1]), files: []string{p.Path()}, close: p.Close, changed: func() error { return nil },
	}, nil
}

// diskToRestore takes of a disk what an image of it would hold.
func diskToRestore(ctx context.Context, path string, fl *restoreFlags, log *job.Log) (*restoreFrom, error) {
	if fl.test || fl.disk != 1 && !vdisk.IsClonezilla(path) {
		return nil, usageError{fmt.Errorf("--verify and --disk are for images: %s is a disk or virtual disk", path)}
	}
	s, err := openSource(ctx, path, sourceFlags{disk: fl.disk, layout: fl.layout})
	if err != nil {
		return nil, err
	}
	from, err := diskParts(s, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.Close())
	}
	return from, nil
}

func diskParts(s *source, log *job.Log) (*restoreFrom, error) {
	plan, err := backup.Prepare(s.Source, backup.Options{})
	if err != nil {
		return nil, err
	}
	use, err := s.writableUse(plan)
	if err != nil {
		return nil, err
	}
	if use != "" {
		return nil, refuse("%s and would change meanwhile: unmount it or remount it read-only", use)
	}
	for _, n := range append(s.notes(), plan.Notes...) {
		log.Note("%s", n)
	}
	for _, w := range plan.Warnings {
		log.Warn("%s", w)
	}
	from := &restoreFrom{Source: restore.Source{Layout: s.Layout}, close: s.Close, changed: func() error { return s.changed(true) }}
	for _, f := range s.files {
		from.files = append(from.files, f.Info.Path)
	}
	for i := range plan.Parts {
		p := &plan.Parts[i]
		r, err := block.Section(s.Reader, p.Off, p.Len)
		if err != nil {
			return nil, err
		}
		from.Parts = append(from.Parts, restore.Part{Number: p.Number, Name: p.Name(), Off: p.Off, Reader: r, Used: p.Volume.Used()})
	}
	return from, nil
}

// run restores, and fails when what was restored changed meanwhile.
func (from *restoreFrom) run(ctx context.Context, plan *restore.Plan, log *job.Log) error {
	if err := plan.Run(ctx, log); err != nil {
		return err
	}
	if err := from.changed(); err != nil {
		return fmt.Errorf("the source did not hold still: %w", err)
	}
	return nil
}

// restoreSource is a disk of an image as the engine takes it.
func restoreSource(d *image.ChainDisk) restore.Source {
	src := restore.Source{Layout: d.Layout}
	for _, v := range d.Partitions {
		name := fmt.Sprintf("partition %d (%s", v.Doc.Header.Number, v.Doc.FileSystem.Type)
		if l := v.Doc.FileSystem.VolumeLabel; l != "" {
			name += fmt.Sprintf(" %q", l)
		}
		src.Parts = append(src.Parts, restore.Part{
			Number: int(v.Doc.Header.Number), Name: name + ")", Off: v.Doc.Geometry.Start,
			Reader: v, Used: v.Stored(), Step: v.BlockSize(),
		})
	}
	return src
}
