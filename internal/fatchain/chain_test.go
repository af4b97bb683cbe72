package fatchain

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// volume is a table with clusters of size bytes behind it, in memory.
type volume struct {
	Geometry
	data []byte
}

func newVolume(bits int, count, size int64) *volume {
	width := int64(bits)
	if bits == 28 {
		width = 32
	}
	table := ((count+2)*width+7)/8 + 64
	v := &volume{Geometry{Table: 100, Bits: bits, Data: 100 + table, Size: size, Count: count}, nil}
	v.data = make([]byte, v.Data+count*size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(v.data)
	return v
}

func (v *volume) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(v.data).ReadAt(p, off)
}

// set writes an entry, bit by bit, and leaves the bits that are none alone.
func (v *volume) set(cluster int64, to uint32) {
	width := int64(v.Bits)
	if width == 28 {
		width = 32
	}
	for k := range int64(v.Bits) {
		bit := cluster*width + k
		at := v.Table + bit/8
		v.data[at] &^= 1 << (bit % 8)
		v.data[at] |= byte(to>>k&1) << (bit % 8)
	}
}

// chain makes a random chain of n clusters, with some in a row, and gives them.
func (v *volume) chain(rng *rand.Rand, n int) []int64 {
	used := map[int64]bool{}
	var out []int64
	for len(out) < n {
		c := 2 + rng.Int64N(v.Count)
		for range 1 + rng.IntN(6) {
			if len(out) < n && c < v.Count+2 && !used[c] {
				used[c] = true
				out = append(out, c)
			}
			c++
		}
	}
	for i, c := range out[1:] {
		v.set(out[i], uint32(c))
	}
	v.set(out[n-1], 0xffffffff>>(32-v.Bits)&^uint32(rng.UintN(8)))
	return out
}

func TestAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		bits        int
		count, size int64
	}{{12, 4084, 16}, {16, 65000, 8}, {28, 70000, 8}, {32, 70000, 8}, {12, 9, 64}} {
		v := newVolume(c.bits, c.count, c.size)
		for range 20 {
			want := v.chain(rng, 1+rng.IntN(int(min(c.count/2, 5000))))
			s := New(v, v.Geometry)
			chain := s.Chain(want[0])
			var got []int64
			for r, err := range chain.Runs() {
				if err != nil {
					t.Fatal(err)
				}
				for i := range r.N {
					got = append(got, r.First+i)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d bits: a chain of %d clusters is wrong", c.bits, len(want))
			}
			var all []byte
			for _, cl := range want {
				all = append(all, v.data[s.Offset(cl):][:c.size]...)
			}
			checkReads(t, rng, chain, all)
		}
	}
}

// checkReads reads at random places, from several goroutines.
func checkReads(t *testing.T, rng *rand.Rand, chain Chain, all []byte) {
	t.Helper()
	size := int64(len(all)) - rng.Int64N(min(int64(len(all)), chain.space.Size))
	valid := rng.Int64N(size + 1)
	want := bytes.Clone(all[:size])
	clear(want[valid:])
	r := chain.Reader(size, valid)
	if got, err := io.ReadAll(io.NewSectionReader(r, 0, size+10)); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read whole: %v", err)
	}
	var wg sync.WaitGroup
	for k := range 4 {
		mine := rand.New(rand.NewPCG(uint64(k), 1))
		wg.Go(func() {
			for range 50 {
				off := mine.Int64N(size)
				p := make([]byte, mine.IntN(300))
				n, err := r.ReadAt(p, off)
				end := min(off+int64(len(p)), size)
				if !bytes.Equal(p[:n], want[off:end]) || (err == io.EOF) != (off+int64(len(p)) > size) || err != nil && err != io.EOF {
					t.Errorf("read %d bytes at %d of %d: %d, %v", len(p), off, size, n, err)
				}
			}
		})
	}
	wg.Wait()
	limit := rng.Int64N(int64(len(all)) + 1)
	var pieces []byte
	for p, err := range chain.Pieces(limit) {
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, p.Data...)
	}
	if !bytes.Equal(pieces, all[:limit]) {
		t.Fatalf("%d bytes came in pieces instead of %d", len(pieces), limit)
	}
}

// TestBroken has chains that end badly.
func TestBroken(t *testing.T) {
	for _, bits := range []int{12, 16, 28, 32} {
		v := newVolume(bits, 1000, 16)
		bad := uint32(0xffffffff)>>(32-bits) - 8
		for i := int64(2); i < 12; i++ {
			v.set(i, uint32(i+1))
		}
		for name, c := range map[string]struct {
			first int64
			edit  func()
			want  string
		}{
			"round":   {2, func() { v.set(12, 7) }, "goes round"},
			"itself":  {2, func() { v.set(12, 12) }, "goes round"},
			"start":   {2, func() { v.set(12, 2) }, "goes round"},
			"outside": {2, func() { v.set(12, 1002) }, "from cluster 12 to 1002"},
			"free":    {2, func() { v.set(12, 0) }, "to 0"},
			"one":     {2, func() { v.set(12, 1) }, "to 1"},
			"bad":     {2, func() { v.set(12, bad) }, "from cluster 12"},
			"first":   {1, func() {}, "begins at cluster 1"},
			"beyond":  {1002, func() {}, "begins at cluster 1002"},
		} {
			c.edit()
			s := New(v, v.Geometry)
			var err error
			var n int64
			for r, e := range s.Chain(c.first).Runs() {
				n, err = n+r.N, e
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || n < 11 && c.first == 2 {
				t.Errorf("%d bits, %s: %d clusters, %v", bits, name, n, err)
			}
			if _, err := s.Chain(c.first).Reader(1<<40, 1<<40).ReadAt(make([]byte, 1), 16*5000); err == nil {
				t.Errorf("%d bits, %s: a byte came from beyond the volume", bits, name)
			}
		}
		s := New(v, v.Geometry)
		for _, row := range [][2]int64{{1, 1}, {2, 1001}, {1001, 2}, {1 << 60, 5}, {2, 1 << 60}} {
			for _, err := range s.Row(row[0], row[1]).Runs() {
				if err == nil {
					t.Errorf("a row of %d from %d on was given", row[1], row[0])
				}
			}
			if _, err := s.Row(row[0], row[1]).Reader(10, 10).ReadAt(make([]byte, 1), 0); err == nil {
				t.Errorf("a row of %d from %d on was read", row[1], row[0])
			}
		}
		v.set(500, bad)
		if n, err := s.Bad(); n < 1 || err != nil {
			t.Errorf("%d bad clusters, %v", n, err)
		}
		if _, err := New(bytes.NewReader(v.data[:v.Table+20]), v.Geometry).Next(900); err == nil {
			t.Error("an entry that cannot be read was given")
		}
	}
}
