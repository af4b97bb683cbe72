package overlay

import (
	"iter"
	"maps"
	"math/bits"
	"slices"

	"ingot/internal/block"
)

// state is what has become of a granule.
type state int

const (
	below state = iota
	written
	zeroed
)

// perChunk is how many granules a chunk is about.
const perChunk = 1 << 15

// bitmap has a bit for each granule of a chunk.
type bitmap [perChunk / 64]uint64

func (b *bitmap) has(i int64) bool { return b != nil && b[i/64]>>(i%64)&1 != 0 }

// next is the first granule from i on whose bit is set, or is not; perChunk for
// none.
func (b *bitmap) next(i int64, set bool) int64 {
	for i < perChunk {
		w := b[i/64]
		if !set {
			w = ^w
		}
		if w >>= i % 64; w != 0 {
			return i + int64(bits.TrailingZeros64(w))
		}
		i = i/64*64 + 64
	}
	return perChunk
}

// chunk is the states of perChunk granules: below is those of neither map. A map
// is nil when it is empty.
type chunk struct{ written, zero *bitmap }

// state is that of a granule.
func (d *Disk) state(g int64) state {
	c := d.chunks[g/perChunk]
	switch {
	case c == nil:
		return below
	case c.written.has(g % perChunk):
		return written
	case c.zero.has(g % perChunk):
		return zeroed
	}
	return below
}

// run is the state of granule first, and how many from it on, up to last, have it
// too.
func (d *Disk) run(first, last int64) (state, int64) {
	s, g := d.state(first), first+1
	for g <= last {
		if g%perChunk == 0 && s == below && d.chunks[g/perChunk] == nil {
			g += perChunk
			continue
		}
		if d.state(g) != s {
			break
		}
		g++
	}
	return s, min(g, last+1) - first
}

// mark gives n granules a state.
func (d *Disk) mark(first, n int64, s state) {
	for n > 0 {
		c := d.chunks[first/perChunk]
		if c == nil {
			c = new(chunk)
			d.chunks[first/perChunk] = c
		}
		i := first % perChunk
		k := min(n, perChunk-i)
		if s == zeroed && k == perChunk {
			c.written, c.zero = nil, d.ones
		} else {
			c.written = d.set(c.written, i, k, s == written)
			c.zero = d.set(c.zero, i, k, s == zeroed)
		}
		first, n = first+k, n-k
	}
}

// set sets or clears n bits of a map that may be nil or the one that all share.
func (d *Disk) set(b *bitmap, i, n int64, on bool) *bitmap {
	if b == nil && !on {
		return nil
	}
	if b == nil {
		b = new(bitmap)
	} else if b == d.ones {
		b = new(*d.ones)
	}
	for ; n > 0; i, n = i+1, n-1 {
		if on {
			b[i/64] |= 1 << (i % 64)
		} else {
			b[i/64] &^= 1 << (i % 64)
		}
	}
	return b
}

// Used is the map of what matters: what does below and was not set to zeros, and
// what was written. It is of the moment at which a walk comes by.
func (d *Disk) Used() block.Map {
	return block.Merge(block.Subtract(d.used, marked{d, zeroed}), marked{d, written})
}

// marked is the map of the granules in one state.
type marked struct {
	d *Disk
	s state
}

// Extents implements block.Map.
func (m marked) Extents() iter.Seq2[block.Extent, error] {
	return m.ExtentsIn(block.Extent{Len: m.d.size})
}

// ExtentsIn implements block.Seeker.
func (m marked) ExtentsIn(in block.Extent) iter.Seq2[block.Extent, error] {
	const size = perChunk * granule
	return func(yield func(block.Extent, error) bool) {
		m.d.mu.RLock()
		numbers := slices.Sorted(maps.Keys(m.d.chunks))
		m.d.mu.RUnlock()
		for _, n := range numbers {
			if (n+1)*size > in.Off && n*size < in.End() && !m.walk(n, in.Off, yield) {
				return
			}
		}
	}
}

// walk yields the extents of one chunk.
func (m marked) walk(number, off int64, yield func(block.Extent, error) bool) bool {
	b, ok := m.copy(number)
	if !ok {
		return true
	}
	i := max(off/granule-number*perChunk, 0)
	for {
		from := b.next(i, true)
		if from == perChunk {
			return true
		}
		i = b.next(from, false)
		at := (number*perChunk + from) * granule
		if !yield(block.Extent{Off: at, Len: min((i-from)*granule, m.d.size-at)}, nil) {
			return false
		}
	}
}

// copy is the bits of a chunk as they are now.
func (m marked) copy(number int64) (out bitmap, ok bool) {
	m.d.mu.RLock()
	defer m.d.mu.RUnlock()
	c := m.d.chunks[number]
	from := c.written
	if m.s == zeroed {
		from = c.zero
	}
	if from == nil {
		return out, false
	}
	return *from, true
}
