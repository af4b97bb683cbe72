package qcow2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// openPath opens an image and, without asking, the files it names beside it.
func openPath(t testing.TB, path string) *Image {
	t.Helper()
	im, err := tryPath(t, path)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func tryPath(t testing.TB, path string) (*Image, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return Open(f, fi.Size(), func(name, format string) (block.Reader, block.Map, error) {
		path := filepath.Join(filepath.Dir(path), filepath.Base(name))
		if format == "raw" {
			b, err := os.ReadFile(path)
			return vdisktest.Disk(b), block.Whole(int64(len(b))), err
		}
		below, err := tryPath(t, path)
		if err != nil {
			return nil, nil, err
		}
		return below, below.Used(), nil
	})
}

// TestReadsWhatQemuWrites converts a disk with many options and reads it back.
func TestReadsWhatQemuWrites(t *testing.T) {
	d := vdisktest.Draw(5<<20+3*512, 1)
	raw := d.Save(t)
	for _, opts := range []string{
		"", "compat=0.10", "cluster_size=512", "cluster_size=4k", "cluster_size=2M", "lazy_refcounts=on", "extended_l2=on",
		"extended_l2=on,cluster_size=16k", "extended_l2=on,cluster_size=2M", "preallocation=metadata", "preallocation=full",
		"preallocation=falloc,cluster_size=512", "refcount_bits=1", "refcount_bits=64,cluster_size=1M",
		"-c", "-c compression_type=zstd", "-c cluster_size=512", "-c cluster_size=2M", "-c compression_type=zstd,cluster_size=2M",
		"-c compression_type=zstd,cluster_size=4k", "-c compat=0.10", "-c extended_l2=on",
	} {
		t.Run(opts, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "disk.qcow2")
			args := []string{"convert", "-f", "raw", "-O", "qcow2"}
			if rest, ok := strings.CutPrefix(opts, "-c"); ok {
				args, opts = append(args, "-c"), strings.TrimSpace(rest)
			}
			if opts != "" {
				args = append(args, "-o", opts)
			}
			vdisktest.QemuImg(t, append(args, raw, out)...)
			im := openPath(t, out)
			d.Same(t, im, im.Used())
		})
	}
}

// TestReadsRandomWrites has qemu-io write, discard and zero at random, over a
// chain of backing files of other sizes and cluster sizes.
func TestReadsRandomWrites(t *testing.T) {
	for i, opts := range [][]string{
		{"cluster_size=4k", "cluster_size=64k", "extended_l2=on,cluster_size=128k"},
		{"compat=0.10,cluster_size=512", "extended_l2=on", "cluster_size=1M"},
	} {
		t.Run(strings.Join(opts, " "), func(t *testing.T) {
			dir := t.TempDir()
			rng := rand.New(rand.NewPCG(9, uint64(i)))
			base := vdisktest.Draw(1<<20+512, 3)
			if err := os.WriteFile(filepath.Join(dir, "0.raw"), base, 0o600); err != nil {
				t.Fatal(err)
			}
			below, format := "0.raw", "raw"
			for n, o := range opts {
				name := fmt.Sprintf("%d.qcow2", n+1)
				path := filepath.Join(dir, name)
				size := int64(2+rng.IntN(3)) << 20
				vdisktest.QemuImg(t, "create", "-q", "-f", "qcow2", "-o", o, "-b", below, "-F", format, path, fmt.Sprint(size))
				randomWrites(t, rng, path, size)
				below, format = name, "qcow2"
			}
			last := filepath.Join(dir, below)
			flat := filepath.Join(dir, "flat.raw")
			vdisktest.QemuImg(t, "convert", "-O", "raw", last, flat)
			want, err := os.ReadFile(flat)
			if err != nil {
				t.Fatal(err)
			}
			im := openPath(t, last)
			vdisktest.Disk(want).Same(t, im, im.Used())
		})
	}
}

// randomWrites changes an image through qemu-io.
func randomWrites(t *testing.T, rng *rand.Rand, path string, size int64) {
	t.Helper()
	args := []string{"-f", "qcow2", "-d", "unmap"}
	for range 40 {
		off := rng.Int64N(size/512) * 512
		n := min((1+rng.Int64N(1<<rng.IntN(10)))*512, size-off)
		cmd := []string{"write -P %d %d %d", "write -z -u %[2]d %[3]d", "discard %[2]d %[3]d", "write -z %[2]d %[3]d"}[rng.IntN(4)]
		cmd = strings.ReplaceAll(cmd, "%d %d %d", "%[1]d %[2]d %[3]d")
		args = append(args, "-c", strings.Split(fmt.Sprintf(cmd, 1+rng.IntN(254), off, n), "%!")[0])
	}
	vdisktest.Tool(t, "qemu-utils", "qemu-io", append(args, path)...)
}

func TestReadsExternalData(t *testing.T) {
	for _, raw := range []string{"on", "off"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "disk.qcow2")
		vdisktest.QemuImg(t, "create", "-q", "-f", "qcow2", "-o", "data_file="+filepath.Join(dir, "data.raw")+",data_file_raw="+raw, path, "2M")
		d := vdisktest.Draw(2<<20, 11)
		vdisktest.QemuImg(t, "convert", "-n", "-f", "raw", "-O", "qcow2", d.Save(t), path)
		im := openPath(t, path)
		d.Same(t, im, im.Used())
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.qcow2")
	vdisktest.QemuImg(t, "create", "-q", "-f", "qcow2", good, "1M")
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		at     int
		value  byte
		want   error
		saying string
	}{
		{"corrupt bit", 79, featCorrupt, ErrCorrupt, "marked"},
		{"unknown feature", 78, 0x80, ErrUnsupported, "bit 15"},
		{"luks", 35, 2, ErrUnsupported, "LUKS"},
		{"aes", 35, 1, ErrUnsupported, "AES"},
		{"version", 7, 9, ErrUnsupported, "version 9"},
		{"cluster bits", 23, 40, ErrCorrupt, "cluster_bits"},
		{"external without a name", 79, featData, ErrCorrupt, "no name"},
		{"size", 24, 0x70, ErrCorrupt, "bytes"},
		{"l1", 36, 0x70, ErrCorrupt, "l1_size"},
	} {
		bad := bytes.Clone(b)
		bad[c.at] = c.value
		if _, err := Open(vdisktest.Disk(bad), int64(len(bad)), nil); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.saying) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	dirty := bytes.Clone(b)
	dirty[79] |= featDirty
	if _, err := Open(vdisktest.Disk(dirty), int64(len(dirty)), nil); err != nil {
		t.Errorf("a dirty image: %v", err)
	}
	vdisktest.QemuImg(t, "create", "-q", "-f", "qcow2", "-b", good, "-F", "qcow2", filepath.Join(dir, "over.qcow2"))
	over, err := os.ReadFile(filepath.Join(dir, "over.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(vdisktest.Disk(over), int64(len(over)), nil); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), good) {
		t.Errorf("a backing file that nobody opens: %v", err)
	}
}

// TestCutShort reads the front half of an image: what is not there is an error,
// and no zeros.
func TestCutShort(t *testing.T) {
	d := vdisktest.Draw(4<<20, 5)
	out := filepath.Join(t.TempDir(), "disk.qcow2")
	vdisktest.QemuImg(t, "convert", "-f", "raw", "-O", "qcow2", d.Save(t), out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	im, err := Open(vdisktest.Disk(b[:len(b)/2]), int64(len(b)/2), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := im.ReadAt(make([]byte, len(d)), 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("reading it: %v", err)
	}
}

// write makes an image file of a disk.
func write(t testing.TB, d vdisktest.Disk, used block.Map, opts Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "written.qcow2")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var done int64
	if err := Write(context.Background(), f, d.Size(), d, used, opts, func(n int64) { done += n }); err != nil {
		t.Fatal(err)
	}
	if want, _ := block.Bytes(used); done != want {
		t.Errorf("progress told of %d bytes of %d", done, want)
	}
	return path
}

// TestWrite writes disks, and has QEMU check and compare them, and this reader
// read them.
func TestWrite(t *testing.T) {
	for _, opts := range []Options{{}, {Compress: true}} {
		for _, size := range []int64{512, 65536, 65536 + 512, 30<<20 + 1536} {
			t.Run(fmt.Sprintf("%v %d", opts, size), func(t *testing.T) {
				d := vdisktest.Draw(size, uint64(size))
				for _, used := range []block.Map{d.Used(512), block.Whole(size)} {
					path := write(t, d, used, opts)
					checkWritten(t, path, d.Save(t))
					im := openPath(t, path)
					d.Same(t, im, im.Used())
				}
			})
		}
	}
}

func checkWritten(t *testing.T, path, raw string) {
	t.Helper()
	if out := vdisktest.QemuImg(t, "check", "-f", "qcow2", path); !strings.Contains(out, "No errors were found") {
		t.Errorf("qemu-img check:\n%s", out)
	}
	vdisktest.QemuImg(t, "compare", "-f", "qcow2", "-F", "raw", path, raw)
}

// TestWriteLeavesOutWhatIsFree has a map that leaves out half of each cluster,
// which then reads as zeros.
func TestWriteLeavesOutWhatIsFree(t *testing.T) {
	d := vdisktest.Draw(3<<20, 8)
	var used block.Extents
	want := make(vdisktest.Disk, len(d))
	for off := int64(0); off < d.Size(); off += 1 << 17 {
		e := block.Extent{Off: off + 5000, Len: 40000}
		used = append(used, e)
		copy(want[e.Off:e.End()], d[e.Off:e.End()])
	}
	im := openPath(t, write(t, d, used, Options{}))
	want.Same(t, im, im.Used())
}

// far is a disk of which only a few places are not zeros.
type far struct {
	size  int64
	marks map[int64]byte // by cluster
}

func (f far) Size() int64 { return f.size }

func (f far) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for at, v := range f.marks {
		if at >= off && at < off+int64(len(p)) {
			p[at-off] = v
		}
	}
	return len(p), nil
}

// TestWriteFarApart writes a disk of 40 TB with data in many tables.
func TestWriteFarApart(t *testing.T) {
	f := far{size: 40 << 40, marks: map[int64]byte{}}
	var used []block.Extent
	for i := range int64(200) {
		at := i * (f.size / 200) / 512 * 512
		f.marks[at] = byte(i + 1)
		used = append(used, block.Extent{Off: at, Len: 512})
	}
	for _, opts := range []Options{{}, {Compress: true}} {
		path := filepath.Join(t.TempDir(), "far.qcow2")
		w, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := Write(t.Context(), w, f.size, f, block.NewExtents(used...), opts, nil); err != nil {
			t.Fatal(err)
		}
		if out := vdisktest.QemuImg(t, "check", "-f", "qcow2", path); !strings.Contains(out, "No errors were found") {
			t.Errorf("qemu-img check:\n%s", out)
		}
		im := openPath(t, path)
		p := make([]byte, 2)
		for at, v := range f.marks {
			if _, err := im.ReadAt(p, at); err != nil || p[0] != v {
				t.Fatalf("byte %d: %v, %v", at, p, err)
			}
		}
	}
}
