package block

import (
	"iter"
	"math"
	"sort"
)

// Seeker is a Map that finds a place in it without a walk of all before, and ends
// without a look at what comes behind.
type Seeker interface {
	Map
	// ExtentsIn is Extents without those that have no byte in a range. The first
	// and the last one may reach out of it.
	ExtentsIn(in Extent) iter.Seq2[Extent, error]
}

// In walks what m holds in a range, cut to it. It goes through all that lies before
// when m is no Seeker.
func In(m Map, in Extent) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		all := m.Extents()
		if s, ok := m.(Seeker); ok {
			all = s.ExtentsIn(in)
		}
		for e, err := range all {
			if err != nil {
				yield(Extent{}, err)
				return
			}
			if e.Off >= in.End() {
				return
			}
			lo, hi := max(e.Off, in.Off), min(e.End(), in.End())
			if lo < hi && !yield(Extent{lo, hi - lo}, nil) {
				return
			}
		}
	}
}

// From walks what m holds from byte off on.
func From(m Map, off int64) iter.Seq2[Extent, error] {
	return In(m, Extent{off, math.MaxInt64 - max(off, 0)})
}

// part is what a map holds in a range.
type part struct {
	m  Map
	in Extent
}

// Extents implements Map.
func (p part) Extents() iter.Seq2[Extent, error] { return In(p.m, p.in) }

// ExtentsIn implements Seeker.
func (m Extents) ExtentsIn(in Extent) iter.Seq2[Extent, error] {
	return m[sort.Search(len(m), func(i int) bool { return m[i].End() > in.Off }):].Extents()
}

// ExtentsIn implements Seeker.
func (c clipped) ExtentsIn(in Extent) iter.Seq2[Extent, error] {
	lo := max(in.Off, 0)
	hi := max(min(in.End(), c.n), lo)
	return clipped{part{c.m, Extent{c.off + lo, hi - lo}}, c.off, c.n}.Extents()
}

// ExtentsIn implements Seeker.
func (s shifted) ExtentsIn(in Extent) iter.Seq2[Extent, error] {
	return shifted{part{s.m, Extent{in.Off - s.off, in.Len}}, s.off}.Extents()
}

// ExtentsIn implements Seeker.
func (d difference) ExtentsIn(in Extent) iter.Seq2[Extent, error] {
	return difference{part{d.a, in}, part{d.b, in}}.Extents()
}

// ExtentsIn implements Seeker.
func (u union) ExtentsIn(in Extent) iter.Seq2[Extent, error] {
	parts := make(union, len(u))
	for i, m := range u {
		parts[i] = part{m, in}
	}
	return parts.Extents()
}
