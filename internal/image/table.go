package image

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"ingot/internal/image/internal/seal"
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
	strong side     // the hashes
	marks  side     // the tags
}

// side is a row of entries of one size beside an index, one for each element that
// is stored.
type side struct {
	pos  [2]int64 // where those of each area begin in the file
	end  int64    // 0: there are none
	size int64    // of an entry
}

func (s *side) there() bool { return s.end > 0 }

// elem is the length of an element of the blocks.
func (t *table) elem() int64 {
	if t.delta {
		return deltaSize
	}
	return elementSize
}

// findSides looks for the hashes and the tags among the metadata blocks of the
// partition.
func (t *table) findSides(list []metaBlock) error {
	for i := range list {
		m := &list[i]
		var s *side
		switch {
		case m.size == 0:
			continue
		case m.name == nameStrong:
			s, t.strong.size = &t.strong, strongSize
		case m.name == nameMarks && t.file.keys != nil:
			s, t.marks.size = &t.marks, markSize
		default:
			continue
		}
		reserved, err := t.storedReserved()
		if err != nil {
			return err
		}
		if m.flags&(flagCompressed|flagEncrypted) != 0 || m.size%s.size != 0 || m.size/s.size < reserved {
			return damaged("metadata block %q at byte %d: %d bytes, flags %#x, for %d pieces of the reserved area", m.name, m.pos, m.size, m.flags, reserved)
		}
		s.pos = [2]int64{m.pos, m.pos + reserved*s.size}
		s.end = m.pos + m.size
	}
	return nil
}

// storedReserved counts the pieces of the reserved area that are stored.
func (t *table) storedReserved() (n int64, err error) {
	bare := *t
	bare.strong, bare.marks = side{}, side{}
	for r := bare.reader(Reserved); ; n++ {
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
	mark      mark
	table     *table // where it stands
}

// mark is what authenticates a stored block: the number of the file it was first
// stored in, and the tag.
type mark [markSize]byte

const markSize = 2 + seal.TagSize

func (m *mark) file() uint16 { return binary.LittleEndian.Uint16(m[:]) }
func (m *mark) tag() []byte  { return m[2:] }

func newMark(file uint16, tag [seal.TagSize]byte) (m mark) {
	binary.LittleEndian.PutUint16(m[:], file)
	copy(m[2:], tag[:])
	return m
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
	if t.strong.there() || t.marks.there() || t.counts.blocks > maxUnordered {
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
	t    *table
	area Area
	size int64 // of an element
	at   int64 // number of the next element
	have []byte
	buf  []byte

	strong, marks sideReader
}

// sideReader goes through the entries of one area of a side.
type sideReader struct {
	at, end   int64
	size      int64
	buf, have []byte
}

func (s *side) reader(a Area) sideReader {
	r := sideReader{at: s.pos[a], end: s.end, size: s.size}
	if a == Reserved {
		r.end = s.pos[Blocks]
	}
	return r
}

// next copies the next entry to out. A row that is too short has zeros at its
// end, which is damage to who verifies and a change to who compares.
func (r *sideReader) next(f *file, out []byte) error {
	if int64(len(r.have)) < r.size {
		n := min(readElements*r.size, r.end-r.at)
		if n < r.size {
			clear(out)
			return nil
		}
		if r.buf == nil {
			r.buf = make([]byte, n)
		}
		r.have = r.buf[:n]
		if _, err := f.blob.ReadAt(r.have, r.at); err != nil {
			return fmt.Errorf("read the hashes of %s at byte %d: %w", f.name, r.at, err)
		}
		r.at += n
	}
	copy(out, r.have[:r.size])
	r.have = r.have[r.size:]
	return nil
}

func (t *table) reader(a Area) *tableReader {
	r := &tableReader{t: t, area: a, size: elementSize, strong: t.strong.reader(a), marks: t.marks.reader(a)}
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
		if rec.size > 0 {
			err = r.readSides(&rec)
		}
		return rec, err == nil, err
	}
}

// readSides reads what stands beside a stored element.
func (r *tableReader) readSides(rec *record) error {
	if r.t.strong.there() {
		rec.hasStrong = true
		if err := r.strong.next(r.t.file, rec.strong[:]); err != nil {
			return err
		}
	}
	if r.t.marks.there() {
		return r.marks.next(r.t.file, rec.mark[:])
	}
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
