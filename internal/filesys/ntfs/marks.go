package ntfs

import (
	"iter"
	"math/bits"

	"ingot/internal/block"
)

// bitset is a set of the numbers below a limit. Numbers outside of it are in no
// set.
type bitset []uint64

func newBitset(n int64) bitset { return make(bitset, (n+63)/64) }

func (s bitset) has(i int64) bool { return i>>6 < int64(len(s)) && i >= 0 && s[i>>6]>>(i&63)&1 != 0 }

func (s bitset) set(i int64) {
	if i >= 0 && i>>6 < int64(len(s)) {
		s[i>>6] |= 1 << (i & 63)
	}
}

func (s bitset) drop(i int64) {
	if i >= 0 && i>>6 < int64(len(s)) {
		s[i>>6] &^= 1 << (i & 63)
	}
}

// next is the first number from i on that is in the set, or not in it; -1 when
// there is none.
func (s bitset) next(i int64, in bool) int64 {
	for w := i >> 6; w < int64(len(s)); w++ {
		v := s[w]
		if !in {
			v = ^v
		}
		if w == i>>6 {
			v &= ^uint64(0) << (i & 63)
		}
		if v != 0 {
			return w<<6 + int64(bits.TrailingZeros64(v))
		}
	}
	return -1
}

// maxGranules bounds the memory of marks to 8 MiB.
const maxGranules = 64 << 20

// marks are the granules of a partition that have to be read: a block.Map in
// little memory, whatever is marked.
type marks struct {
	size, granule int64 // bytes
	set           bitset
}

func newMarks(size, granule int64) *marks {
	for (size+granule-1)/granule > maxGranules {
		granule *= 2
	}
	return &marks{size, granule, newBitset((size + granule - 1) / granule)}
}

// add marks n bytes from off on.
func (m *marks) add(off, n int64) {
	if n <= 0 {
		return
	}
	for g := off / m.granule; g <= (off+n-1)/m.granule; g++ {
		m.set.set(g)
	}
}

// addMap marks all of a map, which may be nil.
func (m *marks) addMap(o block.Map) error {
	if o == nil {
		return nil
	}
	for e, err := range o.Extents() {
		if err != nil {
			return err
		}
		m.add(e.Off, e.Len)
	}
	return nil
}

// Extents implements block.Map.
func (m *marks) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for g := m.set.next(0, true); g >= 0; {
			end := m.set.next(g, false)
			if end < 0 {
				end = int64(len(m.set)) << 6
			}
			e := block.Extent{Off: g * m.granule, Len: min(end*m.granule, m.size) - g*m.granule}
			if e.Len <= 0 || !yield(e, nil) {
				return
			}
			g = m.set.next(end, true)
		}
	}
}
