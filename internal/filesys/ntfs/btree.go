package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxDepth is more levels than an index can have: a block has room for several
// entries, and an index for 2^32 of them.
const maxDepth = 32

// listPiece is how much of an index is read at a time to list all of it.
const listPiece = 256 << 10

// index is a B+tree of an MFT record: the names of a folder ($I30) or a view
// of $Secure. The root is in the record; blocks follow where it is too small.
type index struct {
	m     *mft
	rec   record
	name  string
	root  []byte // from its header on
	data  *stream
	block int64 // bytes of an index block
	step  int64 // bytes that one VCN of an index block counts for
	check func(key []byte) error
}

// indexEntry is one entry of an index. What key and head mean depends on the
// index; in a folder, head begins with a file reference.
type indexEntry struct {
	head, key, data []byte
	sub             int64 // VCN of the block with what comes before, or -1
	last            bool  // the end mark of a node: no key
}

// index opens the index with a name in a record; errNoAttribute tells that it
// has none. Each key it gives has passed check.
func (m *mft) index(rec record, name string, check func(key []byte) error) (*index, error) {
	x := &index{m: m, rec: rec, name: name, check: check}
	root, err := m.open(rec, typeIndexRoot, name)
	if err != nil {
		return nil, err
	}
	b := root.resident
	if len(b) < 32 {
		return nil, x.error("root", fmt.Errorf("%d bytes", len(b)))
	}
	x.root, x.block = b[16:], int64(binary.LittleEndian.Uint32(b[8:]))
	if b[28]&1 == 0 {
		return x, nil // small enough to be in the record alone
	}
	if x.block < fixupStride || x.block > maxRecordSize || !powerOfTwo(x.block) {
		return nil, x.error("root", fmt.Errorf("block size at offset 8 is %d", x.block))
	}
	x.step = fixupStride
	if m.boot.ClusterSize <= x.block {
		x.step = m.boot.ClusterSize
	}
	if x.data, err = m.open(rec, typeIndexAllocation, name); err != nil {
		return nil, err
	}
	if err = x.data.plain(); err == nil && (x.data.size > maxIndexSize || x.data.size > m.boot.bytes()) {
		err = fmt.Errorf("%d bytes", x.data.size)
	}
	if err != nil {
		return nil, x.error("blocks", err)
	}
	return x, nil
}

// error puts the place before an error.
func (x *index) error(what string, err error) error {
	return fmt.Errorf("index %s of MFT record %d: %s: %w", x.name, x.rec.number, what, err)
}

// seek walks the entries in order from the first one for whose key compare is
// not negative, until yield gives false. It reads the blocks on the way only,
// and no block more often than there are blocks.
func (x *index) seek(compare func(key []byte) int, yield func(indexEntry) bool) error {
	budget := int64(1)
	if x.data != nil {
		budget += x.data.size / x.block
	}
	w := indexWalk{x, compare, yield, budget}
	_, err := w.node(x.root, 0)
	return err
}

type indexWalk struct {
	*index
	compare func(key []byte) int
	yield   func(indexEntry) bool
	budget  int64
}

// node walks one node and what hangs on it; more tells to go on behind it.
func (w *indexWalk) node(b []byte, depth int) (more bool, err error) {
	if w.budget--; w.budget < 0 || depth > maxDepth {
		return false, w.error("blocks", errors.New("they refer to each other in a circle"))
	}
	entries, err := w.entries(b)
	if err != nil {
		return false, w.error("node", err)
	}
	started := false
	for _, e := range entries {
		if started = started || e.last || w.compare(e.key) >= 0; !started {
			continue
		}
		if e.sub >= 0 {
			child, err := w.read(e.sub)
			if err != nil {
				return false, err
			}
			if more, err := w.node(child, depth+1); !more || err != nil {
				return false, err
			}
		}
		if !e.last && !w.yield(e) {
			return false, nil
		}
	}
	return true, nil
}

// read gives the node in the block at a VCN.
func (x *index) read(vcn int64) ([]byte, error) {
	what := fmt.Sprintf("block at VCN %d", vcn)
	if x.data == nil || vcn > x.data.size/x.step || vcn*x.step > x.data.size-x.block {
		return nil, x.error(what, errors.New("there is none"))
	}
	b := make([]byte, x.block)
	if _, err := x.data.ReadAt(b, vcn*x.step); err != nil {
		return nil, x.error(what, err)
	}
	return x.open(b, vcn)
}

// open checks an index block and gives its node. The block says where it
// belongs, so the same bytes cannot serve in two places.
func (x *index) open(b []byte, vcn int64) ([]byte, error) {
	err := fixup(b, "INDX")
	if own := int64(binary.LittleEndian.Uint64(b[16:])); err == nil && own != vcn {
		err = fmt.Errorf("VCN at offset 16 is %d", own)
	}
	if err != nil {
		return nil, x.error(fmt.Sprintf("block at VCN %d", vcn), err)
	}
	return b[24:], nil
}

// entries reads the entries behind an index header (ntfs-3g layout.h,
// INDEX_HEADER and INDEX_ENTRY), the end mark as the last of them.
func (x *index) entries(b []byte) ([]indexEntry, error) {
	if len(b) < 16 {
		return nil, fmt.Errorf("index header of %d bytes", len(b))
	}
	off, end := int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[4:]))
	if off < 16 || end > int64(len(b)) || off > end {
		return nil, fmt.Errorf("index header: entries [%d,%d) of %d bytes", off, end, len(b))
	}
	out := make([]indexEntry, 0, (end-off)/64+1)
	for off+16 <= end {
		e, n, err := parseIndexEntry(b[off:end])
		if err == nil && !e.last {
			err = x.check(e.key)
		}
		if err != nil {
			return nil, fmt.Errorf("index entry at offset %d: %w", off, err)
		}
		out = append(out, e)
		if e.last {
			return out, nil
		}
		off += n
	}
	return nil, errors.New("index entries without an end mark")
}

// parseIndexEntry reads the entry at the start of b and gives its length.
func parseIndexEntry(b []byte) (indexEntry, int64, error) {
	const hasSub, isLast = 1, 2
	n := int(binary.LittleEndian.Uint16(b[8:]))
	if n < 16 || n > len(b) {
		return indexEntry{}, 0, fmt.Errorf("length at offset 8 is %d of %d", n, len(b))
	}
	flags := binary.LittleEndian.Uint16(b[12:])
	e := indexEntry{head: b[:16], sub: -1, last: flags&isLast != 0}
	body := n
	if flags&hasSub != 0 {
		if body -= 8; body < 16 {
			return e, 0, fmt.Errorf("length at offset 8 is %d, too short for a VCN", n)
		}
		if e.sub = int64(binary.LittleEndian.Uint64(b[body:])); e.sub < 0 {
			return e, 0, fmt.Errorf("VCN at offset %d is %d", body, e.sub)
		}
	}
	if e.last {
		return e, int64(n), nil
	}
	var err error
	if e.key, err = slice(b[:body], 16, int(binary.LittleEndian.Uint16(b[10:])), "key at offset 10"); err != nil {
		return e, 0, err
	}
	e.data = b[16+len(e.key) : body]
	return e, int64(n), nil
}

// all gives every entry of the index, in no order: those of the root and of
// each block that is in use, read from the first to the last.
func (x *index) all(yield func(indexEntry)) error {
	if err := x.each(x.root, yield); err != nil {
		return x.error("root", err)
	}
	if x.data == nil {
		return nil
	}
	blocks := x.data.size / x.block
	inUse, err := x.m.indexBits(x.rec, x.name, blocks)
	if err != nil {
		return err
	}
	set := func(i int64) bool { return inUse[i/8]>>(i%8)&1 != 0 }
	buf := make([]byte, min(x.data.size, max(listPiece, x.block)))
	for i := int64(0); i < blocks; {
		n := int64(0)
		for i+n < blocks && set(i+n) && (n+1)*x.block <= int64(len(buf)) {
			n++
		}
		if n == 0 {
			i++
			continue
		}
		if err := x.piece(buf[:n*x.block], i, yield); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// piece gives the entries of the blocks from block first on that fill buf.
func (x *index) piece(buf []byte, first int64, yield func(indexEntry)) error {
	if _, err := x.data.ReadAt(buf, first*x.block); err != nil {
		return x.error(fmt.Sprintf("block %d", first), err)
	}
	for i := range int64(len(buf)) / x.block {
		node, err := x.open(buf[i*x.block:(i+1)*x.block], (first+i)*x.block/x.step)
		if err != nil {
			return err
		}
		if err := x.each(node, yield); err != nil {
			return x.error(fmt.Sprintf("block %d", first+i), err)
		}
	}
	return nil
}

// each gives the entries of one node.
func (x *index) each(node []byte, yield func(indexEntry)) error {
	entries, err := x.entries(node)
	for _, e := range entries {
		if !e.last {
			yield(e)
		}
	}
	return err
}
