// Package vdisktest is what the tests of all virtual-disk formats need: disks
// with holes in them, the check that a reader gives a disk's bytes and a map
// that is true, and the walk over a damaged file that must end soon.
package vdisktest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ingot/internal/block"
)

// Tool runs a program of a Debian package, which must succeed, and gives what it
// prints.
func Tool(t testing.TB, pkg, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is missing: install the Debian package %s", name, pkg)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// QemuImg runs qemu-img.
func QemuImg(t testing.TB, args ...string) string {
	t.Helper()
	return Tool(t, "qemu-utils", "qemu-img", args...)
}

// Disk is a disk in memory.
type Disk []byte

// Size implements block.Reader.
func (d Disk) Size() int64 { return int64(len(d)) }

// ReadAt implements block.Reader.
func (d Disk) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(d).ReadAt(p, off) }

// Draw makes a disk of size bytes: stretches of noise, of text that compresses
// well, and of zeros, of lengths around those of clusters.
func Draw(size int64, seed uint64) Disk {
	r := rand.New(rand.NewPCG(seed, 7))
	noise := rand.NewChaCha8([32]byte{byte(seed)})
	d := make(Disk, size)
	for off := int64(0); off < size; {
		n := min(1+r.Int64N(1<<(9+r.IntN(11))), size-off)
		switch part := d[off:][:n]; r.IntN(4) {
		case 0:
			_, _ = noise.Read(part)
		case 1:
			line := []byte("All work and no play makes a dull disk. ")
			for at := 0; at < len(part); at += copy(part[at:], line) {
				line[0] = byte(at)
			}
		}
		off += n
	}
	return d
}

// Save writes a disk to a sparse file of its own and gives the path.
func (d Disk) Save(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(d.Size()); err != nil {
		t.Fatal(err)
	}
	for off := 0; off < len(d); off += 4096 {
		part := d[off:min(off+4096, len(d))]
		if block.Zeros(part) {
			continue
		}
		if _, err := f.WriteAt(part, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// Used is the map of the pieces of n bytes that are not zeros.
func (d Disk) Used(n int64) block.Map {
	var in []block.Extent
	for off := int64(0); off < d.Size(); off += n {
		e := block.Extent{Off: off, Len: min(n, d.Size()-off)}
		if !block.Zeros(d[e.Off:e.End()]) {
			in = append(in, e)
		}
	}
	return block.NewExtents(in...)
}

// Same fails the test when r does not have exactly the bytes of d, read whole
// and in odd pieces, or when its map leaves out a byte that is not zero.
func (d Disk) Same(t testing.TB, r block.Reader, used block.Map) {
	t.Helper()
	if r.Size() != d.Size() {
		t.Fatalf("the disk has %d bytes, not %d", r.Size(), d.Size())
	}
	got := make([]byte, len(d))
	if _, err := r.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if at := differ(got, d); at >= 0 {
		t.Fatalf("byte %d is %02x, not %02x", at, got[at], d[at])
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(d))))
	for range 200 {
		off := rng.Int64N(d.Size())
		p := got[:min(1+rng.Int64N(1<<(1+rng.IntN(18))), d.Size()-off)]
		if _, err := r.ReadAt(p, off); err != nil {
			t.Fatal(err)
		}
		if at := differ(p, d[off:][:len(p)]); at >= 0 {
			t.Fatalf("read of %d bytes at %d: byte %d is wrong", len(p), off, at)
		}
	}
	end := int64(0)
	for e, err := range used.Extents() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Off < end || e.Len <= 0 || e.End() > d.Size() {
			t.Fatalf("extent %v behind %d on a disk of %d bytes", e, end, d.Size())
		}
		if !block.Zeros(d[end:e.Off]) {
			t.Fatalf("bytes [%d,%d) are not all zeros and not in the map", end, e.Off)
		}
		end = e.End()
	}
	if !block.Zeros(d[end:]) {
		t.Fatalf("the bytes from %d on are not all zeros and not in the map", end)
	}
}

// differ is the place of the first difference, -1 when there is none.
func differ(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

// Exercise does all there is to do with the disk of a damaged file: what comes
// out does not matter, as long as it comes out soon and the map is in order. It
// walks a part of a long map only.
func Exercise(t testing.TB, r block.Reader, used block.Map) {
	t.Helper()
	began := time.Now()
	end, n := int64(0), 0
	for e, err := range used.Extents() {
		if n++; err != nil || n > 2000 {
			break
		}
		if e.Off < end || e.Len <= 0 || e.End() > r.Size() {
			t.Fatalf("extent %v behind %d on a disk of %d bytes", e, end, r.Size())
		}
		end = e.End()
		if n < 20 {
			_, _ = r.ReadAt(make([]byte, min(e.Len, 200<<10)), e.Off)
		}
	}
	p := make([]byte, 70000)
	for _, off := range []int64{0, r.Size() / 3, r.Size() - 100} {
		_, _ = r.ReadAt(p, max(off, 0))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
}

// Flip returns b with one to eight bits of the first n bytes changed.
func Flip(rng *rand.Rand, b []byte, n int) []byte {
	b = bytes.Clone(b)
	for range 1 << rng.IntN(4) {
		b[rng.IntN(min(n, len(b)))] ^= 1 << rng.IntN(8)
	}
	return b
}
