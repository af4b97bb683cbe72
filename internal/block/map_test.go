package block

import (
	"errors"
	"iter"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// collect walks a map to its end and fails the test when it breaks its
// promises: ascending, not empty, not overlapping.
func collect(t *testing.T, m Map) Extents {
	t.Helper()
	var out Extents
	for e, err := range m.Extents() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Len <= 0 || len(out) > 0 && e.Off < out[len(out)-1].End() {
			t.Fatalf("%v after %v", e, out)
		}
		out = append(out, e)
	}
	return out
}

func TestNewExtents(t *testing.T) {
	in := []Extent{{10, 5}, {0, 3}, {14, 2}, {3, 1}, {20, 0}, {30, 1}}
	want := Extents{{0, 4}, {10, 6}, {30, 1}}
	if got := NewExtents(in...); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if in[0] != (Extent{10, 5}) {
		t.Error("the argument was changed")
	}
}

// TestAgainstModel draws random sets and compares each operation with the same
// done on a slice of booleans.
func TestAgainstModel(t *testing.T) {
	const size = 200
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() Extents {
		var in []Extent
		for range r.IntN(12) {
			off := r.Int64N(size)
			in = append(in, Extent{off, r.Int64N(size - off)})
		}
		for i := range in {
			in[i].Len = min(in[i].Len, 20)
		}
		return NewExtents(in...)
	}
	bits := func(m Extents) (b [size]bool) {
		for _, e := range m {
			for i := e.Off; i < e.End(); i++ {
				b[i] = true
			}
		}
		return b
	}
	for range 2000 {
		a, b, c := draw(), draw(), draw()
		collect(t, a)
		got := bits(collect(t, Merge(a, b, c)))
		ba, bb, bc := bits(a), bits(b), bits(c)
		for i := range got {
			if got[i] != (ba[i] || bb[i] || bc[i]) {
				t.Fatalf("Merge(%v, %v, %v) is wrong at %d", a, b, c, i)
			}
		}
		differ := bits(collect(t, Differ(a, b)))
		for i := range differ {
			if differ[i] != (ba[i] != bb[i]) {
				t.Fatalf("Differ(%v, %v) is wrong at %d", a, b, i)
			}
		}
		left := bits(collect(t, Subtract(a, b)))
		for i := range left {
			if left[i] != (ba[i] && !bb[i]) {
				t.Fatalf("Subtract(%v, %v) is wrong at %d", a, b, i)
			}
		}
		off := r.Int64N(size)
		n := r.Int64N(size - off)
		clip := bits(collect(t, Clip(a, off, n)))
		for i := range clip {
			if want := int64(i) < n && ba[off+int64(i)]; clip[i] != want {
				t.Fatalf("Clip(%v, %d, %d) is wrong at %d", a, off, n, i)
			}
		}
	}
}

// TestSubtractTouching has extents that touch on both sides, and a walk that is
// left early at each place.
func TestSubtractTouching(t *testing.T) {
	a, b := Extents{{0, 5}, {5, 5}, {10, 5}}, Extents{{3, 1}, {4, 2}, {9, 2}, {14, 9}}
	want := Extents{{0, 3}, {6, 3}, {11, 3}}
	if got := collect(t, Subtract(a, b)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for n := range want {
		var got int
		for range Subtract(a, b).Extents() {
			if got++; got > n {
				break
			}
		}
	}
}

func TestCovered(t *testing.T) {
	m := Extents{{0, 10}, {20, 5}}
	for _, c := range []struct {
		must    Extents
		missing Extent
	}{
		{nil, Extent{}}, {Extents{{0, 10}, {21, 4}}, Extent{}}, {Extents{{2, 1}, {8, 4}}, Extent{8, 4}},
		{Extents{{12, 1}}, Extent{12, 1}}, {Extents{{0, 1}, {30, 1}}, Extent{30, 1}},
	} {
		total, missing, err := Covered(m, c.must)
		if err != nil || missing != c.missing || missing.Len == 0 && total != 15 {
			t.Errorf("%v: %d, %v, %v", c.must, total, missing, err)
		}
	}
}

func TestChunks(t *testing.T) {
	var got []Extent
	for e, err := range Chunks(Extents{{5, 7}, {20, 3}, {23, 1}}, 3) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if want := []Extent{{5, 3}, {8, 3}, {11, 1}, {20, 3}, {23, 1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

type failing struct{ after Extent }

func (f failing) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		if yield(f.after, nil) {
			yield(Extent{}, errors.New("bad sector"))
		}
	}
}

func TestErrorsPass(t *testing.T) {
	for name, m := range map[string]Map{
		"Merge":         Merge(NewExtents(Extent{50, 1}), failing{Extent{0, 1}}),
		"Clip":          Clip(failing{Extent{0, 1}}, 0, 100),
		"Subtract from": Subtract(failing{Extent{0, 1}}, NewExtents(Extent{0, 1})),
		"Subtract":      Subtract(NewExtents(Extent{5, 1}), failing{Extent{0, 1}}),
	} {
		if _, err := Bytes(m); err == nil || !strings.Contains(err.Error(), "bad sector") {
			t.Errorf("%s: error %v was lost", name, err)
		}
	}
}

type text string

func (s text) ReadAt(p []byte, off int64) (int, error) {
	return strings.NewReader(string(s)).ReadAt(p, off)
}
func (s text) Size() int64 { return int64(len(s)) }

func TestSection(t *testing.T) {
	const src = text("0123456789")
	r, err := Section(src, 3, 4)
	if err != nil || r.Size() != 4 {
		t.Fatal(r, err)
	}
	buf := make([]byte, 4)
	if _, err := r.ReadAt(buf, 0); err != nil || string(buf) != "3456" {
		t.Errorf("%q, %v", buf, err)
	}
	if n, err := r.ReadAt(buf, 2); n != 2 || err == nil {
		t.Errorf("a read over the end gave %d, %v", n, err)
	}
	for _, bad := range []Extent{{-1, 2}, {0, 11}, {10, 1}, {1 << 62, 1 << 62}, {0, -1}} {
		if _, err := Section(src, bad.Off, bad.Len); err == nil {
			t.Errorf("section %v of 10 bytes was given", bad)
		}
	}
}
