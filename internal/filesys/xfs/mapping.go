package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"ingot/internal/block"
)

// Extents of a fork (xfs_format.h, struct xfs_bmbt_rec) have 16 bytes: a bit
// that says that they were not written yet, 54 bits for the first block of the
// file, 52 for that of the volume, 21 for their length. The blocks of a tree of
// them have a header, records in a leaf, keys and pointers of 8 bytes each
// above; the root in the inode has a short header.
const (
	extentSize          = 16
	bmap4, bmap5        = 24, 72 // bytes of the header
	bmapRoot            = 4
	bmapUUID, bmapOwner = 40, 56
	bmapCRC, bmapPlace  = 64, 24
	maxLogical          = 1 << 54
	maxMapLevels        = 12
)

// piece is a row of blocks of a fork: n blocks from its block logical on are on
// the volume from block at on, or nowhere (hole). Unwritten ones are allocated
// and read as zeros.
type piece struct {
	logical, at, n  int64
	hole, unwritten bool
	table           bool // of the tree of extents, not of the contents
}

// mapNode is a node of a tree of extents. Pointers of the root stand behind
// the room for its keys, of which that of a block is larger.
type mapNode struct {
	level, count int
	b            []byte
	room         int   // keys that fit
	end          int64 // of the blocks of the file that it is known to be of
}

func (n *mapNode) key(k int) int64 { return int64(binary.BigEndian.Uint64(n.b[8*k:])) }
func (n *mapNode) pointer(k int) uint64 {
	return binary.BigEndian.Uint64(n.b[8*n.room+8*k:])
}

// logical is the first block of a file that entry k speaks of.
func (n *mapNode) logical(k int) int64 {
	if n.level > 0 {
		return n.key(k)
	}
	return int64(binary.BigEndian.Uint64(n.b[extentSize*k:]) << 1 >> 10)
}

// extent is entry k of a leaf.
func (n *mapNode) extent(k int, s *Super) (piece, error) {
	hi, lo := binary.BigEndian.Uint64(n.b[extentSize*k:]), binary.BigEndian.Uint64(n.b[extentSize*k+8:])
	p := piece{logical: n.logical(k), n: int64(lo & (1<<21 - 1)), unwritten: hi>>63 != 0}
	var err error
	if p.at, err = s.linear(hi&0x1ff<<43|lo>>21, p.n); err == nil && p.n == 0 {
		err = errors.New("an extent of no blocks")
	}
	if err != nil {
		err = fmt.Errorf("extent %d: %w", k, err)
	}
	return p, err
}

// check proves that the entries of a node are in order, and notes their end.
func (n *mapNode) check(s *Super) error {
	if n.count == 0 {
		return errors.New("a tree of extents has a block without any")
	}
	for k := range n.count {
		at, end := n.logical(k), n.logical(k)+1
		if n.level == 0 {
			p, err := n.extent(k, s)
			if err != nil {
				return err
			}
			end = p.logical + p.n
		}
		if at < n.end || end > maxLogical {
			return fmt.Errorf("entry %d is of the blocks %d to %d, behind %d", k, at, end, n.end)
		}
		n.end = end
	}
	return nil
}

// top is the root of a fork's extents: all of them, or that of a tree. No
// extents are a node of level 0 with a count of 0.
func (i *inode) top(f *fork) (*mapNode, error) {
	be, n := binary.BigEndian, &mapNode{b: f.b}
	switch f.format {
	case formatExtents:
		if f.count > int64(len(f.b)/extentSize) {
			return nil, fmt.Errorf("inode %d: %d extents do not fit into it", i.number, f.count)
		}
		n.count = int(f.count)
	case formatBtree:
		if len(f.b) < bmapRoot {
			return nil, fmt.Errorf("inode %d: no room for extents", i.number)
		}
		n.level, n.count, n.b = int(be.Uint16(f.b)), int(be.Uint16(f.b[2:])), f.b[bmapRoot:]
		n.room = len(n.b) / 16
		if n.level == 0 || n.level > maxMapLevels || n.count > n.room || n.count == 0 {
			return nil, fmt.Errorf("inode %d: a tree of extents with %d levels and %d entries", i.number, n.level, n.count)
		}
	default:
		return nil, fmt.Errorf("inode %d: format %d has no extents", i.number, f.format)
	}
	if n.count > 0 {
		if err := n.check(i.t.s); err != nil {
			return nil, fmt.Errorf("inode %d: %w", i.number, err)
		}
	}
	return n, nil
}

// below reads the node that entry k of a node leads to, whose entries must lie
// in [lo, hi).
func (i *inode) below(n *mapNode, k int, lo, hi int64) (*mapNode, int64, error) {
	s := i.t.s
	at, err := s.linear(n.pointer(k), 1)
	if err != nil {
		return nil, 0, fmt.Errorf("inode %d: %w", i.number, err)
	}
	child, err := i.t.maps.Get(mapKey{i.number, at}, func() (*mapNode, error) { return i.mapBlock(at) })
	if err == nil && child.level != n.level-1 {
		err = fmt.Errorf("block %d: its level is %d instead of %d", at, child.level, n.level-1)
	}
	if err == nil && (child.logical(0) < lo || child.end > hi) {
		err = fmt.Errorf("block %d: it is of the blocks %d to %d, not of [%d,%d)", at, child.logical(0), child.end, lo, hi)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("inode %d: extents: %w", i.number, err)
	}
	return child, at, nil
}

// mapKey names a block of extents of an inode.
type mapKey struct {
	inode uint64
	at    int64
}

// mapBlock reads a block of a tree of extents.
func (i *inode) mapBlock(at int64) (*mapNode, error) {
	s, be := i.t.s, binary.BigEndian
	b := make([]byte, s.BlockSize)
	if err := i.t.read(b, at*s.BlockSize); err != nil {
		return nil, err
	}
	magic, header := "BMAP", bmap4
	if s.Version == 5 {
		magic, header = "BMA3", bmap5
	}
	n := &mapNode{level: int(be.Uint16(b[4:])), count: int(be.Uint16(b[6:])), b: b[header:]}
	n.room = len(n.b) / 16
	switch {
	case string(b[:4]) != magic:
		return nil, fmt.Errorf("block %d: no mark %q at offset 0", at, magic)
	case n.count > n.room:
		return nil, fmt.Errorf("block %d: %d entries at offset 6 do not fit into it", at, n.count)
	}
	if err := s.verify(b, blockHeader{bmapCRC, bmapUUID, bmapOwner, bmapPlace}, at*s.BlockSize, i.number); err != nil {
		return nil, err
	}
	if err := n.check(s); err != nil {
		return nil, fmt.Errorf("block %d: %w", at, err)
	}
	return n, nil
}

// find gives the piece that holds a block of a fork, from that block on. A hole
// ends where something is known to follow, at the latest with the last block
// that a file can have.
func (i *inode) find(f *fork, logical int64) (piece, error) {
	lo, hi := int64(0), int64(maxLogical)
	n, err := i.top(f)
	for err == nil {
		k := sort.Search(n.count, func(k int) bool { return n.logical(k) > logical }) - 1
		if k+1 < n.count {
			hi = n.logical(k + 1)
		}
		if k < 0 {
			return piece{logical: logical, hole: true, n: hi - logical}, nil
		}
		if n.level == 0 {
			p, err := n.extent(k, i.t.s)
			return p.from(logical, hi), err
		}
		lo = n.logical(k)
		n, _, err = i.below(n, k, lo, hi)
	}
	return piece{}, err
}

// from is the part of p from a block of the file on, or the hole behind p that
// ends before block hi.
func (p piece) from(logical, hi int64) piece {
	in := logical - p.logical
	if in >= p.n {
		return piece{logical: logical, hole: true, n: max(1, hi-logical)}
	}
	return piece{logical: logical, at: p.at + in, n: p.n - in, unwritten: p.unwritten}
}

// walk calls do for all that is allocated to a fork: the pieces of what it holds
// in their order, and before them the blocks of the tree that lead to them. As
// the entries of a block lie where the one above says, and there is at least
// one, no block is come to twice.
func (i *inode) walk(f *fork, do func(piece) error) error {
	if f.format != formatExtents && f.format != formatBtree || len(f.b) == 0 {
		return nil
	}
	n, err := i.top(f)
	if err != nil {
		return err
	}
	return i.walkNode(n, maxLogical, do)
}

func (i *inode) walkNode(n *mapNode, hi int64, do func(piece) error) error {
	for k := range n.count {
		if n.level == 0 {
			p, err := n.extent(k, i.t.s)
			if err == nil {
				err = do(p)
			}
			if err != nil {
				return err
			}
			continue
		}
		end := hi
		if k+1 < n.count {
			end = n.logical(k + 1)
		}
		child, at, err := i.below(n, k, n.logical(k), end)
		if err == nil {
			err = do(piece{at: at, n: 1, table: true})
		}
		if err == nil {
			err = i.walkNode(child, end, do)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// joiner gives extents, joined where one ends as the next one begins.
type joiner struct {
	yield func(block.Extent, error) bool
	cur   block.Extent
}

func (j *joiner) add(off, n int64) error {
	if j.cur.Len > 0 && j.cur.End() == off {
		j.cur.Len += n
		return nil
	}
	if err := j.flush(); err != nil {
		return err
	}
	j.cur = block.Extent{Off: off, Len: n}
	return nil
}

func (j *joiner) flush() error {
	if j.cur.Len > 0 && !j.yield(j.cur, nil) {
		return errStop
	}
	j.cur = block.Extent{}
	return nil
}

// errStop ends a walk whose caller has enough.
var errStop = errors.New("stop")
