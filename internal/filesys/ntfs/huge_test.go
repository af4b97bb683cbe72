package ntfs

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs/ntfstest"
)

// TestHuge opens and walks a volume of 16 TiB, whose bitmap has 512 MiB, and
// watches the heap.
func TestHuge(t *testing.T) {
	for _, c := range []struct {
		size    int64
		cluster int64
	}{{16<<40 - 1<<30, 4096}, {16 << 20, 4096}, {256 << 40, 131072}} {
		runs, n := 5000, int64(16)
		if c.size < 1<<30 {
			runs, n = 20, 3
		}
		runtime.GC()
		var start, now runtime.MemStats
		runtime.ReadMemStats(&start)
		v := open(t, ntfstest.Huge(c.size, runs, n))
		var count int
		var peak uint64
		for _, err := range v.Used().Extents() {
			if err != nil {
				t.Fatal(err)
			}
			if count++; count%500 == 0 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapInuse)
			}
		}
		if got := peak - min(peak, start.HeapInuse); got > 32<<20 {
			t.Errorf("%d bytes of heap more than before", got)
		}
		runtime.ReadMemStats(&now)
		if got := now.TotalAlloc - start.TotalAlloc; got > 32<<20 {
			t.Errorf("%d bytes allocated in all", got)
		}
		f := v.Facts()
		used := f.TotalClusters - f.FreeClusters
		if f.ClusterSize != c.cluster || used < int64(runs)*n || used > int64(runs)*n+130+(f.TotalClusters/8+8)/f.ClusterSize {
			t.Errorf("%+v", f)
		}
		if count < runs || count > runs+2 || f.Label != "Huge" || len(f.Warnings) > 0 {
			t.Errorf("%d extents, %+v", count, f)
		}
		wantContains(t, v, map[string]bool{"": true, "Windows": false})
	}
}

// TestHugeIsRepeatable reads the same bytes in pieces of other sizes.
func TestHugeIsRepeatable(t *testing.T) {
	r := ntfstest.Huge(64<<20, 50, 7)
	all := make([]byte, r.Size())
	if _, err := r.ReadAt(all, 0); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 2000 {
		off := rng.Int64N(r.Size())
		p := make([]byte, rng.Int64N(min(9000, r.Size()-off))+1)
		if _, err := r.ReadAt(p, off); err != nil || string(p) != string(all[off:off+int64(len(p))]) {
			t.Fatalf("[%d,+%d) differs: %v", off, len(p), err)
		}
	}
}

// memoryBitmap is a bitmap map over bytes in memory.
func memoryBitmap(b []byte, clusters int64) bitmap {
	s := &stream{resident: b, size: int64(len(b)), valid: int64(len(b))}
	return bitmap{s, clusters, 1, func(int64) error { return nil }}
}

// TestBitmapAgainstModel compares the walk with a look at each bit, over
// borders of words and pieces and with bits set behind the last cluster.
func TestBitmapAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for round := range 400 {
		n := 1 + rng.IntN(300)
		if round%100 == 0 {
			n = pieceSize + rng.IntN(100)
		}
		b := make([]byte, n)
		for i := 0; i < n; {
			end := min(n, i+1+rng.IntN(40))
			for kind := rng.IntN(3); i < end; i++ {
				b[i] = [3]byte{0, 0xff, byte(rng.Uint32())}[kind]
			}
		}
		clusters := int64(n)*8 - rng.Int64N(8)
		m := memoryBitmap(b, clusters)
		var want block.Extents
		for c := range clusters {
			if b[c/8]>>(c%8)&1 == 0 {
				continue
			}
			if k := len(want); k > 0 && want[k-1].End() == c {
				want[k-1].Len++
			} else {
				want = append(want, block.Extent{Off: c, Len: 1})
			}
		}
		i, sum := 0, int64(0)
		m.atEnd = func(used int64) error { sum = used; return nil }
		for e, err := range m.Extents() {
			if err != nil || i >= len(want) || e != want[i] {
				t.Fatalf("round %d, extent %d: %v, %v", round, i, e, err)
			}
			i++
		}
		if total, _ := block.Bytes(want); i != len(want) || sum != total {
			t.Fatalf("round %d: %d extents of %d, %d clusters of %d", round, i, len(want), sum, total)
		}
	}
}

func BenchmarkBitmapWalk(b *testing.B) {
	bits := make([]byte, 64<<20)
	for name, set := range map[string]func(i int) byte{
		"uniform":    func(i int) byte { return byte((i >> 12 & 1) * 0xff) },
		"runs of 40": func(i int) byte { return byte((i / 5 & 1) * 0xff) },
		"random":     func(i int) byte { return byte(rand.Uint32()) },
	} {
		for i := range bits {
			bits[i] = set(i)
		}
		m := memoryBitmap(bits, int64(len(bits))*8)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(bits)))
			for b.Loop() {
				for _, err := range m.Extents() {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
