package image

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"ingot/internal/block"
	"ingot/internal/image/internal/frame"
	"ingot/internal/image/internal/seal"
)

// Volume is a partition at a point in time: a block.Reader over its bytes, in
// which what is not stored reads as zeros. Blocks are checked by their MD5
// before a byte of them is given out.
type Volume struct {
	Doc *Partition

	chain  *Chain
	disk   *Disk
	keys   *seal.Keys // nil: not encrypted
	level  frame.Level
	size   int64
	spaces []space  // ascending, apart
	tables []*table // the indexes, a full one first; the last is of the point's own file
	pool   sync.Pool
}

// Size implements block.Reader: the length of the partition in bytes.
func (v *Volume) Size() int64 { return v.size }

// BlockSize is the size of a block in bytes: reads that begin on one and are a
// multiple of it are the fastest.
func (v *Volume) BlockSize() int64 { return v.Doc.Header.BlockSize }

// Stored is the map of what the image holds of the partition. It walks the
// index in the file and holds none of it.
func (v *Volume) Stored() block.Map { return stored{v} }

type stored struct{ v *Volume }

func (m stored) Extents() iter.Seq2[block.Extent, error] {
	return m.ExtentsIn(block.Extent{Len: m.v.size})
}

// ExtentsIn implements block.Seeker: no more of the index is read than the
// elements of the range.
func (m stored) ExtentsIn(in block.Extent) iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for i := range m.v.spaces {
			s := &m.v.spaces[i]
			first, end := max(in.Off-s.base, 0)/s.piece, (min(in.End(), s.end())-s.base+s.piece-1)/s.piece
			if first < end && !m.v.walk(s, first, end, yield) {
				return
			}
		}
	}
}

// elements walks the index of one space, from one element up to before another,
// until f returns false.
func (v *Volume) elements(s *space, first, end int64, f func(piece int64, e *element) bool) error {
	step := int64(16) // of which more are read the further it goes
	var buf []byte
	for i, end := first, min(end, s.count); i < end; {
		n := min(step, end-i)
		if int64(len(buf)) < n*s.rec {
			buf = make([]byte, n*s.rec)
		}
		if _, err := s.index.ReadAt(buf[:n*s.rec], s.elems+i*s.rec); err != nil {
			return fmt.Errorf("read the index of partition %d: %w", v.Doc.Header.Number, err)
		}
		for k := range n {
			var e element
			e.decode(buf[k*s.rec:])
			if !f(i+k, &e) {
				return nil
			}
		}
		i, step = i+n, min(2*step, 2048)
	}
	return nil
}

// walk yields the stored extents of one space, of pieces first up to before end.
func (v *Volume) walk(s *space, first, end int64, yield func(block.Extent, error) bool) bool {
	var cur block.Extent
	more := true
	err := v.elements(s, first, end, func(piece int64, e *element) bool {
		if e.size == 0 {
			return true
		}
		off, length := s.base+piece*s.piece, s.length(piece)
		if cur.Len > 0 && cur.End() == off {
			cur.Len += length
			return true
		}
		if cur.Len > 0 {
			more = yield(cur, nil)
		}
		cur = block.Extent{Off: off, Len: length}
		return more
	})
	switch {
	case !more:
		return false
	case err != nil:
		yield(block.Extent{}, err)
		return false
	}
	return cur.Len == 0 || yield(cur, nil)
}

// ReadAt implements block.Reader. An error of damaged content wraps ErrDamaged
// and says which bytes of the partition it concerns.
func (v *Volume) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > v.size {
		return 0, fmt.Errorf("read partition %d at byte %d: it has %d", v.Doc.Header.Number, off, v.size)
	}
	whole := len(p)
	p = p[:min(int64(len(p)), v.size-off)]
	done := 0
	for done < len(p) {
		n, err := v.readSome(p[done:], off+int64(done))
		if err != nil {
			return done, fmt.Errorf("read partition %d: %w", v.Doc.Header.Number, err)
		}
		done += n
	}
	if done < whole {
		return done, io.EOF
	}
	return done, nil
}

// readSome fills the front of p from one space, or from the gap before the
// next, and says how much that was.
func (v *Volume) readSome(p []byte, off int64) (int, error) {
	for i := range v.spaces {
		s := &v.spaces[i]
		if off < s.base {
			return zero(p, s.base-off), nil
		}
		if off < s.end() {
			return v.readSpace(s, p, off)
		}
	}
	return zero(p, int64(len(p))), nil
}

func zero(p []byte, n int64) int {
	p = p[:min(n, int64(len(p)))]
	clear(p)
	return len(p)
}

// readSpace reads whole pieces straight into p, or a part of one by way of a
// buffer.
func (v *Volume) readSpace(s *space, p []byte, off int64) (int, error) {
	i, skip := (off-s.base)/s.piece, (off-s.base)%s.piece
	fail := func(_ int64, err error) error { return err }
	var n, fit int64
	for skip == 0 && i+n < (s.size+s.piece-1)/s.piece && fit+s.length(i+n) <= int64(len(p)) {
		fit += s.length(i + n)
		n++
	}
	if n > 0 {
		return int(fit), v.load(s, i, n, p[:fit], fail)
	}
	t := v.tools()
	defer v.pool.Put(t)
	if int64(cap(t.piece)) < s.piece {
		t.piece = make([]byte, s.piece)
	}
	b := t.piece[:s.length(i)]
	if err := v.load(s, i, 1, b, fail); err != nil {
		return 0, err
	}
	return copy(p, b[skip:]), nil
}

func (v *Volume) tools() *tools {
	if t, ok := v.pool.Get().(*tools); ok {
		return t
	}
	t := &tools{dec: frame.NewDecoder(v.level)}
	if v.keys != nil {
		t.seal = v.keys.Worker()
	}
	return t
}

// load decodes the n pieces from number first on into dst, which is as long as
// they are together; those not stored become zeros. bad is told of every piece
// that is damaged; what it returns ends the load, nil goes on.
func (v *Volume) load(s *space, first, n int64, dst []byte, bad func(piece int64, err error) error) error {
	return v.pass(&row{space: s, first: first, n: n}, dst, true, bad)
}

// check is load for the sake of the hashes alone, the strong ones too: what dst
// holds afterwards is not defined, since content that can be hashed where it was
// read stays there.
func (v *Volume) check(r *row, dst []byte, bad func(piece int64, err error) error) error {
	return v.pass(r, dst, false, bad)
}

func (v *Volume) pass(r *row, dst []byte, keep bool, bad func(int64, error) error) error {
	t := v.tools()
	defer v.pool.Put(t)
	if err := v.readElements(t, r.space, r.first, r.n); err != nil {
		return err
	}
	for i := int64(0); i < r.n; {
		group := v.group(t.elems[i:])
		lo := i * r.space.piece
		hi := min(lo+group*r.space.piece, int64(len(dst)))
		if t.elems[i].size == 0 {
			clear(dst[lo:hi])
		} else {
			part := row{space: r.space, first: r.first + i, n: group, marks: t.marks[i : i+group]}
			if r.strong != nil {
				part.strong = r.strong[i : i+group]
			}
			if err := v.passGroup(t, &part, t.elems[i:i+group], dst[lo:hi], keep, bad); err != nil {
				return err
			}
		}
		i += group
	}
	return nil
}

// readElements reads the index elements of n pieces; those behind the end of
// the index are free.
func (v *Volume) readElements(t *tools, s *space, first, n int64) error {
	if int64(cap(t.elems)) < n {
		t.elems, t.marks, t.sums = make([]element, n), make([]mark, n), make([][md5.Size]byte, n)
		t.raw = make([]byte, n*(elementSize+markSize))
	}
	t.elems, t.marks = t.elems[:n], t.marks[:n]
	clear(t.elems)
	have := max(min(n, s.count-first), 0)
	raw := t.raw[:have*s.rec]
	if _, err := s.index.ReadAt(raw, s.elems+first*s.rec); err != nil && have > 0 {
		return fmt.Errorf("read the index: %w", err)
	}
	for i := range have {
		t.elems[i].decode(raw[i*s.rec:])
		if s.rec > elementSize {
			copy(t.marks[i][:], raw[i*s.rec+elementSize:])
		}
	}
	return nil
}

// maxGroup bounds the bytes that are read at once.
const maxGroup = 8 << 20

// group counts the elements at the front of es that are free, or that are
// stored one behind the other in the file and so can be read at once.
func (v *Volume) group(es []element) int64 {
	n, total := 1, int64(es[0].size)
	for n < len(es) {
		prev, e := &es[n-1], &es[n]
		total += int64(e.size)
		if (e.size == 0) != (es[0].size == 0) || e.size > 0 &&
			(e.file != prev.file || e.pos != prev.pos+int64(prev.size) || total > maxGroup) {
			break
		}
		n++
	}
	return int64(n)
}

// passGroup reads, decodes and hashes neighbouring stored pieces.
func (v *Volume) passGroup(t *tools, r *row, es []element, dst []byte, keep bool, bad func(int64, error) error) error {
	stored, err := v.readStored(t, r.space, es)
	if err != nil {
		return v.passSingly(t, r, es, dst, keep, bad, err)
	}
	failed := t.decode(v, r, es, stored, dst, keep)
	for i := range es {
		err := failed[i]
		if err == nil && t.sums[i] != es[i].sum {
			err = errors.New("its MD5 is wrong")
		}
		if err != nil {
			if err := bad(r.first+int64(i), v.where(r.space, r.first+int64(i), err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// passSingly goes through pieces one by one when they could not be read
// together: one of them is out of bounds, or cannot be read.
func (v *Volume) passSingly(t *tools, r *row, es []element, dst []byte, keep bool, bad func(int64, error) error, cause error) error {
	if len(es) == 1 {
		return bad(r.first, v.where(r.space, r.first, cause))
	}
	for i := range es {
		lo := int64(i) * r.space.piece
		hi := min(lo+r.space.piece, int64(len(dst)))
		one := row{space: r.space, first: r.first + int64(i), n: 1, marks: r.marks[i : i+1]}
		if r.strong != nil {
			one.strong = r.strong[i : i+1]
		}
		if err := v.passGroup(t, &one, es[i:i+1], dst[lo:hi], keep, bad); err != nil {
			return err
		}
	}
	return nil
}

// concealedSum is what an index holds in the place of an MD5 when hashes are
// concealed.
func concealedSum(strong [strongSize]byte) [md5.Size]byte { return [md5.Size]byte(strong[:md5.Size]) }

// place is where a piece belongs, but for the file.
func (v *Volume) place(s *space, piece int64) seal.Place {
	id, _ := v.chain.Doc.Header.imageID() // it made the keys
	return seal.Place{
		ImageID: id, Disk: uint16(v.disk.Header.Number), Partition: uint16(v.Doc.Header.Number),
		Area: uint8(s.area), Index: uint32(piece),
	}
}

// readStored reads what is stored of neighbouring pieces, all of one file,
// after a look at whether it can be there.
func (v *Volume) readStored(t *tools, s *space, es []element) ([]byte, error) {
	f := v.chain.number[int64(es[0].file)]
	if f == nil {
		return nil, fmt.Errorf("its index element names file %d, which is not part of this image", es[0].file)
	}
	var total int64
	for i := range es {
		if err := es[i].check(f, s.piece); err != nil {
			return nil, err
		}
		total += int64(es[i].size)
	}
	if int64(cap(t.stored)) < total {
		t.stored = make([]byte, total)
	}
	b := t.stored[:total]
	if _, err := f.blob.ReadAt(b, es[0].pos); err != nil {
		return nil, fmt.Errorf("read image file %s at byte %d: %w", f.name, es[0].pos, err)
	}
	return b, nil
}

// check looks at whether what e says of a piece can be in file f.
func (e *element) check(f *file, piece int64) error {
	switch {
	case e.pos < 0 || e.pos > f.end || int64(e.size) > f.end-e.pos:
		return fmt.Errorf("its index element (position %d, length %d) does not lie in the %d bytes of data of %s", e.pos, e.size, f.end, f.name)
	case int64(e.size) > 2*piece+4096:
		return fmt.Errorf("its stored length %d is too much for %d bytes", e.size, piece)
	}
	return nil
}

// where puts the place into an error of one piece.
func (v *Volume) where(s *space, piece int64, err error) error {
	off := s.base + piece*s.piece
	return fmt.Errorf("%w: block %d (bytes %d to %d of the partition): %w", ErrDamaged, piece, off, off+s.length(piece)-1, err)
}

// Totals is how much an image holds of a partition.
type Totals struct {
	Blocks int64 // stored ones
	Raw    int64 // bytes of these on the disk
	Stored int64 // bytes of these in the file
}

// Totals counts what is stored. It reads the whole index.
func (v *Volume) Totals() (t Totals, err error) {
	for i := range v.spaces {
		s := &v.spaces[i]
		err := v.elements(s, 0, s.count, func(piece int64, e *element) bool {
			if e.size > 0 {
				t.Blocks++
				t.Raw += s.length(piece)
				t.Stored += int64(e.size)
			}
			return true
		})
		if err != nil {
			return t, err
		}
	}
	return t, nil
}
