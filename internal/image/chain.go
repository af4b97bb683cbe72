package image

import (
	"context"
	"errors"
	"fmt"
	"io"

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

	files  []*file         // ascending by number; the point's own is the last that is not split
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
// indexes, whose MD5 CheckIndex compares: a large one takes a while.
func Open(ctx context.Context, store dest.Store, name string) (*Chain, error) {
	f, err := openFile(ctx, store, name)
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
	if err := f.close(); err != nil {
		return nil, err
	}
	sets, err := ReadSets(ctx, store)
	if err != nil {
		return nil, err
	}
	set, m := find(sets.Sets, name)
	if m == nil {
		return nil, fmt.Errorf("open image %s: it has gone", name)
	}
	return set.Open(ctx, store, m)
}

// openChain opens the files of these names, of which the one called point holds
// the point in time.
func openChain(ctx context.Context, store dest.Store, names []string, point string) (*Chain, error) {
	c := new(Chain)
	var own *file
	for _, name := range names {
		f, err := openFile(ctx, store, name)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.files = append(c.files, f)
		if name == point {
			own = f
		}
	}
	if err := c.assemble(own); err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", point, err), c.Close())
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
		if (f.doc.Compression.Level == CompressionNone) != (own.doc.Compression.Level == CompressionNone) {
			return fmt.Errorf("%w: %s is compressed (%s) and %s is not (%s)", ErrUnsupported, f.name, f.doc.Compression.Level, own.name, own.doc.Compression.Level)
		}
	}
	if own.doc.Header.SplitFile {
		return fmt.Errorf("%w: it is a part of a split image, name its last part", ErrUnsupported)
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
	for _, f := range c.files {
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
		v, err := c.newVolume(&doc.Partitions[k], tables)
		if err != nil {
			return fmt.Errorf("partition %d: %w", doc.Partitions[k].Header.Number, err)
		}
		d.Partitions = append(d.Partitions, v)
	}
	c.disks = append(c.disks, d)
	return nil
}

// newVolume makes a volume of a partition and its indexes, the full one first.
func (c *Chain) newVolume(p *Partition, tables []*table) (*Volume, error) {
	level, err := frameLevel(c.Doc.Compression.Level)
	if err != nil {
		return nil, err
	}
	v := &Volume{Doc: p, chain: c, level: level, size: p.Geometry.Length, tables: tables}
	own := tables[len(tables)-1]
	if p.FileSystem.ReservedLength > 0 {
		v.spaces = append(v.spaces, space{
			area: Reserved, base: p.Geometry.BootSectorOffset, size: p.FileSystem.ReservedLength,
			piece: ReservedPiece, count: own.counts.reserved, index: own.index, elems: own.pos[Reserved],
		})
	}
	s := space{area: Blocks, base: p.FileSystem.LCN0 - p.FileSystem.Start, piece: p.Header.BlockSize}
	s.index, s.elems, s.count = own.index, own.pos[Blocks], own.counts.blocks
	if own.delta {
		if s.index, s.count, err = c.resolve(tables); err != nil {
			return nil, err
		}
		s.elems = 0
	}
	s.size = min(v.size-s.base, s.count*s.piece)
	v.spaces = append(v.spaces, s)
	return v, nil
}

// resolve lays delta indexes over a full one. The result is an index like that
// of a full image, so that every block is found by its number.
func (c *Chain) resolve(tables []*table) (io.ReaderAt, int64, error) {
	state, err := newState(tables)
	if err != nil {
		return nil, 0, err
	}
	out := &spool{}
	c.spools = append(c.spools, out)
	var next int64
	for {
		rec, ok, err := state.next()
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			return out, next, out.settle()
		}
		if err := writeGap(out, rec.piece-next); err != nil {
			return nil, 0, err
		}
		var raw [elementSize]byte
		rec.encode(raw[:])
		if _, err := out.Write(raw[:]); err != nil {
			return nil, 0, err
		}
		next = rec.piece + 1
	}
}

// writeGap writes n elements of blocks that are not stored.
func writeGap(w io.Writer, n int64) error {
	zero := make([]byte, min(n, 4096)*elementSize)
	for ; n > 0; n -= 4096 {
		if _, err := w.Write(zero[:min(n, 4096)*elementSize]); err != nil {
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
