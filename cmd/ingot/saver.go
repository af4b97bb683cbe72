package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ingot/internal/backup"
	"ingot/internal/dest/folder"
	"ingot/internal/disk"
	"ingot/internal/image"
)

// saver stores what was written to a served disk as a new point of its set.
type saver struct {
	c     *console
	s     *served
	store *folder.Store
	set   *image.Set
	opts  backup.Options
}

// newSaver looks at whether that can be done, before anything is written.
func (c *console) newSaver(ctx context.Context, s *served, w *writeFlags) (*saver, error) {
	if n := len(s.disks); n != 1 {
		return nil, refuse("--save: %s holds %d disks, which is more than one image of this program can", s.point.Name, n)
	}
	store, err := folder.New(s.point.Folder)
	if err != nil {
		return nil, err
	}
	access := c.access(ctx, false)
	sets, err := image.ReadSets(ctx, store, access)
	if err != nil {
		return nil, err
	}
	set, m := sets.Find(s.point.Name)
	if set == nil {
		return nil, refuse("--save: %s is in no set of %s", s.point.Name, s.point.Folder)
	}
	if newest := set.Newest(); newest != m {
		return nil, refuse("--save: %s is not the newest point in time of its set, which is %s: what is written could not follow it", m.Name, newest.Name)
	}
	v := &saver{c: c, s: s, store: store, set: set}
	v.opts = backup.Options{Type: image.TypeInc, Compression: m.Doc.Compression.Level, Access: access, TempDir: w.tempDir, Comment: "written while it was mounted"}
	if v.opts.BlockSize, err = blockSize(s.disks[0].image); err == nil {
		v.opts.Split, err = splitSize("auto", store)
	}
	if err != nil {
		return nil, err
	}
	// What would be refused at the end is refused now.
	t, err := v.target(ctx)
	if err != nil {
		return nil, err
	}
	return v, t.Close()
}

// blockSize is the option that gives all partitions the blocks they have in the
// set.
func blockSize(d *image.ChainDisk) (int64, error) {
	usual, sizes := true, make(map[int64]bool)
	for _, v := range d.Partitions {
		usual = usual && v.BlockSize() == backup.DefaultBlockSize(v.Size())
		sizes[v.BlockSize()] = true
	}
	switch {
	case usual:
		return 0, nil
	case len(sizes) > 1:
		return 0, refuse("--save: the partitions of the set have blocks of several sizes, which this program cannot go on with")
	}
	return d.Partitions[0].BlockSize(), nil
}

// plan is the image of the disk as it is now.
func (v *saver) plan() (*backup.Plan, error) {
	d := v.s.disks[0]
	was := d.image.Doc
	l, err := disk.Parse(d.over, was.Geometry.BytesPerSector)
	if err != nil {
		return nil, err
	}
	opts := v.opts
	for _, p := range d.image.Partitions {
		i := slices.IndexFunc(l.Partitions, func(now disk.Partition) bool {
			return now.Off == p.Doc.Geometry.Start && now.Len == p.Size()
		})
		if i < 0 {
			return nil, refuse("the partition table was changed: partition %d is no longer where the set has it", p.Doc.Header.Number)
		}
		opts.Partitions = append(opts.Partitions, l.Partitions[i].Number)
	}
	g := &was.Descriptor
	return backup.Prepare(backup.Source{
		Info: disk.Info{
			Path: v.s.point.Path(), Number: int(was.Header.Number), Vendor: g.Manufacturer, Model: g.ProductID, Revision: g.Revision, Serial: g.Serial,
			Removable: was.Geometry.MediaType == "removable_media", Size: d.over.Size(), LogicalSector: was.Geometry.BytesPerSector,
		},
		Reader: d.over, Layout: l,
	}, opts)
}

// target is the set, continued; it is refused when it cannot be.
func (v *saver) target(ctx context.Context) (*backup.Target, error) {
	p, err := v.plan()
	if err != nil {
		return nil, err
	}
	t, err := p.Target(ctx, v.store)
	if err != nil {
		return nil, err
	}
	if t.Set == nil || t.Set.ID != v.set.ID || t.Based() != v.s.point.Name {
		return nil, errors.Join(refuse("--save: set %s cannot be continued: %v", v.set.ID, t.Reasons), t.Close())
	}
	return t, nil
}

// run stores what was written.
func (v *saver) run(ctx context.Context) (*imageReport, error) {
	began := time.Now()
	p, err := v.plan()
	if err != nil {
		return nil, err
	}
	t, err := v.target(ctx)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	log := v.c.log()
	tellPlan(ctx, log, p, t, v.store, v.opts)
	host, _ := os.Hostname()
	abs, _ := filepath.Abs(v.s.point.Folder)
	res, err := p.Run(ctx, v.store, t, backup.Naming{Time: began, Host: host, Disk: v.s.point.Name, Destination: abs, Version: version}, log)
	if err != nil {
		return nil, err
	}
	return &imageReport{Result: *res, Folder: abs, Seconds: time.Since(began).Seconds(), Status: "saved", Warnings: log.Warnings(), Notes: append([]string{}, p.Notes...)}, nil
}

// finish says what becomes of what was written, and stores it where that was
// asked for. It runs after the context of the command has ended.
func (c *console) finish(ctx context.Context, s *served) error {
	switch {
	case !s.changed():
		if s.saver != nil {
			c.note("nothing was written: there is nothing to save")
		}
		return nil
	case s.saver == nil:
		c.note("what was written is dropped")
		return nil
	}
	r, err := s.saver.run(ctx)
	if err != nil {
		return fmt.Errorf("save what was written to %s: %w", s.point.Path(), err)
	}
	return c.printImage(r)
}
