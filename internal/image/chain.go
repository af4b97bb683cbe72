package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"ingot/internal/block"
	"ingot/internal/dest"
	"ingot/internal/disk"
)

// Chain is one point in time: the files it needs, opened and found to fit
// together. It may be read from several goroutines. Close it.
type Chain struct {
	// Doc is the JSON of the file that holds the point in time.
	Doc *Document
	// Name and Size are those of that file.
	Name string
	Size int64

	files  []*file         // the oldest first
	extra  int             // how many at the front are not of the chain
	number map[int64]*file // where the blocks of each file number are
	disks  []*ChainDisk
	spools []*spool // of resolved indexes
}

// ChainDisk is one disk at a point in time.
type ChainDisk struct {
	Doc        *Disk
	Layout     *disk.Layout
	Partitions []*Volume
}

// Open opens the point in time that the image file name of store holds. The
// files it needs beside it are looked for among those of the store, by their
// content. What is read of the metadata is checked by MD5, except for the
// indexes, whose MD5 CheckIndex compares: a large one takes a while. access may
// be nil; an encrypted image then gives ErrLocked.
func Open(ctx context.Context, store dest.Store, name string, access *Access) (*Chain, error) {
	f, err := openFile(ctx, store, name, access)
	if err != nil {
		return nil, err
	}
	if f.doc.alone() {
		c := &Chain{files: []*file{f}}
		if err := c.assemble(f); err != nil {
			return nil, errors.Join(fmt.Errorf("open image %s: %w", name, err), c.Close())
		}
		return c, nil
	}
	split := f.doc.Header.SplitFile
	if err := f.close(); err != nil {
		return nil, err
	}
	if split {
		return nil, fmt.Errorf("open image %s: %w: it is a part of a split image, name the last one of its files", name, ErrUnsupported)
	}
	sets, err := ReadSets(ctx, store, access)
	if err != nil {
		return nil, err
	}
	set, m := find(sets.Sets, name)
	if m == nil {
		return nil, fmt.Errorf("open image %s: it has gone", name)
	}
	return set.Open(ctx, store, m)
}

// recipe says which files a point in time is made of.
type recipe struct {
	point string   // the file that holds it
	files []string // those whose indexes make it up and their parts, oldest first
	// extra are files that have been taken in by others of them: an index may
	// still name blocks by the places they had there.
	extra []string
}

// without gives the recipe with another file in the place of the point's own,
// and without those in gone.
func (r recipe) without(tmp string, gone func(name string) bool) recipe {
	out := recipe{point: tmp}
	for _, n := range r.files {
		if n == r.point {
			out.files = append(out.files, tmp)
		} else if !gone(n) {
			out.files = append(out.files, n)
		}
	}
	return out
}

// open opens the files of a recipe.
func (r recipe) open(ctx context.Context, store dest.Store, access *Access) (*Chain, error) {
	c := new(Chain)
	var own *file
	for i, name := range slices.Concat(r.extra, r.files) {
		f, err := openFile(ctx, store, name, access)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.files = append(c.files, f)
		if name == r.point {
			own = f
		}
		if i < len(r.extra) {
			c.extra++
		}
	}
	if err := c.assemble(own); err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", r.point, err), c.Close())
	}
	return c, nil
}

// Close closes the files.
func (c *Chain) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.close())
	}
	for _, s := range c.spools {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// own is the file that holds the point in time.
func (c *Chain) own() *file { return c.number[c.Doc.Header.FileNumber] }

// Disks are the disks of the image, in its order.
func (c *Chain) Disks() []*ChainDisk { return c.disks }

// Files are the names of the files the point in time needs, oldest first.
func (c *Chain) Files() []string {
	var out []string
	for _, f := range c.files {
		out = append(out, f.name)
	}
	return out
}

// assemble puts the point in time of file own together from the open files.
func (c *Chain) assemble(own *file) error {
	c.Doc, c.Name, c.Size = own.doc, own.name, own.blob.Size()
	c.number = make(map[int64]*file)
	for _, f := range c.files {
		for _, n := range f.doc.Header.MergedFiles {
			if c.number[n] == nil {
				c.number[n] = f // moved there by consolidation
			}
		}
	}
	for _, f := range c.files {
		c.number[f.number()] = f
		if f.doc.Encryption != own.doc.Encryption {
			return damaged("%s and %s are of one set and encrypted in different ways", f.name, own.name)
		}
		if (f.doc.Compression.Level == CompressionNone) != (own.doc.Compression.Level == CompressionNone) {
			return fmt.Errorf("%w: %s is compressed (%s) and %s is not (%s)", ErrUnsupported, f.name, f.doc.Compression.Level, own.name, own.doc.Compression.Level)
		}
	}
	if err := c.checkParents(); err != nil {
		return err
	}
	layers, err := c.layers(own)
	if err != nil {
		return err
	}
	for i := range own.disks {
		if err := c.addDisk(own, layers, i); err != nil {
			return fmt.Errorf("disk %d: %w", i+1, err)
		}
	}
	return nil
}

// layers are the files whose indexes make up that of own: the newest one with
// a full index, and the delta indexes to be laid over it. The disks and
// partitions of all of them must be those of own.
func (c *Chain) layers(own *file) ([]*file, error) {
	var out []*file
	for _, f := range c.files[c.extra:] {
		switch {
		case f.doc.Header.SplitFile || f.number() > own.number():
			continue
		case !f.doc.Header.DeltaIndex:
			out = out[:0]
		case len(out) == 0:
			return nil, damaged("%s needs a file of its set with a full index, and there is none before it", f.name)
		}
		if err := sameShape(f.doc, own.doc); err != nil {
			return nil, damaged("%s and %s are of one set, but %v", f.name, own.name, err)
		}
		out = append(out, f)
	}
	return out, nil
}

// addDisk adds disk i of file own.
func (c *Chain) addDisk(own *file, layers []*file, i int) error {
	doc := &own.doc.Disks[i]
	d := &ChainDisk{Doc: doc}
	var err error
	fd := &own.disks[i]
	if d.Layout, err = disk.FromImage(fd.track0, fd.ebrs, doc.Geometry.BytesPerSector, doc.Geometry.DiskSize); err != nil {
		return fmt.Errorf("%w: partition table in $TRACK0: %w", ErrDamaged, err)
	}
	for k := range doc.Partitions {
		var tables []*table
		for _, f := range layers {
			tables = append(tables, &f.disks[i].tables[k])
		}
		v, err := c.newVolume(doc, &doc.Partitions[k], tables)
		if err != nil {
			return fmt.Errorf("partition %d: %w", doc.Partitions[k].Header.Number, err)
		}
		d.Partitions = append(d.Partitions, v)
	}
	c.disks = append(c.disks, d)
	return nil
}

// newVolume makes a volume of a partition of disk number i and its indexes, the
// full one first.
func (c *Chain) newVolume(d *Disk, p *Partition, tables []*table) (*Volume, error) {
	level, err := frameLevel(c.Doc.Compression.Level)
	if err != nil {
		return nil, err
	}
	own := tables[len(tables)-1]
	v := &Volume{Doc: p, disk: d, chain: c, level: level, size: p.Geometry.Length, tables: tables, keys: own.file.keys}
	if p.FileSystem.ReservedLength > 0 {
		s := space{area: Reserved, base: p.Geometry.BootSectorOffset, size: p.FileSystem.ReservedLength, piece: ReservedPiece, count: own.counts.reserved}
		if err := c.findIndex(v, &s, own); err != nil {
			return nil, err
		}
		v.spaces = append(v.spaces, s)
	}
	s := space{area: Blocks, base: p.FileSystem.LCN0 - p.FileSystem.Start, piece: p.Header.BlockSize, count: own.counts.blocks}
	if err := c.findIndex(v, &s, own); err != nil {
		return nil, err
	}
	s.size = min(v.size-s.base, s.count*s.piece)
	v.spaces = append(v.spaces, s)
	return v, nil
}

// findIndex has a space read its elements from the file, where they stand in it
// one for each piece, or from a resolved index.
func (c *Chain) findIndex(v *Volume, s *space, own *table) (err error) {
	s.index, s.elems, s.rec = own.index, own.pos[s.area], elementSize
	sealed := own.file.seal != nil
	if !sealed && (s.area == Reserved || !own.delta) {
		return nil
	}
	next, err := v.records(s)
	if err != nil {
		return err
	}
	s.elems = 0
	if sealed {
		s.rec = elementSize + markSize
	}
	s.index, s.count, err = c.resolve(next, s.rec)
	return err
}

// resolve writes stored pieces as an index like that of a full image, so that
// every block is found by its number: delta indexes laid over a full one, and
// tags beside elements.
func (c *Chain) resolve(records func() (record, bool, error), size int64) (io.ReaderAt, int64, error) {
	out := &spool{}
	c.spools = append(c.spools, out)
	var next int64
	for {
		rec, ok, err := records()
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			return out, next, out.settle()
		}
		if err := writeGap(out, rec.piece-next, size); err != nil {
			return nil, 0, err
		}
		var raw [elementSize + markSize]byte
		rec.encode(raw[:])
		copy(raw[elementSize:], rec.mark[:])
		if _, err := out.Write(raw[:size]); err != nil {
			return nil, 0, err
		}
		next = rec.piece + 1
	}
}

// writeGap writes n elements, of size bytes each, of blocks that are not stored.
func writeGap(w io.Writer, n, size int64) error {
	zero := make([]byte, min(n, 4096)*size)
	for ; n > 0; n -= 4096 {
		if _, err := w.Write(zero[:min(n, 4096)*size]); err != nil {
			return err
		}
	}
	return nil
}

// CheckIndex compares the MD5 of every index with what the file says it is.
func (c *Chain) CheckIndex(ctx context.Context) error {
	for _, f := range c.files {
		for i := range f.metas {
			if err := ctx.Err(); err != nil {
				return err
			}
			if n := f.metas[i].name; n != nameIndex && n != nameStrong {
				continue
			}
			if err := f.metas[i].check(f.blob); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return nil
}

var _ block.Reader = (*Volume)(nil)
