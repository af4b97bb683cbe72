package xfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// A block of a free-space btree begins with a header (xfs_format.h, struct
// xfs_btree_block, the short form); records of 8 bytes follow it in a leaf,
// keys of 8 bytes and then pointers of 4 in a node above.
const (
	header4, header5 = 16, 56 // bytes of the header
	btreeUUID        = 32
	btreeOwner       = 48
	btreeCRC         = 52
	recordSize       = 8
	pointerSize      = 4
	noBlock          = 0xffffffff
	unit             = 512 // bytes, in which version 5 counts the places of blocks
)

// kind is one of the two trees of free extents.
type kind struct {
	name, magic4, magic5 string
	before               func(a, b extent) bool // a may stand before b
}

// extent is n free blocks of a group.
type extent struct{ start, n int64 }

func (e extent) end() int64 { return e.start + e.n }

// byNumber is the tree in the order of the extents' first blocks.
func byNumber() kind {
	return kind{"bnobt", "ABTB", "AB3B", func(a, b extent) bool { return a.end() <= b.start }}
}

// bySize is the same extents in the order of their lengths.
func bySize() kind {
	return kind{"cntbt", "ABTC", "AB3C", func(a, b extent) bool { return a.n < b.n || a.n == b.n && a.end() <= b.start }}
}

// tree is one free-space btree of a group.
type tree struct {
	kind   func() kind
	root   int64 // block of the group
	levels int
}

// walk gives the extents of the tree to emit, in its order, until that returns
// false. It goes down to the first leaf and then from sibling to sibling. As
// leaves hold at least one extent (but for a lone root) and extents must ascend,
// a circle of leaves ends in an error.
func (v *Volume) walk(g *group, t *tree, emit func(e extent) bool) (stopped bool, err error) {
	k := t.kind()
	buf := make([]byte, v.super.BlockSize)
	wrap := func(err error) error {
		return fmt.Errorf("%s of allocation group %d: %w", k.name, g.no, err)
	}
	at := t.root
	for level := t.levels - 1; level > 0; level-- {
		n, err := v.readNode(g, k, buf, at, level)
		if err == nil && n.left != noBlock {
			err = fmt.Errorf("block %d is the first of its level and has a left sibling", at)
		}
		if err == nil {
			at, err = n.firstChild(g)
		}
		if err != nil {
			return false, wrap(err)
		}
	}
	w := leaves{k: k, g: g, emit: emit, left: noBlock}
	for at != noBlock {
		n, err := v.readNode(g, k, buf, at, 0)
		if err == nil {
			err = w.take(n, at, t.levels == 1)
		}
		if err != nil {
			return false, wrap(err)
		}
		if w.stopped {
			return true, nil
		}
		at = n.right
	}
	return false, nil
}

// leaves is the state of a walk over them.
type leaves struct {
	k       kind
	g       *group
	emit    func(e extent) bool
	left    int64  // the leaf before
	last    extent // the extent before
	stopped bool
}

// take gives the extents of leaf n, which is block at, to emit.
func (w *leaves) take(n node, at int64, lone bool) error {
	switch {
	case n.left != w.left:
		return fmt.Errorf("block %d has the left sibling %d instead of %d", at, n.left, w.left)
	case lone && n.right != noBlock:
		return fmt.Errorf("block %d is the root and has a sibling", at)
	case n.count == 0 && !lone:
		return fmt.Errorf("block %d is an empty leaf", at)
	}
	w.left = at
	for i := range n.count {
		e := n.record(i)
		if e.start == 0 || e.n == 0 || e.end() > w.g.length {
			return fmt.Errorf("block %d: the extent of %d blocks at %d does not lie in the group", at, e.n, e.start)
		}
		if w.last.n > 0 && !w.k.before(w.last, e) {
			return fmt.Errorf("block %d: the extent of %d blocks at %d does not come after that of %d at %d", at, e.n, e.start, w.last.n, w.last.start)
		}
		w.last = e
		if !w.emit(e) {
			w.stopped = true
			return nil
		}
	}
	return nil
}

// node is a block of a tree that was checked.
type node struct {
	count       int
	left, right int64  // siblings, or noBlock
	body        []byte // behind the header
}

// record is extent i of a leaf.
func (n node) record(i int) extent {
	b := n.body[i*recordSize:]
	return extent{int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))}
}

// firstChild is the leftmost block below a node.
func (n node) firstChild(g *group) (int64, error) {
	if n.count == 0 {
		return 0, errors.New("a node without children")
	}
	most := len(n.body) / (recordSize + pointerSize)
	return g.block(n.body, most*recordSize)
}

// readNode reads block at of the group into buf, as a block of a tree that
// stands level steps above the leaves.
func (v *Volume) readNode(g *group, k kind, buf []byte, at int64, level int) (node, error) {
	off := (g.first + at) * v.super.BlockSize
	if n, err := v.r.ReadAt(buf, off); n < len(buf) {
		return node{}, fmt.Errorf("read block %d at byte %d: %w", at, off, err)
	}
	n, err := parseNode(buf, k, &v.super, level)
	if err == nil && v.super.Version == 5 {
		err = owned(buf, &v.super, g.no, off)
	}
	for _, sibling := range []int64{n.left, n.right} {
		if err == nil && sibling != noBlock && (sibling == 0 || sibling >= g.length || sibling == at) {
			err = fmt.Errorf("sibling %d is no block of the group", sibling)
		}
	}
	if err != nil {
		return node{}, fmt.Errorf("block %d at byte %d: %w", at, off, err)
	}
	return n, nil
}

// parseNode checks the header of a block.
func parseNode(b []byte, k kind, s *Super, level int) (node, error) {
	be := binary.BigEndian
	magic, header, size := k.magic4, header4, recordSize
	if s.Version == 5 {
		magic, header = k.magic5, header5
	}
	if level > 0 {
		size += pointerSize
	}
	n := node{int(be.Uint16(b[6:])), int64(be.Uint32(b[8:])), int64(be.Uint32(b[12:])), b[header:]}
	switch {
	case string(b[:4]) != magic:
		return n, fmt.Errorf("no mark %q at offset 0", magic)
	case s.Version == 5 && !checksum(b, btreeCRC):
		return n, fmt.Errorf("the checksum at offset %d is wrong", btreeCRC)
	case int(be.Uint16(b[4:])) != level:
		return n, fmt.Errorf("its level at offset 4 is %d instead of %d", be.Uint16(b[4:]), level)
	case n.count > len(n.body)/size:
		return n, fmt.Errorf("%d records at offset 6 do not fit into it", n.count)
	}
	return n, nil
}

// owned checks what version 5 says of whose block it is and where.
func owned(b []byte, s *Super, no, off int64) error {
	be := binary.BigEndian
	switch {
	case be.Uint64(b[16:]) != uint64(off/unit):
		return fmt.Errorf("it says at offset 16 that it lies in sector %d", be.Uint64(b[16:]))
	case !bytes.Equal(b[btreeUUID:btreeUUID+16], s.MetaUUID[:]):
		return errors.New("it belongs to another volume")
	case int64(be.Uint32(b[btreeOwner:])) != no:
		return fmt.Errorf("it says at offset %d that it is of group %d", btreeOwner, be.Uint32(b[btreeOwner:]))
	}
	return nil
}
