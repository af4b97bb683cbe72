package image

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// table is the index of one partition in one file: the pieces of its reserved
// area, always all of them, and its blocks: all of them, or in a delta index
// those that are not as in the file before.
type table struct {
	file   *file
	list   []metaBlock // the metadata of the partition, the index last
	index  io.ReaderAt // what pos counts in
	delta  bool
	counts indexCounts
	limit  [2]int64 // how many pieces each area can have
	pos    [2]int64 // of the first element of each area
	// strong is where the hashes of each area begin in the file, one for each
	// element that is stored; 0: there are none.
	strong    [2]int64
	strongEnd int64
}

// elem is the length of an element of the blocks.
func (t *table) elem() int64 {
	if t.delta {
		return deltaSize
	}
	return elementSize
}

// findStrong looks for the hashes among the metadata blocks of the partition.
func (t *table) findStrong(list []metaBlock) error {
	for i := range list {
		m := &list[i]
		if m.name != nameStrong || m.size == 0 {
			continue
		}
		reserved, err := t.storedReserved()
		if err != nil {
			return err
		}
		if m.flags&(flagCompressed|flagEncrypted) != 0 || m.size%strongSize != 0 || m.size/strongSize < reserved {
			return damaged("metadata block %q at byte %d: %d bytes, flags %#x, for %d pieces of the reserved area", m.name, m.pos, m.size, m.flags, reserved)
		}
		t.strong[Reserved] = m.pos
		t.strong[Blocks] = m.pos + reserved*strongSize
		t.strongEnd = m.pos + m.size
	}
	return nil
}

// storedReserved counts the pieces of the reserved area that are stored.
func (t *table) storedReserved() (n int64, err error) {
	for r := t.reader(Reserved); ; n++ {
		if _, ok, err := r.next(); err != nil || !ok {
			return n, err
		}
	}
}

// record is one piece and what an index says of it.
type record struct {
	piece int64
	element
	strong    [strongSize]byte
	hasStrong bool
	table     *table // where it stands
}

func (r *record) decode(b []byte, delta bool) {
	r.element.decode(b)
	if delta {
		r.piece = int64(binary.LittleEndian.Uint32(b[elementSize:]))
	}
}

// maxUnordered is how many elements of a delta index are put into order in
// memory, should its writer not have done so.
const maxUnordered = 1 << 20

// order makes sure that the elements of a delta index ascend. Ingot writes them
// so; nothing in the layout says that others do.
func (t *table) order() error {
	var last int64 = -1
	ordered := true
	err := t.scan(func(rec *record, _ []byte) error {
		if rec.piece >= t.limit[Blocks] {
			return damaged("a delta index names block %d of %d", rec.piece, t.limit[Blocks])
		}
		ordered = ordered && rec.piece > last
		last = rec.piece
		return nil
	})
	if err != nil || ordered {
		return err
	}
	if t.strong[Blocks] != 0 || t.counts.blocks > maxUnordered {
		return damaged("a delta index of %d elements is not in order", t.counts.blocks)
	}
	return t.sort()
}

// scan goes through the elements of the blocks in the order in which they
// stand.
func (t *table) scan(f func(*record, []byte) error) error {
	size := t.elem()
	buf := make([]byte, readElements*size)
	for i := int64(0); i < t.counts.blocks; i += readElements {
		b := buf[:min(readElements, t.counts.blocks-i)*size]
		if _, err := t.index.ReadAt(b, t.pos[Blocks]+i*size); err != nil {
			return fmt.Errorf("read the index at byte %d: %w", t.pos[Blocks]+i*size, err)
		}
		for ; len(b) > 0; b = b[size:] {
			var rec record
			rec.decode(b, t.delta)
			if err := f(&rec, b[:size]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sort puts the elements of the blocks into order, in memory; of several of one
// block the last one counts, as with who lays them over a full index in turn.
func (t *table) sort() error {
	type entry struct {
		piece int64
		raw   []byte
	}
	var all []entry
	err := t.scan(func(rec *record, b []byte) error {
		all = append(all, entry{rec.piece, bytes.Clone(b)})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.piece, b.piece) })
	var out []byte
	var n int64
	for i, e := range all {
		if i+1 < len(all) && all[i+1].piece == e.piece {
			continue
		}
		out = append(out, e.raw...)
		n++
	}
	// The reserved area stays in the file: only the blocks are read from here.
	t.index, t.counts.blocks = reordered{bytes.NewReader(out), t.index, t.pos[Blocks]}, n
	return nil
}

// reordered is an index whose blocks, from byte pos on, were put into order.
type reordered struct {
	blocks *bytes.Reader
	rest   io.ReaderAt
	pos    int64
}

// ReadAt implements io.ReaderAt; no read crosses pos.
func (r reordered) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.pos {
		return r.blocks.ReadAt(p, off-r.pos)
	}
	return r.rest.ReadAt(p, off)
}

// readElements is how many elements are read at a time.
const readElements = 1024

// tableReader goes through the elements of one area, in ascending order of
// their pieces. Those of a full index that are not stored are passed over; in a
// delta index they say that a block is free now.
type tableReader struct {
	t     *table
	area  Area
	size  int64 // of an element
	at    int64 // number of the next element
	have  []byte
	hash  int64 // number of the next hash
	buf   []byte
	sums  []byte // hashes from number sumAt on
	sumAt int64
}

func (t *table) reader(a Area) *tableReader {
	r := &tableReader{t: t, area: a, size: elementSize}
	if a == Blocks {
		r.size = t.elem()
	}
	return r
}

func (r *tableReader) delta() bool { return r.area == Blocks && r.t.delta }

func (r *tableReader) count() int64 {
	if r.area == Reserved {
		return r.t.counts.reserved
	}
	return r.t.counts.blocks
}

// next gives the next element; ok is false behind the last one.
func (r *tableReader) next() (rec record, ok bool, err error) {
	for {
		if len(r.have) == 0 {
			n := min(readElements, r.count()-r.at)
			if n <= 0 {
				return rec, false, nil
			}
			if r.buf == nil {
				r.buf = make([]byte, n*r.size)
			}
			r.have = r.buf[:n*r.size]
			if _, err := r.t.index.ReadAt(r.have, r.t.pos[r.area]+r.at*r.size); err != nil {
				return rec, false, fmt.Errorf("read the index of %s: %w", r.t.file.name, err)
			}
		}
		rec.piece = r.at
		rec.decode(r.have, r.delta())
		r.have = r.have[r.size:]
		r.at++
		if rec.size == 0 && !r.delta() {
			continue
		}
		rec.table = r.t
		if rec.size > 0 && r.t.strong[Blocks] != 0 {
			err = r.readStrong(&rec)
		}
		return rec, err == nil, err
	}
}

// readStrong reads the hash of a stored piece; they stand in the order of the
// elements.
func (r *tableReader) readStrong(rec *record) error {
	if at := (r.hash - r.sumAt) * strongSize; len(r.sums) == 0 || at >= int64(len(r.sums)) {
		if r.sums == nil {
			r.sums = make([]byte, readElements*strongSize)
		}
		off := r.t.strong[r.area] + r.hash*strongSize
		n := min(int64(cap(r.sums)), r.t.strongEnd-off)
		if n < strongSize {
			// Fewer hashes than blocks: what is left matches nothing, which is
			// damage to who verifies and a change to who compares.
			rec.hasStrong = true
			return nil
		}
		r.sums, r.sumAt = r.sums[:n], r.hash
		if _, err := r.t.file.blob.ReadAt(r.sums, off); err != nil {
			return fmt.Errorf("read the hashes of %s at byte %d: %w", r.t.file.name, off, err)
		}
	}
	copy(rec.strong[:], r.sums[(r.hash-r.sumAt)*strongSize:])
	rec.hasStrong = true
	r.hash++
	return nil
}

// stateReader goes through the stored blocks of a volume at a point in time: a
// full index with delta indexes laid over it.
type stateReader struct {
	heads []head // a heap, the lowest piece first, of equal ones the newest
	bare  bool   // give what is free too
}

type head struct {
	rec record
	age int // 0: the newest table
	r   *tableReader
}

// newState makes a stateReader of tables, the oldest and full one first.
func newState(tables []*table) (*stateReader, error) {
	s := new(stateReader)
	for i, t := range tables {
		h := head{r: t.reader(Blocks), age: len(tables) - 1 - i}
		var ok bool
		var err error
		if h.rec, ok, err = h.r.next(); err != nil {
			return nil, err
		}
		if ok {
			s.heads = append(s.heads, h)
		}
	}
	for i := len(s.heads)/2 - 1; i >= 0; i-- {
		s.sink(i)
	}
	return s, nil
}

func (s *stateReader) less(i, j int) bool {
	a, b := &s.heads[i], &s.heads[j]
	if a.rec.piece != b.rec.piece {
		return a.rec.piece < b.rec.piece
	}
	return a.age < b.age
}

func (s *stateReader) sink(i int) {
	for {
		low := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(s.heads); c++ {
			if s.less(c, low) {
				low = c
			}
		}
		if low == i {
			return
		}
		s.heads[i], s.heads[low] = s.heads[low], s.heads[i]
		i = low
	}
}

// step takes the next record of the lowest head.
func (s *stateReader) step() error {
	h := &s.heads[0]
	rec, ok, err := h.r.next()
	if err != nil {
		return err
	}
	if ok && rec.piece <= h.rec.piece {
		return damaged("the index of %s is not in order at block %d", h.r.t.file.name, rec.piece)
	}
	if h.rec = rec; !ok {
		last := len(s.heads) - 1
		s.heads[0] = s.heads[last]
		s.heads = s.heads[:last]
	}
	s.sink(0)
	return nil
}

// next gives the next stored block; ok is false behind the last one.
func (s *stateReader) next() (rec record, ok bool, err error) {
	for len(s.heads) > 0 {
		rec = s.heads[0].rec
		for len(s.heads) > 0 && s.heads[0].rec.piece == rec.piece {
			if err := s.step(); err != nil {
				return rec, false, err
			}
		}
		if rec.size > 0 || s.bare {
			return rec, true, nil
		}
	}
	return rec, false, nil
}
