package block

import (
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
)

// plainMap hides that a map can be walked from anywhere.
type plainMap struct{ Map }

func (m plainMap) Extents() iter.Seq2[Extent, error] { return m.Map.Extents() }

// gather gives the extents of a walk, joined where they touch.
func gather(t *testing.T, walk iter.Seq2[Extent, error]) Extents {
	t.Helper()
	var out []Extent
	last := int64(-1)
	for e, err := range walk {
		if err != nil {
			t.Fatal(err)
		}
		if e.Len <= 0 || e.Off < last {
			t.Fatalf("extent %v behind byte %d", e, last)
		}
		last = e.End()
		out = append(out, e)
	}
	return NewExtents(out...)
}

// TestFrom compares walks from everywhere in maps of all kinds with the part of
// the whole walk.
func TestFrom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	random := func() Map {
		var es []Extent
		for range r.IntN(12) {
			es = append(es, Extent{r.Int64N(200), r.Int64N(20)})
		}
		return NewExtents(es...)
	}
	for range 300 {
		a, b := random(), random()
		for _, m := range []Map{
			a, plainMap{a}, Merge(a, b), Merge(plainMap{a}, b), Subtract(a, b), Subtract(a, plainMap{b}), Clip(a, 30, 100),
			Shift(a, 17), Merge(Shift(Clip(a, 20, 90), 5), Subtract(b, a)), Extents(nil), Whole(100), Intersect(a, b, 150),
		} {
			whole := gather(t, m.Extents())
			for off := int64(0); off < 240; off += 1 + r.Int64N(9) {
				want := gather(t, Shift(Clip(whole, off, 1000), off).Extents())
				if got := gather(t, From(m, off)); !slices.Equal(got, want) {
					t.Fatalf("%T %v from %d: %v instead of %v", m, whole, off, got, want)
				}
				in := Extent{off, r.Int64N(60)}
				want = gather(t, Shift(Clip(whole, in.Off, in.Len), off).Extents())
				if got := gather(t, In(m, in)); !slices.Equal(got, want) {
					t.Fatalf("%T %v in %v: %v instead of %v", m, whole, in, got, want)
				}
			}
		}
	}
}

type badMap struct{ err error }

func (f badMap) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) { yield(Extent{}, f.err) }
}

func TestFromError(t *testing.T) {
	bad := errors.New("bad")
	for _, m := range []Map{badMap{bad}, Merge(Whole(10), badMap{bad}), Clip(badMap{bad}, 2, 5), Shift(badMap{bad}, 2), Subtract(Whole(9), badMap{bad})} {
		var last error
		for _, err := range From(m, 5) {
			last = err
		}
		if !errors.Is(last, bad) {
			t.Errorf("%T: %v", m, last)
		}
	}
}
