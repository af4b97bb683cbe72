package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"ingot/internal/block"
	"ingot/internal/blockcache"
	"ingot/internal/filesys"
	"ingot/internal/image"
	"ingot/internal/overlay"
)

// serveCache is how many bytes of decompressed blocks are kept while an image is
// served.
const serveCache = 64 << 20

// writeFlags are those of verbs that let an image be written to for a while.
type writeFlags struct {
	write, save bool
	tempDir     string
}

func (w *writeFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&w.write, "write", false, "take writes, into an encrypted temporary file that is dropped at the end; the image stays as it is")
	f.BoolVar(&w.save, "save", false, "with --write: at the end, store what was written as a new incremental of the set")
	f.StringVar(&w.tempDir, "temp-dir", "", "folder for the temporary file of --write (default: the system's)")
}

func (w *writeFlags) check() error {
	if !w.write && (w.save || w.tempDir != "") {
		return usageError{errors.New("--save and --temp-dir go with --write")}
	}
	return nil
}

// served is a point in time that mount and nbd give to others. Close it.
type served struct {
	point *point
	disks []*servedDisk
	saver *saver // nil: nothing is saved
}

// servedDisk is a disk of it: as it was, or with what was written since.
type servedDisk struct {
	name  string // disk, or disk-2 where there are several
	view  block.Reader
	used  block.Map
	over  *overlay.Disk // nil when nothing can be written
	image *image.ChainDisk
	parts []*servedPart
}

// servedPart is a partition.
type servedPart struct {
	name   string // partition-3, or disk-2-partition-3
	folder string // 3-Windows, or disk-2-3-Windows; "" where no files can be read
	view   block.Reader
	used   block.Map
	over   *overlay.Disk
	off    int64 // on the disk
	volume *image.Volume
	files  func() (filesys.Files, error)
}

// openServed opens a point in time to be served.
func (c *console) openServed(ctx context.Context, ref string, w *writeFlags) (*served, error) {
	p, err := c.openPoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	s := &served{point: p}
	if err := c.prepareServed(ctx, s, w); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (c *console) prepareServed(ctx context.Context, s *served, w *writeFlags) error {
	// An index that is damaged may hide blocks, which would read as zeros.
	if err := s.point.CheckIndex(ctx); err != nil {
		return err
	}
	debug.SetMemoryLimit(softMemory + serveCache)
	for i, d := range s.point.Disks() {
		if err := s.add(i, d, w); err != nil {
			return fmt.Errorf("disk %d of %s: %w", i+1, s.point.Name, err)
		}
	}
	if !w.save {
		return nil
	}
	var err error
	s.saver, err = c.newSaver(ctx, s, w)
	return err
}

// add puts a disk together, of partitions whose blocks are cached.
func (s *served) add(i int, d *image.ChainDisk, w *writeFlags) error {
	prefix, sd := "", &servedDisk{name: "disk", image: d}
	if len(s.point.Disks()) > 1 {
		sd.name = fmt.Sprintf("disk-%d", i+1)
		prefix = sd.name + "-"
	}
	s.disks = append(s.disks, sd)
	cached := make(map[*image.Volume]block.Reader)
	for _, v := range d.Partitions {
		cached[v] = blockcache.New(v, blockcache.Options{BlockSize: v.BlockSize(), Origin: v.BlockOrigin(), Max: s.share(v)})
	}
	whole, err := d.WholeOf(func(v *image.Volume) block.Reader { return cached[v] })
	if err != nil {
		return err
	}
	sd.view, sd.used = whole, whole.Used()
	if w.write {
		if sd.over, err = overlay.New(whole, whole.Used(), w.tempDir); err != nil {
			return err
		}
		sd.view, sd.used = sd.over, sd.over.Used()
	}
	for _, v := range d.Partitions {
		part := &servedPart{volume: v, over: sd.over, off: v.Doc.Geometry.Start, used: block.Clip(sd.used, v.Doc.Geometry.Start, v.Size())}
		if part.view, err = block.Section(sd.view, part.off, v.Size()); err != nil {
			return fmt.Errorf("partition %d: %w", v.Doc.Header.Number, err)
		}
		part.describe(prefix, cached[v])
		sd.parts = append(sd.parts, part)
	}
	return nil
}

// share is how much of the cache a volume has: by its size, and enough to read
// ahead.
func (s *served) share(v *image.Volume) int64 {
	var all int64
	for _, d := range s.point.Disks() {
		for _, v := range d.Partitions {
			all += v.Size()
		}
	}
	return max(int64(float64(serveCache)*float64(v.Size())/float64(max(all, 1))), 16*v.BlockSize())
}

// readable are the file systems whose files are read when somebody looks; all
// others are looked into at once, to know whether there are any.
func readable(kind string) bool {
	switch kind {
	case "NTFS", "FAT12", "FAT16", "FAT32", "exFAT", "ext", "ext2", "ext3", "ext4":
		return true
	}
	return false
}

// describe gives a partition its names, and the way to its files.
func (p *servedPart) describe(prefix string, r block.Reader) {
	doc := p.volume.Doc
	kind := cmp.Or(doc.FileSystem.Kind, doc.FileSystem.Type)
	p.name = fmt.Sprintf("%spartition-%d", prefix, doc.Header.Number)
	// Reading the maps of a large volume takes a while: only when it is needed.
	p.files = sync.OnceValues(func() (filesys.Files, error) {
		v, err := filesys.Open(r)
		if err != nil {
			return nil, err
		}
		kind = v.Info().Type
		if v.Files() == nil {
			return nil, fmt.Errorf("the files of %s (%s) cannot be read here: %s", p.name, kind, v.Info().WholeReason)
		}
		return v.Files(), nil
	})
	if !readable(kind) {
		if _, err := p.files(); err != nil {
			return
		}
	}
	label := strings.Map(plainInName, doc.FileSystem.VolumeLabel)
	if strings.Trim(label, ". ") == "" {
		label = kind
	}
	p.folder = fmt.Sprintf("%s%d-%s", prefix, doc.Header.Number, label)
}

// plainInName keeps out of a folder's name what cannot be in one, or is no sight.
func plainInName(r rune) rune {
	if r == '/' || !visible(r) {
		return '_'
	}
	return r
}

// changed says whether anything was written.
func (s *served) changed() bool {
	for _, d := range s.disks {
		if d.over != nil && d.over.Changed() > 0 {
			return true
		}
	}
	return false
}

// Close drops what was written and closes the files.
func (s *served) Close() error {
	var errs []error
	for _, d := range s.disks {
		if d.over != nil {
			errs = append(errs, d.over.Close())
		}
	}
	return errors.Join(append(errs, s.point.Close())...)
}

// troubles tells the first errors of those who are served, and no more than that.
type troubles struct {
	c    *console
	mu   sync.Mutex
	told int
}

const maxTroubles = 20

func (t *troubles) tell(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told++
	switch {
	case t.told < maxTroubles:
		fmt.Fprintf(t.c.errs, "Warning: %v\n", err)
	case t.told == maxTroubles:
		fmt.Fprintf(t.c.errs, "Warning: %v\nFurther errors are not shown.\n", err)
	}
}
