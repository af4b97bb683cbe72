package vhdx

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

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

// sameAs fails unless the disk's bytes are those of a raw file where it or the
// disk holds data, read in pieces of odd sizes, and the used map leaves none out.
func sameAs(t testing.TB, d *Disk, raw string, written block.Map) {
	t.Helper()
	f := openRaw(t, raw)
	if f.size != d.Size() {
		t.Fatalf("%d bytes, the raw file has %d", d.Size(), f.size)
	}
	a, b := make([]byte, 3*mib+77), make([]byte, 3*mib+77)
	for e, err := range block.Chunks(block.Merge(written, d.Used()), int64(len(a))) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.ReadAt(a[:e.Len], e.Off); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(b[:e.Len], e.Off); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a[:e.Len], b[:e.Len]) {
			t.Fatalf("bytes differ in %v", e)
		}
	}
	if n, err := block.Bytes(block.Subtract(written, d.Used())); n != 0 || err != nil {
		t.Fatalf("%d bytes of data are not in the used map (%v)", n, err)
	}
	if n, err := block.Bytes(block.Subtract(d.Used(), block.Whole(d.Size()))); n != 0 || err != nil {
		t.Fatalf("the used map goes over the end (%v)", err)
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
		{40*mib + 512, "subformat=fixed", "fixed"},
		{4<<30 + 5*mib + 512, "subformat=dynamic,block_size=1M,block_state_zero=off", "dynamic"},
	} {
		t.Run(c.options, func(t *testing.T) {
			t.Parallel()
			raw, written := pattern(t, c.size, uint64(c.size))
			path := filepath.Join(t.TempDir(), "d.vhdx")
			vdisktest.QemuImg(t, "convert", "-O", "vhdx", "-o", c.options, raw, path)
			d := openPath(t, path)
			if d.LogicalSector() != 512 || d.Replayed() {
				t.Errorf("sectors of %d, replayed: %v", d.LogicalSector(), d.Replayed())
			}
			if d.Kind() != c.kind {
				t.Errorf("a %s disk", d.Kind())
			}
			sameAs(t, d, raw, written)
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

// far is a disk of which nothing is in memory: each sector holds its number.
type far int64

func (f far) Size() int64 { return int64(f) }

func (f far) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for i := 0; i < len(p); i += 512 {
		binary.LittleEndian.PutUint64(p[i:], uint64(off)+uint64(i)+1)
	}
	return len(p), nil
}

// TestWriteLarge has the largest disk there can be.
func TestWriteLarge(t *testing.T) {
	t.Parallel()
	const size = maxDisk
	used := block.Extents{{Off: 5 * mib, Len: mib}, {Off: 1 << 45, Len: 4096}, {Off: size - 1024, Len: 1024}}
	path := writeFile(t, Options{}, far(size), used)
	vdisktest.QemuImg(t, "check", "-f", "vhdx", path)
	d := openPath(t, path)
	for _, e := range used {
		got, want := make([]byte, e.Len), make([]byte, e.Len)
		_, _ = far(size).ReadAt(want, e.Off)
		if _, err := d.ReadAt(got, e.Off); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %v", e, err)
		}
	}
	if n, err := block.Bytes(d.Used()); n != 3*32*mib || err != nil {
		t.Errorf("%d bytes are used, %v", n, err)
	}
}

// failing is a source, or a target, that fails.
type failing struct{ far }

func (failing) ReadAt([]byte, int64) (int, error)  { return 0, io.ErrClosedPipe }
func (failing) WriteAt([]byte, int64) (int, error) { return 0, io.ErrNoProgress }

func TestWriteFails(t *testing.T) {
	t.Parallel()
	ctx, size := context.Background(), int64(mib)
	write := func(ctx context.Context, w io.WriterAt, size int64, r block.Reader, o Options) error {
		return Write(ctx, w, size, r, block.Whole(size), o, nil)
	}
	if err := write(ctx, &made{}, size, far(size), Options{}); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for name, err := range map[string]error{
		"unreadable":       write(ctx, &made{}, size, failing{far(size)}, Options{}),
		"unwritable":       write(ctx, failing{}, size, far(size), Options{}),
		"called off":       write(gone, &made{}, size, far(size), Options{}),
		"empty":            write(ctx, &made{}, 0, far(size), Options{}),
		"half a sector":    write(ctx, &made{}, 600, far(size), Options{}),
		"no 4096":          write(ctx, &made{}, 512, far(size), Options{Sector: 4096}),
		"too large":        write(ctx, &made{}, maxDisk+512, far(size), Options{}),
		"sectors of 520":   write(ctx, &made{}, 520, far(size), Options{Sector: 520}),
		"blocks of 3 MiB":  write(ctx, &made{}, size, far(size), Options{BlockSize: 3 * mib}),
		"a table too long": write(ctx, &made{}, maxDisk, far(maxDisk), Options{BlockSize: mib}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
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

// sameTail compares what QEMU reads behind the first chunk of a disk.
func sameTail(t testing.TB, path, raw string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "tail.raw")
	vdisktest.QemuImg(t, "dd", "-f", "vhdx", "-O", "raw", "bs=1M", "skip=4095", "if="+path, "of="+out)
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f := openRaw(t, raw)
	want := make([]byte, f.size-4095*mib)
	if _, err := f.ReadAt(want, 4095*mib); err != nil || !bytes.Equal(got, want) || block.Zeros(want) {
		t.Errorf("QEMU reads something else behind the first chunk (%v)", err)
	}
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
			sameAs(t, d, raw, used)
			vdisktest.Tool(t, "libvhdi-utils", "vhdiinfo", path)
			if c.o.Sector == 4096 { // qemu does not open those
				return
			}
			vdisktest.QemuImg(t, "check", "-f", "vhdx", path)
			if c.size > 4<<30 { // QEMU takes long to compare holes
				sameTail(t, path, raw)
				return
			}
			vdisktest.QemuImg(t, "compare", "-f", "vhdx", "-F", "raw", path, raw)
		})
	}
}
