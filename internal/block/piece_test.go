package block

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomMap draws extents within size bytes.
func randomMap(r *rand.Rand, size int64) Extents {
	var in []Extent
	for range r.IntN(12) {
		in = append(in, Extent{r.Int64N(size), r.Int64N(size/4) + 1})
	}
	return NewExtents(in...)
}

// bits is a map as one bool for each byte.
func bits(t *testing.T, m Map, size int64) []bool {
	t.Helper()
	out := make([]bool, size)
	for e, err := range m.Extents() {
		if err != nil {
			t.Fatal(err)
		}
		for i := e.Off; i < min(e.End(), size); i++ {
			out[i] = true
		}
	}
	return out
}

type bytesReader []byte

func (b bytesReader) Size() int64 { return int64(len(b)) }
func (b bytesReader) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(b).ReadAt(p, off)
}

func TestPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		size := r.Int64N(5000) + 300
		m, unit := randomMap(r, size), int64(1)<<r.IntN(7)
		limit := unit * (1 + r.Int64N(8))
		disk := make(bytesReader, size)
		for i := range disk {
			disk[i] = byte(r.IntN(255)) + 1
		}
		want := bits(t, m, size)
		got, last := make([]byte, size), int64(0)
		for p, err := range Pieces(m, unit, limit, size) {
			if err != nil {
				t.Fatal(err)
			}
			if p.Off < last || p.Off%unit != 0 || p.Len%unit != 0 && p.End() != size || p.Off/limit != (p.End()-1)/limit {
				t.Fatalf("piece %v after %d, unit %d, limit %d, size %d", p, last, unit, limit, size)
			}
			last = p.End()
			for at := p.Off; at < p.End(); at += unit {
				if !slicesHave(want[at:min(at+unit, size)]) {
					t.Fatalf("the unit at %d of piece %v has nothing that matters", at, p)
				}
			}
			if err := p.Load(disk, got[p.Off:]); err != nil {
				t.Fatal(err)
			}
		}
		for i, w := range want {
			if w && got[i] != disk[i] || !w && got[i] != 0 {
				t.Fatalf("byte %d: matters %v, got %d of %d", i, w, got[i], disk[i])
			}
		}
	}
}

func slicesHave(b []bool) bool {
	for _, x := range b {
		if x {
			return true
		}
	}
	return false
}

func TestPiecesPassErrorsOn(t *testing.T) {
	var last error
	for _, last = range Pieces(failing{Extent{0, 40}}, 16, 64, 1000) {
	}
	if last == nil {
		t.Error("no error came out")
	}
}

func TestIntersectAndShift(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		size := r.Int64N(3000) + 10
		a, b := randomMap(r, size), randomMap(r, size)
		x, y := bits(t, a, size), bits(t, b, size)
		both := bits(t, Intersect(a, b, size), size)
		moved := bits(t, Shift(a, 7), size)
		for i := range both {
			if both[i] != (x[i] && y[i]) {
				t.Fatalf("byte %d of %v and %v: %v", i, a, b, both[i])
			}
			if i >= 7 && moved[i] != x[i-7] {
				t.Fatalf("byte %d of %v shifted: %v", i, a, moved[i])
			}
		}
	}
}

func TestCursorWithin(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		size := r.Int64N(3000) + 10
		m := randomMap(r, size)
		want, got := bits(t, m, size), make([]bool, size)
		c := NewCursor(m)
		for off := int64(0); off < size; {
			e := Extent{off, min(1+r.Int64N(400), size-off)}
			list, err := c.Within(e)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range list {
				for i := x.Off; i < x.End(); i++ {
					got[e.Off+i] = true
				}
			}
			off = e.End() + r.Int64N(3)*100
			for i := e.End(); i < min(off, size); i++ {
				got[i] = want[i]
			}
		}
		c.Stop()
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("byte %d of %v: %v", i, m, got[i])
			}
		}
	}
}

func TestFilled(t *testing.T) {
	buf := make([]byte, 100)
	p := Piece{Extent: Extent{1000, 95}}
	for _, at := range []int{3, 12, 44, 94} {
		buf[at] = 1
	}
	buf[97] = 1 // behind the piece
	want := []Extent{{0, 20}, {40, 10}, {90, 5}}
	if got := p.Filled(buf, 10, nil); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
