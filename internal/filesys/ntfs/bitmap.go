package ntfs

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"

	"ingot/internal/block"
)

// pieceSize is how much of $Bitmap is read at a time: large enough for a
// disk, small enough to forget.
const pieceSize = 1 << 20

// bitmap is the map of the clusters whose bit is set in $Bitmap. Bit i of byte
// k is cluster 8k+i. atEnd is told the number of used clusters when a walk
// has come to its end; its error is the walk's.
type bitmap struct {
	data        *stream
	clusters    int64
	clusterSize int64
	atEnd       func(used int64) error
}

// Extents implements block.Map. It holds one piece of the bitmap at a time.
func (m bitmap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		w := walker{open: -1, emit: func(first, n int64) bool {
			return yield(block.Extent{Off: first * m.clusterSize, Len: n * m.clusterSize}, nil)
		}}
		stopped, err := m.walk(&w)
		if err == nil && !stopped {
			err = m.atEnd(w.used)
		}
		if err != nil {
			yield(block.Extent{}, err)
		}
	}
}

// walk feeds all of the bitmap to w; stopped tells that the consumer had
// enough.
func (m bitmap) walk(w *walker) (stopped bool, err error) {
	total := (m.clusters + 7) / 8
	buf := make([]byte, min(pieceSize, (total+7)/8*8))
	for off := int64(0); off < total; off += pieceSize {
		n := min(pieceSize, total-off)
		if _, err := m.data.ReadAt(buf[:n], off); err != nil {
			return false, fmt.Errorf("$Bitmap: %w", err)
		}
		piece := buf[:(n+7)/8*8]
		clear(piece[n:])
		maskFrom(piece, m.clusters-off*8)
		if !w.piece(piece, off*8) {
			return true, nil
		}
	}
	return !w.close(m.clusters), nil
}

// maskFrom clears all bits of b from bit n on: those behind the last cluster
// say nothing.
func maskFrom(b []byte, n int64) {
	if n >= int64(len(b))*8 {
		return
	}
	b[n/8] &= 1<<(n%8) - 1
	clear(b[n/8+1:])
}

// walker turns set bits into runs of clusters.
type walker struct {
	open int64 // first cluster of the run that is being seen, or -1
	used int64 // clusters in the runs that were closed
	emit func(first, n int64) bool
}

// close ends the run being seen, if there is one, before cluster end. It
// reports whether to go on.
func (w *walker) close(end int64) bool {
	if w.open < 0 {
		return true
	}
	first := w.open
	w.open = -1
	w.used += end - first
	return w.emit(first, end-first)
}

// piece takes the bits of b, a multiple of 8 bytes, as clusters from base on.
// Words in which nothing begins or ends, nearly all of a real volume, cost one
// comparison.
func (w *walker) piece(b []byte, base int64) bool {
	for i := 0; i < len(b); i += 8 {
		i += w.skip(b[i:])
		if i == len(b) {
			return true
		}
		if !w.word(binary.LittleEndian.Uint64(b[i:]), base+int64(i)*8) {
			return false
		}
	}
	return true
}

// skip is the number of bytes of b up to the first word with a bit that is not
// like those of the run, or gap, that is being seen.
func (w *walker) skip(b []byte) int {
	same := uint64(0)
	if w.open >= 0 {
		same = ^same
	}
	for i := 0; i+8 <= len(b); i += 8 {
		if binary.LittleEndian.Uint64(b[i:]) != same {
			return i
		}
	}
	return len(b)
}

// word takes 64 bits in which something begins or ends.
func (w *walker) word(v uint64, base int64) bool {
	for at := 0; at < 64; {
		rest := v >> at
		if w.open < 0 {
			if rest == 0 {
				return true
			}
			at += bits.TrailingZeros64(rest)
			w.open = base + int64(at)
			continue
		}
		at += bits.TrailingZeros64(^rest)
		if at >= 64 {
			return true
		}
		if !w.close(base + int64(at)) {
			return false
		}
	}
	return true
}
