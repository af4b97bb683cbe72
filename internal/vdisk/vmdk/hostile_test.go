package vmdk

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// exercise opens and reads the bytes of a file that may be damaged.
func exercise(t testing.TB, b []byte) {
	t.Helper()
	beside := vdisktest.Draw(20000, 1)
	im, err := Open(vdisktest.Disk(b), func(string, string) (block.Reader, block.Map, error) {
		return beside, block.Whole(beside.Size()), nil
	})
	if err == nil && im.Size() <= 64<<20 { // a walk over a large disk takes its time
		vdisktest.Exercise(t, im, im.Used())
	}
}

// seeds are small files of all kinds.
func seeds(t testing.TB, size int64) (out [][]byte) {
	t.Helper()
	raw := vdisktest.Draw(size, 6).Save(t)
	for _, format := range []string{"monolithicSparse", "streamOptimized", "twoGbMaxExtentSparse", "monolithicFlat"} {
		path := filepath.Join(t.TempDir(), "seed.vmdk")
		vdisktest.QemuImg(t, "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat="+format, raw, path)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestTruncations(t *testing.T) {
	for _, b := range seeds(t, 300<<10) {
		for n := 0; n < len(b); n += 1 + n/20 {
			exercise(t, b[:n])
		}
	}
}

// TestFlips flips bits of headers and descriptors, which are at the front, and
// anywhere.
func TestFlips(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, b := range seeds(t, 300<<10) {
		for turn := range 1500 {
			front := len(b)
			if turn%2 == 0 {
				front = 1200
			}
			exercise(t, vdisktest.Flip(rng, b, front))
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range seeds(f, 40<<10) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { exercise(t, b) })
}
