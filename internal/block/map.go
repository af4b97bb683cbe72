package block

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Extent is the range of bytes [Off, Off+Len).
type Extent struct{ Off, Len int64 }

// End is the offset of the first byte behind the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// String prints the extent as a half-open range, for messages.
func (e Extent) String() string { return fmt.Sprintf("[%d,%d)", e.Off, e.End()) }

// Map is an ordered set of extents: which bytes of a Reader matter.
//
// Extents yields them from low to high; they are not empty and do not overlap.
// They may touch, where their maker sees a border (between two areas of a
// volume that are stored apart, say). It may read from its source while it goes, so that the map of
// a huge file system never has to fit into memory; an error ends the walk and
// is yielded with a zero Extent. Each call walks anew.
type Map interface {
	Extents() iter.Seq2[Extent, error]
}

// Extents is a Map held in memory. Build it with NewExtents unless the
// elements are known to be in order.
type Extents []Extent

// NewExtents sorts the given extents, joins those that overlap or touch and
// drops the empty ones. Its argument is left alone.
func NewExtents(in ...Extent) Extents {
	in = slices.Clone(in)
	slices.SortFunc(in, func(a, b Extent) int { return cmp.Compare(a.Off, b.Off) })
	out := in[:0]
	for _, e := range in {
		if e.Len <= 0 {
			continue
		}
		if n := len(out); n > 0 && e.Off <= out[n-1].End() {
			out[n-1].Len = max(out[n-1].End(), e.End()) - out[n-1].Off
			continue
		}
		out = append(out, e)
	}
	return Extents(out)
}

// Extents implements Map.
func (m Extents) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for _, e := range m {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Whole is the map in which all of size bytes matter.
func Whole(size int64) Map { return NewExtents(Extent{0, size}) }

// Bytes is the number of bytes in m.
func Bytes(m Map) (int64, error) {
	var n int64
	for e, err := range m.Extents() {
		if err != nil {
			return 0, err
		}
		n += e.Len
	}
	return n, nil
}

// Covered is the number of bytes in m, and the first of the extents must that one
// extent of m does not hold whole; its length is 0 when m holds all.
func Covered(m Map, must Extents) (total int64, missing Extent, err error) {
	for e, err := range m.Extents() {
		if err != nil {
			return 0, missing, err
		}
		total += e.Len
		for len(must) > 0 && must[0].Off < e.End() {
			if must[0].Off < e.Off || must[0].End() > e.End() {
				return 0, must[0], nil
			}
			must = must[1:]
		}
	}
	if len(must) > 0 {
		return 0, must[0], nil
	}
	return total, missing, nil
}

// Clip returns the part of m inside of the range [off, off+n), as offsets
// relative to off: the map of a section.
func Clip(m Map, off, n int64) Map { return clipped{m, off, n} }

type clipped struct {
	m      Map
	off, n int64
}

func (c clipped) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for e, err := range c.m.Extents() {
			if err != nil {
				yield(Extent{}, err)
				return
			}
			lo, hi := max(e.Off, c.off), min(e.End(), c.off+c.n)
			if e.Off >= c.off+c.n {
				return
			}
			if lo < hi && !yield(Extent{lo - c.off, hi - lo}, nil) {
				return
			}
		}
	}
}

// Chunks walks m in pieces of at most n bytes, cut from the start of each
// extent: the requests in which a copy moves it.
func Chunks(m Map, n int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for e, err := range m.Extents() {
			if err != nil {
				yield(Extent{}, err)
				return
			}
			for e.Len > 0 {
				c := Extent{e.Off, min(e.Len, n)}
				if !yield(c, nil) {
					return
				}
				e = Extent{c.End(), e.Len - c.Len}
			}
		}
	}
}

// Merge is the union of maps: an extent is yielded when any of them holds it.
func Merge(maps ...Map) Map { return union(maps) }

type union []Map

func (u union) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		heads := make([]cursor, len(u))
		for i, m := range u {
			next, stop := iter.Pull2(m.Extents())
			defer stop()
			heads[i].next = next
			heads[i].step()
		}
		var cur Extent
		for {
			low := lowest(heads)
			if low == nil {
				break
			}
			if low.err != nil {
				yield(Extent{}, low.err)
				return
			}
			switch e := low.e; {
			case cur.Len == 0:
				cur = e
			case e.Off <= cur.End():
				cur.Len = max(cur.End(), e.End()) - cur.Off
			default:
				if !yield(cur, nil) {
					return
				}
				cur = e
			}
			low.step()
		}
		if cur.Len > 0 {
			yield(cur, nil)
		}
	}
}

// cursor is the place one map of a union has been walked to.
type cursor struct {
	next func() (Extent, error, bool)
	e    Extent
	err  error
	ok   bool
}

func (c *cursor) step() { c.e, c.err, c.ok = c.next() }

// lowest is the cursor to take next: one with an error first, so that it is
// not lost, else the one with the lowest offset; nil when all have ended.
func lowest(cs []cursor) *cursor {
	var low *cursor
	for i := range cs {
		c := &cs[i]
		if !c.ok {
			continue
		}
		if c.err != nil {
			return c
		}
		if low == nil || c.e.Off < low.e.Off {
			low = c
		}
	}
	return low
}
