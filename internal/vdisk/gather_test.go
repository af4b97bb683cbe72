package vdisk

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// sink is a file in memory that counts writes, and may fail.
type sink struct {
	b      []byte
	writes int
	err    error
}

func (s *sink) WriteAt(p []byte, off int64) (int, error) {
	s.writes++
	return copy(s.b[off:], p), s.err
}

func TestGather(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	want := make([]byte, 20<<20)
	s := &sink{b: make([]byte, len(want))}
	g := &gather{w: s}
	at, n := 0, 0
	for range 3000 {
		if rng.IntN(50) == 0 {
			at = rng.IntN(len(want) - 2<<20)
		}
		p := make([]byte, rng.IntN(4096))
		if rng.IntN(100) == 0 {
			p = make([]byte, gatherSize+rng.IntN(1000))
		}
		for i := range p {
			p[i] = byte(rng.IntN(256))
		}
		if at+len(p) > len(want) {
			at = 0
		}
		copy(want[at:], p)
		if _, err := g.WriteAt(p, int64(at)); err != nil {
			t.Fatal(err)
		}
		at += len(p)
		n++
	}
	if err := g.flush(); err != nil || !bytes.Equal(s.b, want) {
		t.Fatalf("it comes out differently (%v)", err)
	}
	if s.writes > n/5 {
		t.Errorf("%d writes became %d", n, s.writes)
	}
	s.err = errors.New("full")
	if _, err := g.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := g.WriteAt([]byte{1}, 100); !errors.Is(err, s.err) {
		t.Error(err)
	}
	if err := g.flush(); !errors.Is(err, s.err) {
		t.Error(err)
	}
}
