package btrfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// Profiles of chunks beside single and DUP (btrfs_tree.h).
const (
	typeRAID0     = 0x8
	typeRAID1     = 0x10
	typeRAID10    = 0x40
	typeRAID1C3   = 0x200
	typeRAID1C4   = 0x400
	typeMirrored  = typeRAID1 | typeDUP | typeRAID1C3 | typeRAID1C4
	typeStriped   = typeRAID0 | typeRAID10
	minStripe     = 4 << 10
	maxStripes    = 1 << 10
	chunkStripeAt = 16
	chunkSubAt    = 46
)

// space tells where logical bytes are on one device of a volume, which may have
// others. It believes what the chunk tree says, and proves nothing of it: the
// checksums of what is read there do.
type space struct{ chunks []spread }

// spread is a chunk on any number of devices.
type spread struct {
	logical, length int64
	kind            uint64
	unit            int64 // bytes of a stripe
	group           int   // stripes with the same bytes, where the chunk is striped
	at              []int64
}

// elsewhere is the place of a stripe that is on another device.
const elsewhere = -1

func (c *spread) end() int64 { return c.logical + c.length }

// parseSpread reads the chunk item of the chunk at logical.
func parseSpread(logical uint64, b []byte, s *Super) (spread, error) {
	le := binary.LittleEndian
	if len(b) < chunkHeader {
		return spread{}, fmt.Errorf("chunk %d: an item of %d bytes", logical, len(b))
	}
	length, unit, kind := le.Uint64(b), le.Uint64(b[chunkStripeAt:]), le.Uint64(b[24:])
	stripes, group := int(le.Uint16(b[44:])), max(1, int(le.Uint16(b[chunkSubAt:])))
	if kind&typeRAID10 == 0 {
		group = 1
	}
	switch {
	case length == 0 || length > 1<<61 || logical > 1<<61 || kind&typeKinds == 0:
		return spread{}, fmt.Errorf("chunk %d: %d bytes of type %#x", logical, length, kind)
	case stripes == 0 || stripes > maxStripes || len(b) < chunkHeader+stripes*stripeSize || stripes%group != 0:
		return spread{}, fmt.Errorf("chunk %d: %d stripes in %d bytes", logical, stripes, len(b))
	case kind&typeStriped != 0 && (unit < minStripe || unit > 1<<40 || unit&(unit-1) != 0):
		return spread{}, fmt.Errorf("chunk %d: stripes of %d bytes", logical, unit)
	}
	c := spread{logical: int64(logical), length: int64(length), kind: kind, unit: int64(unit), group: group}
	for i := range stripes {
		st := b[chunkHeader+i*stripeSize:]
		at := le.Uint64(st[8:])
		if at > 1<<61 {
			return spread{}, fmt.Errorf("chunk %d: a stripe at byte %d", logical, at)
		}
		if le.Uint64(st) != s.Device.ID || !bytes.Equal(st[16:32], s.Device.UUID[:]) {
			c.at = append(c.at, elsewhere)
		} else {
			c.at = append(c.at, int64(at))
		}
	}
	return c, nil
}

// places are where n bytes at a logical address are on the device, all copies,
// as far as they lie in one row: run bytes. There is at least one place.
func (s *space) places(at uint64, n int64) (out []int64, run int64, kind uint64, err error) {
	i, found := slices.BinarySearchFunc(s.chunks, at, func(c spread, at uint64) int { return cmp.Compare(uint64(c.logical), at) })
	if !found {
		i--
	}
	if i < 0 || at >= uint64(s.chunks[i].end()) {
		return nil, 0, 0, errNoChunk
	}
	c := &s.chunks[i]
	off := int64(at) - c.logical
	run = min(n, c.length-off)
	stripes := c.at
	switch {
	case c.kind&typeStriped != 0:
		row := off / c.unit
		groups := int64(len(c.at) / c.group)
		first := int(row%groups) * c.group
		stripes = c.at[first : first+c.group]
		run = min(run, c.unit-off%c.unit)
		off = row/groups*c.unit + off%c.unit
	case c.kind&typeMirrored == 0 && c.kind&^typeKinds != 0:
		return nil, 0, 0, fmt.Errorf("it lies in a chunk of type %#x, which is not read here", c.kind)
	case c.kind&typeMirrored == 0:
		stripes = c.at[:1]
	}
	for _, at := range stripes {
		if at != elsewhere {
			out = append(out, at+off)
		}
	}
	if len(out) == 0 {
		return nil, 0, 0, fmt.Errorf("it lies on another device of the volume, which has %d", max(len(c.at), 1))
	}
	return out, run, c.kind, nil
}

// all is places for what must lie in one row.
func (s *space) all(at uint64, n int64) ([]int64, uint64, error) {
	out, run, kind, err := s.places(at, n)
	if err == nil && run < n {
		err = fmt.Errorf("%d bytes at %d do not lie in one chunk", n, at)
	}
	return out, kind, err
}

// add takes chunks, and drops those that hold the same bytes as another one.
func (s *space) add(c spread) error {
	if len(s.chunks) == maxChunks {
		return fmt.Errorf("more than %d chunks", maxChunks)
	}
	s.chunks = append(s.chunks, c)
	return nil
}

// sorted puts the chunks in order, and fails when two of them overlap.
func (s *space) sorted() error {
	slices.SortFunc(s.chunks, func(a, b spread) int { return cmp.Compare(a.logical, b.logical) })
	for i := 1; i < len(s.chunks); i++ {
		if s.chunks[i].logical < s.chunks[i-1].end() {
			return fmt.Errorf("the chunks %d and %d overlap", s.chunks[i-1].logical, s.chunks[i].logical)
		}
	}
	return nil
}

// systemSpace is what the superblock says of where the chunk tree is.
func systemSpace(s *Super) (*space, error) {
	out := &space{}
	for b := s.array; len(b) > 0; {
		if len(b) < keySize+chunkHeader {
			return nil, fmt.Errorf("the chunks in the superblock end with %d bytes", len(b))
		}
		k := parseKey(b)
		if k.kind != kindChunk {
			return nil, fmt.Errorf("the chunks in the superblock hold an item %v", k)
		}
		c, err := parseSpread(k.off, b[keySize:], s)
		if err == nil {
			err = out.add(c)
		}
		if err != nil {
			return nil, fmt.Errorf("in the superblock: %w", err)
		}
		b = b[keySize+chunkHeader+len(c.at)*stripeSize:]
	}
	return out, out.sorted()
}

// readSpace reads all chunks from the chunk tree.
func readSpace(f forest) (*space, error) {
	var err error
	if f.space, err = systemSpace(f.super); err != nil {
		return nil, err
	}
	out := &space{}
	c := f.cursor(f.super.chunkRoot)
	it, ok, err := c.seek(key{idChunks, kindChunk, 0})
	for ; ok && err == nil && it.kind == kindChunk && it.id == idChunks; it, ok, err = c.next() {
		var ch spread
		if ch, err = parseSpread(it.off, it.data, f.super); err == nil {
			err = out.add(ch)
		}
		if err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("chunk tree: %w", err)
	}
	return out, out.sorted()
}
