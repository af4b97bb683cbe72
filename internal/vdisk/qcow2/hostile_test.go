package qcow2

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// exercise opens and reads the bytes of an image that may be damaged.
func exercise(t testing.TB, b []byte) {
	t.Helper()
	if len(b) >= 104 && binary.BigEndian.Uint64(b[24:]) > 64<<20 {
		return // a walk over a large disk takes its time, which is no fault
	}
	base := vdisktest.Disk(make([]byte, 3000))
	im, err := Open(vdisktest.Disk(b), int64(len(b)), func(string, string) (block.Reader, block.Map, error) {
		return base, block.Whole(base.Size()), nil
	})
	if err == nil {
		vdisktest.Exercise(t, im, im.Used())
	}
}

// seeds are small images of all kinds.
func seeds(t testing.TB, size int64) (out [][]byte) {
	t.Helper()
	raw := vdisktest.Draw(size, 6).Save(t)
	for _, args := range [][]string{
		{"-o", "cluster_size=512"}, {"-o", "cluster_size=16k,extended_l2=on"}, {"-c", "-o", "cluster_size=4k"},
		{"-c", "-o", "cluster_size=4k,compression_type=zstd"}, {"-o", "compat=0.10,cluster_size=1k"},
		{"-o", "cluster_size=4k", "-B", "raw", "-b", raw},
	} {
		path := filepath.Join(t.TempDir(), "seed.qcow2")
		all := append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...)
		if len(args) == 6 {
			all = []string{"create", "-q", "-f", "qcow2", "-o", args[1], "-b", raw, "-F", "raw", path, fmt.Sprint(2 * size)}
		} else {
			all = append(all, raw, path)
		}
		vdisktest.QemuImg(t, all...)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestTruncations(t *testing.T) {
	for _, b := range seeds(t, 200<<10) {
		for n := 0; n < len(b); n += 1 + n/20 {
			exercise(t, b[:n])
		}
	}
}

// TestFlips flips bits of headers and tables, which are at the front, and
// anywhere.
func TestFlips(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, b := range seeds(t, 200<<10) {
		for turn := range 1500 {
			front := len(b)
			if turn%2 == 0 {
				front = 600
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

// TestLoopsOfTables has entries of the first level that share a table.
func TestLoopsOfTables(t *testing.T) {
	b := seeds(t, 200<<10)[0]
	l1 := binary.BigEndian.Uint64(b[40:])
	if binary.BigEndian.Uint32(b[36:]) < 2 {
		t.Fatal("the seed has one table only")
	}
	copy(b[l1+8:l1+16], b[l1:l1+8])
	if _, err := Open(vdisktest.Disk(b), int64(len(b)), nil); err == nil {
		t.Error("two entries share a table, and nobody minds")
	}
}
