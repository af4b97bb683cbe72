package backup

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"ingot/internal/block"
)

// TestWindowsAgainstModel draws random maps: the windows must hold exactly the
// blocks with a used byte, ascending, and name exactly the used bytes.
func TestWindowsAgainstModel(t *testing.T) {
	const size = 4000
	r := rand.New(rand.NewPCG(3, 4))
	draw := func() block.Extents {
		var in []block.Extent
		for range r.IntN(10) {
			off := r.Int64N(size)
			in = append(in, block.Extent{Off: off, Len: min(size-off, r.Int64N(600))})
		}
		return block.NewExtents(in...)
	}
	for range 3000 {
		m := draw()
		bs, per := 1+r.Int64N(100), 1+r.Int64N(20)
		zeroed := draw()
		z := newZeros(zeroed)
		used, read := make([]byte, size+bs), make([]byte, size+bs)
		for _, e := range m {
			copy(used[e.Off:e.End()], bytes.Repeat([]byte{1}, int(e.Len)))
		}
		blocks := make(map[int64]bool)
		got := make([]byte, size+bs)
		next := int64(0)
		for w, err := range windows(m, bs, per) {
			if err != nil {
				t.Fatal(err)
			}
			if w.first < next || w.n < 1 || w.n > per {
				t.Fatalf("window of blocks %d+%d after block %d", w.first, w.n, next-1)
			}
			next = w.first + w.n
			for b := w.first; b < next; b++ {
				blocks[b] = true
			}
			raw := bytes.Repeat([]byte{1}, int(w.n*bs))
			zeroFree(raw, w.used)
			copy(got[w.first*bs:], raw)
			zeroFree(raw, z.leave(nil, w.used, w.first*bs))
			copy(read[w.first*bs:], raw)
		}
		z.stop()
		if !bytes.Equal(got, used) {
			t.Fatalf("map %v in blocks of %d: the used bytes are wrong", m, bs)
		}
		for b := int64(0); b*bs < size; b++ {
			if want := bytes.IndexByte(used[b*bs:(b+1)*bs], 1) >= 0; blocks[b] != want {
				t.Fatalf("map %v in blocks of %d: block %d in a window: %t", m, bs, b, blocks[b])
			}
		}
		for _, e := range zeroed {
			clear(used[e.Off:e.End()])
		}
		if !bytes.Equal(read, used) {
			t.Fatalf("map %v without %v in blocks of %d: other bytes are read", m, zeroed, bs)
		}
	}
}
