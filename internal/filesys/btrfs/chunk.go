package btrfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// Chunk items (btrfs_tree.h, struct btrfs_chunk): 48 bytes and 32 for each
// stripe.
const (
	chunkHeader, stripeSize = 48, 32

	typeData, typeSystem, typeMetadata = 1, 2, 4
	typeKinds                          = typeData | typeSystem | typeMetadata
	typeDUP                            = 0x20

	// Chunks are of 1 GiB on all but small devices.
	maxChunks   = 1 << 19
	someChunks  = 1 << 12
	smallChunks = 1 << 20 // bytes
)

// chunkLimit is a number of chunks far beyond what a device has.
func chunkLimit(d *Device) int { return int(min(maxChunks, someChunks+d.Size/smallChunks)) }

// chunk maps logical bytes to one or two places on the device.
type chunk struct {
	logical, length int64
	at              [2]int64 // bytes on the device
	copies          int
	kind            uint64
	used            int64 // bytes in extents, as its block group says
}

func (c *chunk) end() int64 { return c.logical + c.length }

// parseChunk reads the chunk item of the chunk at logical on the only device d.
func parseChunk(logical uint64, b []byte, s *Super) (chunk, error) {
	le := binary.LittleEndian
	if len(b) < chunkHeader {
		return chunk{}, fmt.Errorf("chunk %d: an item of %d bytes", logical, len(b))
	}
	length, kind, stripes := le.Uint64(b), le.Uint64(b[24:]), int(le.Uint16(b[44:]))
	switch want := map[uint64]int{0: 1, typeDUP: 2}[kind&^typeKinds]; {
	case want == 0:
		return chunk{}, fmt.Errorf("chunk %d: it is not single or DUP (type %#x): volumes with RAID are not read here", logical, kind)
	case kind&typeKinds == 0 || stripes != want || len(b) < chunkHeader+stripes*stripeSize:
		return chunk{}, fmt.Errorf("chunk %d of type %#x: %d stripes in %d bytes", logical, kind, stripes, len(b))
	case length == 0 || length > uint64(s.Device.Size) || logical > 1<<62 || (length|logical)%uint64(s.SectorSize) != 0:
		return chunk{}, fmt.Errorf("chunk %d: a length of %d bytes", logical, length)
	}
	c := chunk{logical: int64(logical), length: int64(length), copies: stripes, kind: kind}
	for i := range stripes {
		st := b[chunkHeader+i*stripeSize:]
		if le.Uint64(st) != s.Device.ID || !bytes.Equal(st[16:32], s.Device.UUID[:]) {
			return chunk{}, fmt.Errorf("chunk %d: a part of it lies on another device", logical)
		}
		at := le.Uint64(st[8:])
		if at > uint64(s.Device.Size-c.length) || at%uint64(s.SectorSize) != 0 {
			return chunk{}, fmt.Errorf("chunk %d: its %d bytes at %d do not lie on the device of %d", logical, c.length, at, s.Device.Size)
		}
		c.at[i] = int64(at)
	}
	return c, nil
}

// chunks are those of a volume by their logical addresses.
type chunks []chunk

// sorted puts chunks in order, and fails when two of them hold the same bytes.
func (cs chunks) sorted() (chunks, error) {
	slices.SortFunc(cs, func(a, b chunk) int { return cmp.Compare(a.logical, b.logical) })
	for i := 1; i < len(cs); i++ {
		if cs[i].logical < cs[i-1].end() {
			return nil, fmt.Errorf("the chunks %d and %d overlap", cs[i-1].logical, cs[i].logical)
		}
	}
	return cs, nil
}

// find is the chunk that holds n bytes at a logical address, or nil.
func (cs chunks) find(at uint64, n int64) *chunk {
	i, found := slices.BinarySearchFunc(cs, at, func(c chunk, at uint64) int { return cmp.Compare(uint64(c.logical), at) })
	if !found {
		i--
	}
	if i < 0 || at > 1<<62 || int64(at)+n > cs[i].end() {
		return nil
	}
	return &cs[i]
}

// stripe is one place of a chunk on the device.
type stripe struct {
	at    int64
	chunk *chunk
}

// stripes are the places of all chunks in the order of the device. It fails
// when they overlap or are not as many bytes as the device says.
func (cs chunks) stripes(d *Device) ([]stripe, error) {
	var out []stripe
	var sum int64
	for i := range cs {
		for _, at := range cs[i].at[:cs[i].copies] {
			out = append(out, stripe{at, &cs[i]})
			sum += cs[i].length
		}
	}
	slices.SortFunc(out, func(a, b stripe) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(out); i++ {
		if out[i].at < out[i-1].at+out[i-1].chunk.length {
			return nil, fmt.Errorf("the chunks %d and %d overlap at byte %d of the device", out[i-1].chunk.logical, out[i].chunk.logical, out[i].at)
		}
	}
	if sum != d.Chunk {
		return nil, fmt.Errorf("the chunks take %d bytes of the device, which counts %d", sum, d.Chunk)
	}
	return out, nil
}

// systemChunks are those that the superblock lists, which hold the chunk tree.
func systemChunks(s *Super) (chunks, error) {
	var out chunks
	for b := s.array; len(b) > 0; {
		if len(b) < keySize+chunkHeader {
			return nil, fmt.Errorf("the chunks in the superblock end with %d bytes", len(b))
		}
		k := parseKey(b)
		if k.kind != kindChunk || k.id != idChunks {
			return nil, fmt.Errorf("the chunks in the superblock hold an item %v", k)
		}
		c, err := parseChunk(k.off, b[keySize:], s)
		if err != nil {
			return nil, fmt.Errorf("in the superblock: %w", err)
		}
		out = append(out, c)
		b = b[keySize+chunkHeader+c.copies*stripeSize:]
	}
	return out.sorted()
}
