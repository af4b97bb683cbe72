package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sort"

	"ingot/internal/block"
)

// hole is the place of blocks that a file does not have.
const hole = 0

// piece is a row of blocks of a file: n blocks from its block logical on are on
// the volume from block at on, or nowhere (hole). Unwritten ones are allocated
// and read as zeros.
type piece struct {
	logical, at, n int64
	unwritten      bool
	table          bool // of the map, not of the contents
}

// find gives the piece that holds a block of a file, from that block on. A
// hole ends where something is known to follow, at the latest with the last
// block that a file can have.
func (t *Tree) find(i *inode, logical int64) (piece, error) {
	if i.flags&flagExtents != 0 {
		return t.findExtent(i, logical)
	}
	return t.findMapped(i, logical)
}

// pieces walks all that is allocated to the contents of a file, in their order.
func (t *Tree) pieces(i *inode) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		err := t.walk(i, func(p piece) error {
			if !p.table && !yield(p, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(piece{}, fmt.Errorf("inode %d: %w", i.number, err))
		}
	}
}

// walk calls do for all that is allocated to a file: the pieces of its contents
// in their order, and before them the blocks of the map that lead to them.
func (t *Tree) walk(i *inode, do func(piece) error) error {
	w := walk{t: t, i: i, do: do, budget: t.s.blocks}
	switch {
	case i.flags&flagInline != 0 || t.s.fastLink(i):
		return nil
	case i.kind() != modeFile && i.kind() != modeDir && i.kind() != modeLink:
		return nil
	case i.flags&flagExtents != 0:
		return w.extents(i.block[:])
	}
	return w.mapped()
}

// maxLogical is the end of the numbers of a file's blocks.
const maxLogical = 1 << 32

// walk is one pass over what is allocated to a file. No file has more blocks,
// those of its map included, than the volume has: a map in circles ends there.
type walk struct {
	t      *Tree
	i      *inode
	do     func(piece) error
	budget int64
}

func (w *walk) give(p piece) error {
	if w.budget -= p.n; w.budget < 0 {
		return errors.New("it has more blocks than the volume")
	}
	return w.do(p)
}

// extentNode is a node of the tree of extents: the root in the inode, or a
// block. Entries have 12 bytes.
type extentNode struct {
	depth   int
	entries []byte
}

func (n extentNode) len() int { return len(n.entries) / 12 }

// logical is the first block of a file that entry k speaks of.
func (n extentNode) logical(k int) int64 {
	return int64(binary.LittleEndian.Uint32(n.entries[12*k:]))
}

// child is the block that entry k of an inner node points to.
func (n extentNode) child(k int) int64 {
	e := n.entries[12*k:]
	return int64(binary.LittleEndian.Uint32(e[4:])) | int64(binary.LittleEndian.Uint16(e[8:]))<<32
}

// extent is entry k of a leaf. A length above 2^15 is that of blocks that were
// not written yet.
func (n extentNode) extent(k int) piece {
	e := n.entries[12*k:]
	p := piece{
		logical: n.logical(k), n: int64(binary.LittleEndian.Uint16(e[4:])),
		at: int64(binary.LittleEndian.Uint32(e[8:])) | int64(binary.LittleEndian.Uint16(e[6:]))<<32,
	}
	if p.n > 1<<15 {
		p.n -= 1 << 15
		p.unwritten = true
	}
	return p
}

// parseExtents reads a node for the blocks [lo, hi) of a file and proves that
// its entries are in order and inside of the volume. depth is what the node
// above asks for, -1 for the root.
func (s *super) parseExtents(b []byte, depth int, lo, hi int64) (extentNode, error) {
	u16 := func(off int) int { return int(binary.LittleEndian.Uint16(b[off:])) }
	n := extentNode{depth: u16(6)}
	count, room := u16(2), u16(4)
	switch {
	case u16(0) != 0xf30a:
		return n, fmt.Errorf("extents: magic number is %#x", u16(0))
	case n.depth > 5 || depth >= 0 && n.depth != depth:
		return n, fmt.Errorf("extents: depth is %d", n.depth)
	case count > room || 12+12*room > len(b):
		return n, fmt.Errorf("extents: %d entries of %d in %d bytes", count, room, len(b))
	}
	n.entries = b[12 : 12+12*count]
	for k := range count {
		p := piece{logical: n.logical(k), at: n.child(k), n: 1}
		if n.depth == 0 {
			p = n.extent(k)
		}
		if p.logical < lo || p.n == 0 || p.logical+p.n > hi || !s.inside(p.at, p.n) {
			return n, fmt.Errorf("extents: entry %d has %d blocks from %d on at block %d, it must lie in [%d,%d)", k, p.n, p.logical, p.at, lo, hi)
		}
		lo = p.logical + p.n
	}
	return n, nil
}

// extentBlock reads a node that has a block of its own, and checks the checksum
// behind the room for its entries.
func (t *Tree) extentBlock(i *inode, at int64, depth int, lo, hi int64) (extentNode, error) {
	b, err := t.block(at)
	if err != nil {
		return extentNode{}, err
	}
	n, err := t.s.parseExtents(b, depth, lo, hi)
	if err != nil {
		return n, fmt.Errorf("block %d: %w", at, err)
	}
	end := 12 + 12*int(binary.LittleEndian.Uint16(b[4:]))
	if t.s.metadataCsum() {
		if end+4 > len(b) || crc32c(i.seed, b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
			return n, fmt.Errorf("block %d: extents: wrong checksum", at)
		}
	}
	return n, nil
}

// findExtent goes down the tree of extents to a block of a file.
func (t *Tree) findExtent(i *inode, logical int64) (piece, error) {
	lo, hi := int64(0), int64(maxLogical)
	n, err := t.s.parseExtents(i.block[:], -1, lo, hi)
	for err == nil {
		k := sort.Search(n.len(), func(k int) bool { return n.logical(k) > logical }) - 1
		if k+1 < n.len() {
			hi = n.logical(k + 1)
		}
		if k < 0 {
			return piece{logical: logical, at: hole, n: hi - logical}, nil
		}
		if n.depth == 0 {
			return n.extent(k).from(logical, hi), nil
		}
		lo = n.logical(k)
		n, err = t.extentBlock(i, n.child(k), n.depth-1, lo, hi)
	}
	return piece{}, err
}

// from is the part of p from a block of the file on, or the hole behind p that
// ends before block hi.
func (p piece) from(logical, hi int64) piece {
	in := logical - p.logical
	if in >= p.n {
		return piece{logical: logical, at: hole, n: hi - logical}
	}
	return piece{logical: logical, at: p.at + in, n: p.n - in, unwritten: p.unwritten}
}

// extents walks the tree of extents, whose depth is at most 5.
func (w *walk) extents(root []byte) error {
	n, err := w.t.s.parseExtents(root, -1, 0, maxLogical)
	if err != nil {
		return err
	}
	return w.node(n, maxLogical)
}

func (w *walk) node(n extentNode, hi int64) error {
	for k := range n.len() {
		if n.depth == 0 {
			if err := w.give(n.extent(k)); err != nil {
				return err
			}
			continue
		}
		end := hi
		if k+1 < n.len() {
			end = n.logical(k + 1)
		}
		err := w.give(piece{logical: n.logical(k), at: n.child(k), n: 1, table: true})
		if err != nil {
			return err
		}
		child, err := w.t.extentBlock(w.i, n.child(k), n.depth-1, n.logical(k), end)
		if err == nil {
			err = w.node(child, end)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// direct is how many blocks of a file the inode itself points to; the three
// pointers behind them are indirect by one to three steps.
const direct = 12

// findMapped finds a block of a file by the block map of ext2 and ext3.
func (t *Tree) findMapped(i *inode, logical int64) (piece, error) {
	if logical < direct {
		return t.s.row(i.block[:4*direct], logical, logical)
	}
	per := t.s.blockSize / 4
	rel, span := logical-direct, int64(1)
	for level := int64(0); level < 3; level++ {
		span *= per
		if rel >= span {
			rel -= span
			continue
		}
		at := pointer(i.block[:], direct+level)
		for ; span > 1; span /= per {
			if at == hole {
				return piece{logical: logical, at: hole, n: span - rel%span}, nil
			}
			b, err := t.pointers(at)
			if err != nil {
				return piece{}, err
			}
			if span == per {
				return t.s.row(b, rel%per, logical)
			}
			at = pointer(b, rel%span/(span/per))
		}
	}
	return piece{logical: logical, at: hole, n: max(1, maxLogical-logical)}, nil
}

func pointer(b []byte, k int64) int64 { return int64(binary.LittleEndian.Uint32(b[4*k:])) }

// pointers reads a block of the block map.
func (t *Tree) pointers(at int64) ([]byte, error) {
	if !t.s.inside(at, 1) {
		return nil, fmt.Errorf("block map: block %d of %d", at, t.s.blocks)
	}
	return t.block(at)
}

// row is the piece that begins with pointer k of b: as far as pointers follow
// each other, or are all holes.
func (s *super) row(b []byte, k, logical int64) (piece, error) {
	p := piece{logical: logical, at: pointer(b, k), n: 1}
	step := int64(1)
	if p.at == hole {
		step = 0
	}
	for k+p.n < int64(len(b)/4) && pointer(b, k+p.n) == p.at+step*p.n {
		p.n++
	}
	if p.at != hole && !s.inside(p.at, p.n) {
		return p, fmt.Errorf("block map: %d blocks at block %d of %d", p.n, p.at, s.blocks)
	}
	return p, nil
}

// mapped walks a block map.
func (w *walk) mapped() error {
	if err := w.rows(w.i.block[:4*direct], 0); err != nil {
		return err
	}
	per := w.t.s.blockSize / 4
	logical, span := int64(direct), int64(1)
	for level := int64(0); level < 3; level++ {
		span *= per
		if err := w.tree(pointer(w.i.block[:], direct+level), logical, span); err != nil {
			return err
		}
		logical += span
	}
	return nil
}

// tree walks a block of pointers for span blocks of the file, and what is
// below it: at most three steps.
func (w *walk) tree(at, logical, span int64) error {
	if at == hole {
		return nil
	}
	b, err := w.t.pointers(at)
	if err == nil {
		err = w.give(piece{logical: logical, at: at, n: 1, table: true})
	}
	if err != nil {
		return err
	}
	per := w.t.s.blockSize / 4
	if span == per {
		return w.rows(b, logical)
	}
	for k := range per {
		if err := w.tree(pointer(b, k), logical+k*(span/per), span/per); err != nil {
			return err
		}
	}
	return nil
}

// rows gives the pieces of one block of pointers.
func (w *walk) rows(b []byte, logical int64) error {
	for k := int64(0); k < int64(len(b)/4); {
		p, err := w.t.s.row(b, k, logical+k)
		if err != nil {
			return err
		}
		if p.at != hole {
			if err := w.give(p); err != nil {
				return err
			}
		}
		k += p.n
	}
	return nil
}

// clusters are the clusters of the contents of a file, as bytes of the volume.
// Those that touch the one before it are joined to it.
func (t *Tree) clusters(i *inode) iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		j := joiner{yield: yield}
		for p, err := range t.pieces(i) {
			if err != nil {
				yield(block.Extent{}, err)
				return
			}
			if j.add(t.s.whole(p, j.cur)) == errStop {
				return
			}
		}
		_ = j.flush()
	}
}

// whole gives the place and size in bytes of the clusters of p, without the
// cluster that it shares with the end of last.
func (s *super) whole(p piece, last block.Extent) (off, n int64) {
	start := s.first * s.blockSize
	off = (p.at*s.blockSize-start)/s.clusterSize*s.clusterSize + start
	end := ((p.at+p.n)*s.blockSize-start+s.clusterSize-1)/s.clusterSize*s.clusterSize + start
	end = min(end, s.blocks*s.blockSize)
	if last.Len > 0 && off < last.End() && off >= last.Off {
		off = min(last.End(), end)
	}
	return off, end - off
}
