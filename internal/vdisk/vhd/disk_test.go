package vhd

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

const mib = 1 << 20

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

// writeFile makes a VHD of a disk.
func writeFile(t testing.TB, src block.Reader, used block.Map, o Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.vhd")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var told int64
	if err := Write(context.Background(), f, src.Size(), src, used, o, func(n int64) { told += n }); err != nil {
		t.Fatal(err)
	}
	if want, err := block.Bytes(used); err != nil || told != want {
		t.Errorf("progress was told of %d bytes of %d, %v", told, want, err)
	}
	return path
}

// virtualSize is what qemu-img says it is.
func virtualSize(t testing.TB, path string) int64 {
	t.Helper()
	var info struct {
		Size int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(vdisktest.QemuImg(t, "info", "-f", "vpc", "--output=json", path)), &info); err != nil {
		t.Fatal(err)
	}
	return info.Size
}

// TestReadsWhatQemuWrites takes sizes that geometries cannot say among others;
// QEMU then makes the disk larger, or is forced not to.
func TestReadsWhatQemuWrites(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{mib, 20*mib + 512, 31 * mib} {
		for _, options := range []string{"subformat=dynamic", "subformat=fixed", "subformat=dynamic,force_size=on", "subformat=fixed,force_size=on"} {
			t.Run(fmt.Sprint(size, options), func(t *testing.T) {
				t.Parallel()
				src := vdisktest.Draw(size, uint64(size))
				path := filepath.Join(t.TempDir(), "d.vhd")
				vdisktest.QemuImg(t, "convert", "-f", "raw", "-O", "vpc", "-o", options, src.Save(t), path)
				d := openPath(t, path)
				if kind := strings.SplitN(options[10:], ",", 2)[0]; d.Kind() != kind || d.Torn() {
					t.Errorf("a %s disk, torn: %v", d.Kind(), d.Torn())
				}
				if want := virtualSize(t, path); d.Size() != want || want < size {
					t.Fatalf("%d bytes, QEMU says %d of %d", d.Size(), want, size)
				}
				append(src, make(vdisktest.Disk, d.Size()-size)...).Same(t, d, d.Used())
			})
		}
	}
}

// TestSizes compares the size of a disk with what QEMU makes of it, for those
// who make disks and geometries that say less.
func TestSizes(t *testing.T) {
	t.Parallel()
	src := make(vdisktest.Disk, 10*mib+512)
	path := writeFile(t, src, block.Whole(src.Size()), Options{})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, creator := range []string{"win ", "vpc ", "qemu", "qem2", "d2v ", "tap\x00", "CTXS"} {
		b := bytes.Clone(whole)
		for _, at := range []int{0, len(b) - footerSize} {
			copy(b[at+28:], creator)
			binary.BigEndian.PutUint32(b[at+64:], checksum(b[at:at+footerSize], 64))
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if d := openPath(t, path); d.Size() != virtualSize(t, path) {
			t.Errorf("creator %q: %d bytes, QEMU says %d", creator, d.Size(), virtualSize(t, path))
		}
	}
}

// TestWrite has QEMU and libvhdi judge what Write makes.
func TestWrite(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{512, 3 * mib, 17*mib + 1536, 40 * mib} {
		for _, o := range []Options{{}, {Fixed: true}} {
			t.Run(fmt.Sprint(size, o.Fixed), func(t *testing.T) {
				t.Parallel()
				src := vdisktest.Draw(size, uint64(size))
				path := writeFile(t, src, src.Used(4096), o)
				d := openPath(t, path)
				src.Same(t, d, d.Used())
				if got := virtualSize(t, path); got != size {
					t.Errorf("QEMU says %d bytes, not %d", got, size)
				}
				vdisktest.QemuImg(t, "compare", "-f", "vpc", "-F", "raw", path, src.Save(t))
				info := vdisktest.Tool(t, "libvhdi-utils", "vhdiinfo", path)
				if want := map[bool]string{true: "Fixed", false: "Dynamic"}[o.Fixed]; !strings.Contains(info, want) || !strings.Contains(info, fmt.Sprintf("(%d bytes)", size)) && size > 1024 {
					t.Errorf("libvhdi says:\n%s", info)
				}
			})
		}
	}
}

// hollow is a disk of size bytes with some at a few places.
type hollow int64

func (h hollow) Size() int64 { return int64(h) }

func (h hollow) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for i := 0; i < len(p); i += 512 {
		binary.LittleEndian.PutUint64(p[i:], uint64(off)+uint64(i)+1)
	}
	return len(p), nil
}

// TestWriteLarge has blocks at the end of the largest disks.
func TestWriteLarge(t *testing.T) {
	t.Parallel()
	const size = maxDynamic
	used := block.Extents{{Off: 5 * mib, Len: mib}, {Off: 1 << 40, Len: 4096}, {Off: size - 1024, Len: 1024}}
	for name, o := range map[string]Options{"dynamic": {}, "fixed": {Fixed: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writeFile(t, hollow(size), used, o)
			if got := virtualSize(t, path); got != size {
				t.Errorf("QEMU says %d bytes", got)
			}
			d := openPath(t, path)
			for _, e := range used {
				got, want := make([]byte, e.Len), make([]byte, e.Len)
				_, _ = hollow(size).ReadAt(want, e.Off)
				if _, err := d.ReadAt(got, e.Off); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v: %v", e, err)
				}
			}
		})
	}
	if err := Write(context.Background(), nil, size+512, hollow(size+512), used, Options{}, nil); err == nil {
		t.Error("a dynamic disk was made larger than can be")
	}
}

// TestTornFooter has the end of a file damaged: the copy at the start serves.
func TestTornFooter(t *testing.T) {
	t.Parallel()
	src := vdisktest.Draw(9*mib, 3)
	whole, err := os.ReadFile(writeFile(t, src, src.Used(512), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"footer gone": whole[:len(whole)-footerSize],
		"half of it":  whole[:len(whole)-200],
		"garbage":     append(bytes.Clone(whole[:len(whole)-footerSize]), bytes.Repeat([]byte{7}, footerSize)...),
	} {
		d, err := Open(bytes.NewReader(b), int64(len(b)), "", nil)
		if err != nil || !d.Torn() {
			t.Errorf("%s: %v", name, err)
			continue
		}
		src.Same(t, d, d.Used())
	}
	fixed, err := os.ReadFile(writeFile(t, src, src.Used(512), Options{Fixed: true}))
	if err != nil {
		t.Fatal(err)
	}
	short := fixed[:len(fixed)-1] // a footer of 511 bytes, as before 2004
	if d, err := Open(bytes.NewReader(short), int64(len(short)), "", nil); err != nil || d.Torn() {
		t.Errorf("a footer of 511 bytes: %v", err)
	} else {
		src.Same(t, d, d.Used())
	}
	b := fixed[:len(fixed)-2]
	if _, err := Open(bytes.NewReader(b), int64(len(b)), "", nil); err == nil {
		t.Error("a fixed disk without a footer was opened")
	}
}

// TestChecksumsMatter changes single bytes of footer and header.
func TestChecksumsMatter(t *testing.T) {
	t.Parallel()
	src := vdisktest.Draw(3*mib, 3)
	whole, err := os.ReadFile(writeFile(t, src, src.Used(512), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{footerSize, footerSize + 35, footerSize + 1000} {
		b := bytes.Clone(whole)
		b[at]++
		if _, err := Open(bytes.NewReader(b), int64(len(b)), "", nil); err == nil {
			t.Errorf("byte %d was changed, and nobody saw it", at)
		}
	}
	for _, at := range []int{40, 84, 511} {
		b := bytes.Clone(whole)
		b[at]++
		b[len(b)-footerSize+at]++
		if _, err := Open(bytes.NewReader(b), int64(len(b)), "", nil); err == nil {
			t.Errorf("byte %d of both footers was changed, and nobody saw it", at)
		}
	}
}

func TestProbe(t *testing.T) {
	src := vdisktest.Draw(mib, 3)
	for _, o := range []Options{{}, {Fixed: true}} {
		o.Time = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
		path := writeFile(t, src, src.Used(512), o)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !Probe(b[:512], b[len(b)-512:]) || Probe(b[600:1112], nil) {
			t.Error("what is a VHD was not told from what is none")
		}
		if d := openPath(t, path); !d.foot.made.Equal(o.Time) {
			t.Errorf("made at %v", d.foot.made)
		}
	}
}

// failing is a source, or a target, that fails.
type failing struct{ vdisktest.Disk }

func (failing) ReadAt([]byte, int64) (int, error)  { return 0, io.ErrClosedPipe }
func (failing) WriteAt([]byte, int64) (int, error) { return 0, io.ErrNoProgress }

func TestWriteFails(t *testing.T) {
	src := vdisktest.Draw(mib, 3)
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(context.Background(), f, src.Size(), failing{src}, src.Used(512), Options{}, nil); err == nil {
		t.Error("nobody saw that nothing could be read")
	}
	if err := Write(context.Background(), failing{}, src.Size(), src, src.Used(512), Options{}, nil); err == nil {
		t.Error("nobody saw that nothing could be written")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Write(ctx, f, src.Size(), src, src.Used(512), Options{}, nil); err == nil {
		t.Error("nobody saw that it was called off")
	}
	for _, size := range []int64{0, -512, 100, maxDisk + 512} {
		if err := Write(context.Background(), f, size, src, src.Used(512), Options{}, nil); err == nil {
			t.Errorf("a disk of %d bytes was made", size)
		}
	}
}
