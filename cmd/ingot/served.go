package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

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

// served is a point in time, or a disk, that mount and nbd give to others. Close
// it.
type served struct {
	path  string    // of the image or disk
	time  time.Time // of the point in time
	point *point    // nil: a disk
	src   *source   // nil: an image
	disks []*servedDisk
	saver *saver // nil: nothing is saved
}

// servedDisk is a disk of it: as it was, or with what was written since.
type servedDisk struct {
	name  string // disk, or disk-2 where there are several
	view  block.Reader
	used  block.Map
	over  *overlay.Disk    // nil when nothing can be written
	image *image.ChainDisk // nil: a disk
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
	number int
	kind   string // of the file system; "" when nobody has looked
	label  string
	files  func() (filesys.Files, error)
}

// openServed opens a point in time to be served, or a disk, virtual disk, Windows
// system image or folder of Clonezilla.
func (c *console) openServed(ctx context.Context, ref string, w *writeFlags) (*served, error) {
	if !namesImage(ref) {
		return openServedDisk(ctx, ref, w)
	}
	p, err := c.openPoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	s := &served{point: p, path: p.Path(), time: time.Unix(p.Doc.Header.BackupTime, 0)}
	if err := c.prepareServed(ctx, s, w); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func openServedDisk(ctx context.Context, ref string, w *writeFlags) (*served, error) {
	if w.save {
		return nil, usageError{fmt.Errorf("--save is for images: %s is a disk or virtual disk", ref)}
	}
	src, err := openSource(ctx, ref, sourceFlags{tempDir: w.tempDir})
	if err != nil {
		return nil, err
	}
	s := &served{src: src, path: ref, time: time.Now()}
	if err := s.addSource(w); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", ref, err), s.Close())
	}
	return s, nil
}

// addSource shows what lies on a disk as it is.
func (s *served) addSource(w *writeFlags) error {
	sd := &servedDisk{name: "disk"}
	s.disks = append(s.disks, sd)
	if err := sd.show(s.src.Reader, s.src.filled(), w); err != nil {
		return err
	}
	for _, p := range s.src.Layout.Partitions {
		under, err := block.Section(s.src.Reader, p.Off, p.Len)
		if err != nil {
			return fmt.Errorf("partition %d: %w", p.Number, err)
		}
		part := &servedPart{number: p.Number, label: p.Name, off: p.Off}
		if err := sd.add(part, p.Len, "", under); err != nil {
			return err
		}
	}
	return nil
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
	if err := sd.show(whole, whole.Used(), w); err != nil {
		return err
	}
	for _, v := range d.Partitions {
		fs := &v.Doc.FileSystem
		part := &servedPart{number: int(v.Doc.Header.Number), kind: cmp.Or(fs.Kind, fs.Type), label: fs.VolumeLabel, off: v.Doc.Geometry.Start}
		if err := sd.add(part, v.Size(), prefix, cached[v]); err != nil {
			return err
		}
	}
	return nil
}

// show has a disk show r, and with --write what was written since.
func (d *servedDisk) show(r block.Reader, used block.Map, w *writeFlags) (err error) {
	d.view, d.used = r, used
	if !w.write {
		return nil
	}
	if d.over, err = overlay.New(r, used, w.tempDir); err != nil {
		return err
	}
	d.view, d.used = d.over, d.over.Used()
	return nil
}

// add adds a partition of size bytes, whose files are read from under.
func (d *servedDisk) add(p *servedPart, size int64, prefix string, under block.Reader) (err error) {
	p.over, p.used = d.over, block.Clip(d.used, p.off, size)
	if p.view, err = block.Section(d.view, p.off, size); err != nil {
		return fmt.Errorf("partition %d: %w", p.number, err)
	}
	p.describe(prefix, under)
	d.parts = append(d.parts, p)
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
	p.name = fmt.Sprintf("%spartition-%d", prefix, p.number)
	// Reading the maps of a large volume takes a while: only when it is needed.
	p.files = sync.OnceValues(func() (filesys.Files, error) {
		v, err := filesys.Open(r)
		if err != nil {
			return nil, err
		}
		if v.Files() == nil {
			return nil, fmt.Errorf("the files of %s (%s) cannot be read here: %s", p.name, v.Info().Type, v.Info().WholeReason)
		}
		return v.Files(), nil
	})
	if !readable(p.kind) {
		v, err := filesys.Open(r)
		if err != nil {
			return
		}
		p.kind, p.label = v.Info().Type, cmp.Or(v.Info().Label, p.label)
		if v.Files() == nil {
			return
		}
	}
	label := strings.Map(plainInName, p.label)
	if strings.Trim(label, ". ") == "" {
		label = p.kind
	}
	p.folder = fmt.Sprintf("%s%d-%s", prefix, p.number, label)
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
	if s.src != nil {
		return errors.Join(append(errs, s.src.Close())...)
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
