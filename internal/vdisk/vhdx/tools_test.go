package vhdx

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

func qemuImg(t testing.TB, args ...string) string {
	t.Helper()
	return volumetest.RunTool(t, "qemu-utils", "qemu-img", args...)
}

func qemuIO(t testing.TB, args ...string) string {
	t.Helper()
	return volumetest.RunTool(t, "qemu-utils", "qemu-io", args...)
}

// openPath opens a file as a disk, with its parents.
func openPath(t testing.TB, path string) *Disk {
	t.Helper()
	r, size, c, err := openOS(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	d, err := Open(r, size, path, openOS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func openOS(path string) (io.ReaderAt, int64, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, nil, err
	}
	return f, info.Size(), f, nil
}

// sameAs fails unless the disk's bytes are those of a raw file, read in pieces of
// odd sizes, and all that is not zero lies in its used map.
func sameAs(t testing.TB, d block.Reader, used block.Map, raw string) {
	t.Helper()
	f, err := os.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, _ := f.Stat(); info.Size() != d.Size() {
		t.Fatalf("%d bytes, the raw file has %d", d.Size(), info.Size())
	}
	a, b := make([]byte, 5*mib+77), make([]byte, 5*mib+77)
	for off := int64(0); off < d.Size(); off += int64(len(a)) {
		n := min(int64(len(a)), d.Size()-off)
		if _, err := d.ReadAt(a[:n], off); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(b[:n], off); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a[:n], b[:n]) {
			t.Fatalf("bytes differ in [%d,%d)", off, off+n)
		}
	}
	last := int64(0)
	for e, err := range block.Subtract(block.Whole(d.Size()), used).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		for c := range block.Chunks(block.Extents{e}, int64(len(a))) {
			if _, err := f.ReadAt(a[:c.Len], c.Off); err != nil || !block.Zeros(a[:c.Len]) {
				t.Fatalf("%v holds data and is not in the used map (%v)", c, err)
			}
		}
		last = e.End()
	}
	if last > d.Size() {
		t.Fatalf("the used map goes to %d", last)
	}
}

// pattern makes a raw file of size bytes with scattered data, which is where the
// map says.
func pattern(t testing.TB, size int64, seed uint64) (string, block.Extents) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 300*kib)
	var used []block.Extent
	for range 40 {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		n := 1 + r.Int64N(int64(len(b)))
		off := r.Int64N(max(size-n, 1))
		if r.IntN(2) == 0 {
			off = off / 512 * 512
		}
		n = min(n, size-off)
		if _, err := f.WriteAt(b[:n], off); err != nil {
			t.Fatal(err)
		}
		used = append(used, block.Extent{Off: off, Len: n})
	}
	if _, err := f.WriteAt([]byte("the last bytes"), size-14); err != nil {
		t.Fatal(err)
	}
	return path, block.NewExtents(append(used, block.Extent{Off: size - 14, Len: 14})...)
}

// TestReadQemu reads what qemu-img makes.
func TestReadQemu(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size    int64
		options string
		kind    string
	}{
		{100 * mib, "subformat=dynamic,block_size=1M", "dynamic"},
		{333*mib + 3*512, "subformat=dynamic,block_size=32M", "dynamic"},
		{64 * mib, "subformat=dynamic,block_size=256M", "dynamic"},
		{40*mib + 512, "subformat=fixed", "dynamic"}, // qemu says so in the name only
		{4<<30 + 5*mib + 512, "subformat=dynamic,block_size=1M,block_state_zero=off", "dynamic"},
	} {
		t.Run(c.options, func(t *testing.T) {
			t.Parallel()
			raw, _ := pattern(t, c.size, uint64(c.size))
			path := filepath.Join(t.TempDir(), "d.vhdx")
			qemuImg(t, "convert", "-O", "vhdx", "-o", c.options, raw, path)
			d := openPath(t, path)
			if d.LogicalSector() != 512 || d.Replayed() {
				t.Errorf("sectors of %d, replayed: %v", d.LogicalSector(), d.Replayed())
			}
			t.Log(d.Kind())
			sameAs(t, d, d.Used(), raw)
		})
	}
}

// writeFile makes a VHDX of a raw file.
func writeFile(t testing.TB, o Options, r block.Reader, used block.Map) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.vhdx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var told int64
	if err := Write(context.Background(), f, r.Size(), r, used, o, func(n int64) { told += n }); err != nil {
		t.Fatal(err)
	}
	if want, err := block.Bytes(used); err != nil || told != want {
		t.Errorf("progress was told of %d bytes of %d, %v", told, want, err)
	}
	return path
}

type rawFile struct {
	*os.File
	size int64
}

func (f rawFile) Size() int64 { return f.size }

func openRaw(t testing.TB, path string) rawFile {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return rawFile{f, info.Size()}
}

// TestWrite has qemu and libvhdi judge what Write makes.
func TestWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size int64
		o    Options
	}{
		"default":         {150 * mib, Options{}},
		"many chunks":     {4<<30 + 9*mib + 3*512, Options{BlockSize: mib}},
		"32 MiB":          {200*mib + 512, Options{BlockSize: 32 * mib}},
		"256 MiB":         {300 * mib, Options{BlockSize: 256 * mib, PhysicalSector: 512}},
		"tiny":            {512, Options{}},
		"sectors of 4096": {80*mib + 4096, Options{Sector: 4096}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, used := pattern(t, c.size, 7)
			path := writeFile(t, c.o, openRaw(t, raw), used)
			d := openPath(t, path)
			sameAs(t, d, d.Used(), raw)
			volumetest.RunTool(t, "libvhdi-utils", "vhdiinfo", path)
			if c.o.Sector == 4096 { // qemu does not open those
				return
			}
			qemuImg(t, "check", "-f", "vhdx", path)
			qemuImg(t, "compare", "-f", "vhdx", "-F", "raw", path, raw)
		})
	}
}
