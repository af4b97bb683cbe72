package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ingot/internal/block"
	"ingot/internal/dest"
	"ingot/internal/disk"
)

// Chain is one point in time: the files it needs, opened and found to fit
// together. It may be read from several goroutines. Close it.
type Chain struct {
	// Doc is the JSON of the file that holds the point in time.
	Doc *Document
	// Size is the length of the file in bytes.
	Size int64

	blob  dest.Blob
	files map[int64]bool // numbers of the files whose blocks this one holds
	metas []metaBlock    // all metadata blocks, for Verify
	disks []*ChainDisk
}

// ChainDisk is one disk at a point in time.
type ChainDisk struct {
	Doc        *Disk
	Layout     *disk.Layout
	Partitions []*Volume
}

// Open opens the image file name of store as a point in time. What it reads of
// the metadata is checked by MD5, except for the indexes, whose MD5 CheckIndex
// compares: a large one takes a while.
func Open(ctx context.Context, store dest.Store, name string) (*Chain, error) {
	blob, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	c := &Chain{blob: blob, Size: blob.Size()}
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", name, err), blob.Close())
	}
	return c, nil
}

// Close closes the files.
func (c *Chain) Close() error { return c.blob.Close() }

// Disks are the disks of the image, in its order.
func (c *Chain) Disks() []*ChainDisk { return c.disks }

func (c *Chain) load() error {
	root, err := readFooter(c.blob, c.Size)
	if err != nil {
		return err
	}
	end := c.Size - footerSize
	list, _, err := readList(c.blob, root, end)
	if err != nil {
		return err
	}
	if c.Doc, err = readDocument(c.blob, list); err != nil {
		return err
	}
	c.files = map[int64]bool{c.Doc.Header.FileNumber: true}
	for _, n := range c.Doc.Header.MergedFiles {
		c.files[n] = true // moved into this file by consolidation
	}
	off := c.Doc.Header.IndexPosition
	if off < 0 || off > root {
		return damaged("JSON field _header.index_file_position is %d, the root metadata begins at %d", off, root)
	}
	for i := range c.Doc.Disks {
		if off, err = c.loadDisk(&c.Doc.Disks[i], off, root); err != nil {
			return fmt.Errorf("disk %d: %w", i+1, err)
		}
	}
	c.metas = append(c.metas, list...)
	return nil
}

// readDocument reads the JSON of a root list and checks what it says.
func readDocument(b dest.Blob, list []metaBlock) (*Document, error) {
	for i := range list {
		if list[i].name != nameJSON {
			continue
		}
		text, err := list[i].payload(b, maxJSON)
		if err != nil {
			return nil, err
		}
		if n := bytes.Count(text, []byte{','}) + bytes.Count(text, []byte{'{'}); n > maxJSONItems {
			return nil, damaged("JSON has about %d items, more than make sense", n)
		}
		doc := new(Document)
		if err := json.Unmarshal(text, doc); err != nil {
			return nil, damaged("JSON: %v", err)
		}
		return doc, doc.check()
	}
	return nil, damaged("there is no $JSON block")
}

// loadDisk reads the list of a disk at off and those of its partitions; it
// returns the offset behind them.
func (c *Chain) loadDisk(doc *Disk, off, limit int64) (int64, error) {
	list, off, err := readList(c.blob, off, limit)
	if err != nil {
		return 0, err
	}
	c.metas = append(c.metas, list...)
	d := &ChainDisk{Doc: doc}
	var track0 []byte
	var ebrs []disk.BootRecord
	for i := range list {
		switch m := &list[i]; m.name {
		case nameTrack0:
			track0, err = m.payload(c.blob, maxDiskMeta)
		case nameEPT:
			var b []byte
			if b, err = m.payload(c.blob, maxDiskMeta); err == nil && len(b) > 0 {
				ebrs, err = decodeEPT(b)
			}
		}
		if err != nil {
			return 0, err
		}
	}
	if len(track0) == 0 {
		return 0, damaged("there is no $TRACK0 block")
	}
	if d.Layout, err = disk.FromImage(track0, ebrs, doc.Geometry.BytesPerSector, doc.Geometry.DiskSize); err != nil {
		return 0, fmt.Errorf("%w: partition table in $TRACK0: %w", ErrDamaged, err)
	}
	for i := range doc.Partitions {
		p := &doc.Partitions[i]
		if list, off, err = readList(c.blob, off, limit); err != nil {
			return 0, fmt.Errorf("partition %d: %w", p.Header.Number, err)
		}
		c.metas = append(c.metas, list...)
		v, err := c.newVolume(p, list)
		if err != nil {
			return 0, fmt.Errorf("partition %d: %w", p.Header.Number, err)
		}
		d.Partitions = append(d.Partitions, v)
	}
	c.disks = append(c.disks, d)
	return off, nil
}

// newVolume reads the head of a partition's index.
func (c *Chain) newVolume(p *Partition, list []metaBlock) (*Volume, error) {
	m := &list[len(list)-1]
	if m.name != nameIndex || m.flags&(flagCompressed|flagEncrypted) != 0 {
		return nil, damaged("its metadata ends with %q (flags %#x) instead of a plain $INDEX", m.name, m.flags)
	}
	counts, err := readCounts(c.blob, m.pos, m.size)
	if err != nil {
		return nil, err
	}
	level, err := frameLevel(c.Doc.Compression.Level)
	if err != nil {
		return nil, err
	}
	v := &Volume{Doc: p, chain: c, level: level, size: p.Geometry.Length}
	elems := m.pos + 4
	if p.FileSystem.ReservedLength > 0 || counts.reserved > 0 {
		v.spaces = append(v.spaces, space{
			base: p.Geometry.BootSectorOffset, size: p.FileSystem.ReservedLength,
			piece: ReservedPiece, count: counts.reserved, elems: elems,
		})
	}
	elems += counts.reserved*elementSize + 4
	base := p.FileSystem.LCN0 - p.FileSystem.Start
	v.spaces = append(v.spaces, space{
		base: base, size: min(v.size-base, counts.blocks*p.Header.BlockSize),
		piece: p.Header.BlockSize, count: counts.blocks, elems: elems,
	})
	for _, s := range v.spaces {
		if s.size < 0 || s.count > (s.size+s.piece-1)/s.piece {
			return nil, damaged("$INDEX at byte %d: %d pieces of %d bytes are more than the %d bytes they are to cover", m.pos, s.count, s.piece, s.size)
		}
	}
	return v, nil
}

// CheckIndex compares the MD5 of every index with what the file says it is.
func (c *Chain) CheckIndex(ctx context.Context) error {
	for i := range c.metas {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.metas[i].name != nameIndex {
			continue
		}
		if err := c.metas[i].check(c.blob); err != nil {
			return err
		}
	}
	return nil
}

var _ block.Reader = (*Volume)(nil)
