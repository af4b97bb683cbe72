package block

import (
	"iter"
	"sort"
)

// Seeker is a Map that finds a place in it without a walk of all before.
type Seeker interface {
	Map
	// ExtentsFrom is Extents without those that end at or before byte off. The
	// first one may begin before it.
	ExtentsFrom(off int64) iter.Seq2[Extent, error]
}

// From walks what m holds from byte off on: the first extent begins there or
// further on. It goes through all that lies before when m is no Seeker.
func From(m Map, off int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		all := m.Extents()
		if s, ok := m.(Seeker); ok {
			all = s.ExtentsFrom(off)
		}
		for e, err := range all {
			if err != nil {
				yield(Extent{}, err)
				return
			}
			if e.End() <= off {
				continue
			}
			if e.Off < off {
				e = Extent{off, e.End() - off}
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// tail is the part of a map from a byte on.
type tail struct {
	m   Map
	off int64
}

// Extents implements Map.
func (t tail) Extents() iter.Seq2[Extent, error] { return From(t.m, t.off) }

// ExtentsFrom implements Seeker.
func (m Extents) ExtentsFrom(off int64) iter.Seq2[Extent, error] {
	return m[sort.Search(len(m), func(i int) bool { return m[i].End() > off }):].Extents()
}

// ExtentsFrom implements Seeker.
func (c clipped) ExtentsFrom(off int64) iter.Seq2[Extent, error] {
	return clipped{tail{c.m, c.off + off}, c.off, c.n}.Extents()
}

// ExtentsFrom implements Seeker.
func (s shifted) ExtentsFrom(off int64) iter.Seq2[Extent, error] {
	return shifted{tail{s.m, off - s.off}, s.off}.Extents()
}

// ExtentsFrom implements Seeker.
func (d difference) ExtentsFrom(off int64) iter.Seq2[Extent, error] {
	return difference{tail{d.a, off}, tail{d.b, off}}.Extents()
}

// ExtentsFrom implements Seeker.
func (u union) ExtentsFrom(off int64) iter.Seq2[Extent, error] {
	tails := make(union, len(u))
	for i, m := range u {
		tails[i] = tail{m, off}
	}
	return tails.Extents()
}
