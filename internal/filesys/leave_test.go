package filesys

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"ingot/internal/block"
)

// paint sets the bytes of a map.
func paint(t *testing.T, b []byte, m block.Map, c byte) {
	t.Helper()
	for e, err := range m.Extents() {
		if err != nil {
			t.Fatal(err)
		}
		copy(b[e.Off:e.End()], bytes.Repeat([]byte{c}, int(e.Len)))
	}
}

// TestLeaveAgainstModel takes bytes out of a volume twice and compares with a
// slice of bytes: 0 unused, 1 used, 2 stored as zeros.
func TestLeaveAgainstModel(t *testing.T) {
	const size = 300
	r := rand.New(rand.NewPCG(6, 7))
	draw := func() (out []block.Extent) {
		for range r.IntN(6) {
			off := r.Int64N(size)
			out = append(out, block.Extent{Off: off, Len: min(r.Int64N(40), size-off)})
		}
		return out
	}
	for range 2000 {
		used := block.NewExtents(slices.Concat(draw(), draw())...)
		want := make([]byte, size)
		paint(t, want, used, 1)
		var v Volume = volume{info: Info{Size: size}, used: used}
		for range 2 {
			out, zero := draw(), draw()
			before := bytes.Clone(want)
			for i := range want {
				at := int64(i)
				in := func(l []block.Extent) bool {
					return slices.ContainsFunc(l, func(e block.Extent) bool { return e.Off <= at && at < e.End() })
				}
				switch {
				case before[i] == 0:
				case before[i] == 2 || in(zero):
					want[i] = 2
				case in(out):
					want[i] = 0
				}
			}
			var err error
			if v, err = Leave(v, out, zero); err != nil {
				t.Fatal(err)
			}
		}
		got, zeroed := make([]byte, size), make([]byte, size)
		paint(t, got, v.Used(), 1)
		paint(t, zeroed, v.Zeroed(), 1)
		for i := range got {
			got[i] += got[i] * zeroed[i]
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		info := v.Info()
		if n := int64(size - bytes.Count(want, []byte{0})); info.UsedBytes != n {
			t.Fatalf("%d used bytes instead of %d", info.UsedBytes, n)
		}
		if n := int64(bytes.Count(want, []byte{2})); info.ZeroedBytes != n {
			t.Fatalf("%d bytes of zeros instead of %d", info.ZeroedBytes, n)
		}
		if w := Whole(v); w.Zeroed() != nil || w.Info().ZeroedBytes != 0 || w.Info().UsedBytes != size {
			t.Fatalf("the whole volume has %v, %+v", w.Zeroed(), w.Info())
		}
	}
}
