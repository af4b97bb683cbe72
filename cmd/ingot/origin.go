package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/internal/backup"
	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/vdisk"
)

// origin is what a conversion begins with: a disk of a point in time, a disk, or
// a virtual disk. Close it.
type origin struct {
	name   string
	reader block.Reader
	used   block.Map
	sector int64
	source backup.Source // for an image; its Layout is nil when nobody looked

	notes, warnings []string
	holds           func(path string) (bool, error)
	changed         func() error
	close           func() error
}

// imageEndings are those of image files, the last one that of older versions of
// their first maker, which are known to be refused better by name.
var imageEndings = []string{backup.Extension, ".mrbakx", ".mrimg"}

// namesImage says whether a reference means an image and no disk.
func namesImage(ref string) bool {
	path, when := cutTime(ref)
	st, err := os.Stat(path)
	if when != "" {
		return true
	}
	if err == nil && st.IsDir() {
		return !isWindowsImage(path) && !vdisk.IsClonezilla(path)
	}
	for _, e := range imageEndings {
		if strings.EqualFold(filepath.Ext(path), e) {
			return true
		}
	}
	return false
}

// openOrigin opens what FROM names. table says that the partition table is needed
// even if all sectors are converted.
func (c *console) openOrigin(ctx context.Context, from string, fl *convertFlags, table bool) (*origin, error) {
	if namesImage(from) {
		return c.openOriginPoint(ctx, from, fl)
	}
	open := openSource
	if fl.allSectors && !table {
		open = openDisk // whatever is on it
	}
	fl.source.disk = fl.disk
	s, err := open(ctx, from, fl.source)
	if err != nil {
		return nil, err
	}
	o, err := diskOrigin(from, s, fl)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", from, err), s.Close())
	}
	return o, nil
}

// openOriginPoint opens a disk of a point in time.
func (c *console) openOriginPoint(ctx context.Context, from string, fl *convertFlags) (*origin, error) {
	p, err := c.openPoint(ctx, from)
	if err != nil {
		return nil, err
	}
	o, err := pointOrigin(ctx, p, fl)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", from, err), p.Close())
	}
	o.name = from
	return o, nil
}

func pointOrigin(ctx context.Context, p *point, fl *convertFlags) (*origin, error) {
	if fl.disk < 1 || fl.disk > len(p.Disks()) {
		return nil, usageError{fmt.Errorf("--disk is %d: the image holds %d disks", fl.disk, len(p.Disks()))}
	}
	if err := p.CheckIndex(ctx); err != nil {
		return nil, err
	}
	d := p.Disks()[fl.disk-1]
	whole, err := d.Whole()
	if err != nil {
		return nil, err
	}
	o := &origin{reader: whole, used: whole.Used(), sector: d.Layout.SectorSize, close: p.Close, changed: func() error { return nil }}
	o.source = backup.Source{Reader: whole, Layout: d.Layout, Info: disk.Info{
		Path: p.Path(), Vendor: d.Doc.Descriptor.Manufacturer, Model: d.Doc.Descriptor.ProductID, Serial: d.Doc.Descriptor.Serial,
		Size: whole.Size(), LogicalSector: d.Layout.SectorSize, PhysicalSector: d.Layout.SectorSize, Bus: imageFormat,
	}}
	for _, dp := range d.Layout.Partitions {
		if !dp.MSR && !slices.ContainsFunc(d.Partitions, func(v *image.Volume) bool { return v.Doc.Geometry.Start == dp.Off }) {
			o.warnings = append(o.warnings, fmt.Sprintf("partition %d (%s, at byte %d) is in the table but not in the image: it is empty", dp.Number, dp.TypeName, dp.Off))
		}
	}
	o.holds = func(path string) (bool, error) {
		st, err := os.Stat(path)
		if err != nil {
			return false, nil // it does not exist
		}
		for _, name := range p.Files() {
			if own, err := os.Stat(filepath.Join(p.Folder, name)); err == nil && os.SameFile(st, own) {
				return true, nil
			}
		}
		return false, nil
	}
	return o, nil
}

// diskOrigin converts a disk, disk-image file or virtual disk.
func diskOrigin(from string, s *source, fl *convertFlags) (*origin, error) {
	o := &origin{
		name: from, reader: s.Reader, used: s.filled(), sector: max(fl.source.sector, s.Info.LogicalSector, 512),
		source: s.Source, notes: s.notes(), holds: s.holds, close: s.Close,
	}
	o.changed = func() error { return s.changed(!fl.mounted) }
	return o, o.look(s, fl)
}

// look finds out what of a disk matters, and refuses one that does not hold still.
func (o *origin) look(s *source, fl *convertFlags) error {
	if s.Layout != nil {
		o.sector = s.Layout.SectorSize
	}
	if fl.allSectors || len(s.Layout.Partitions) == 0 {
		return o.still(s, new(backup.Plan), fl)
	}
	plan, err := backup.Prepare(s.Source, backup.Options{})
	if err != nil {
		return err
	}
	o.notes, o.warnings = append(o.notes, plan.Notes...), plan.Warnings
	o.used = block.Intersect(usedOf(plan), s.filled(), s.Reader.Size())
	return o.still(s, plan, fl)
}

// still refuses a disk of which a partition is mounted writable. A plan without
// parts is for the whole of it.
func (o *origin) still(s *source, plan *backup.Plan, fl *convertFlags) error {
	if len(plan.Parts) == 0 {
		plan = &backup.Plan{Parts: []backup.Part{{Partition: disk.Partition{Number: 1, Len: s.Reader.Size()}}}}
	}
	use, err := s.writableUse(plan)
	if err != nil || use == "" {
		return err
	}
	if fl.mounted {
		o.warnings = append(o.warnings, use+": its files may be inconsistent")
		return nil
	}
	return refuse("%s and would change meanwhile: unmount it or remount it read-only, or say --allow-mounted", use)
}

// usedOf is the map of what matters on a disk: of each partition what its file
// system uses, and all that lies between them, of which nobody says that it is
// free.
func usedOf(plan *backup.Plan) block.Map {
	var within []block.Extent
	var maps []block.Map
	for i := range plan.Parts {
		p := &plan.Parts[i]
		within = append(within, block.Extent{Off: p.Off, Len: p.Len})
		maps = append(maps, block.Shift(block.Subtract(block.Clip(p.Volume.Used(), 0, p.Len), p.Volume.Zeroed()), p.Off))
	}
	gaps := block.Subtract(block.Whole(plan.Source.Reader.Size()), block.NewExtents(within...))
	return block.Merge(append(maps, gaps)...)
}

// tell says what a person should know before a run.
func (o *origin) tell(log *job.Log) {
	for _, n := range o.notes {
		log.Note("%s", n)
	}
	for _, w := range o.warnings {
		log.Warn("%s", w)
	}
}

// padded is a disk with zeros behind it, up to a whole sector.
type padded struct {
	block.Reader
	size int64
}

func (p padded) Size() int64 { return p.size }

// ReadAt implements block.Reader for ranges that begin within the disk.
func (p padded) ReadAt(b []byte, off int64) (int, error) {
	n := max(min(int64(len(b)), p.Reader.Size()-off), 0)
	if got, err := p.Reader.ReadAt(b[:n], off); int64(got) < n {
		return got, err
	}
	clear(b[n:])
	return len(b), nil
}
