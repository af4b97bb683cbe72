package vmdk

import (
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

func openPath(t testing.TB, path string) *Image {
	t.Helper()
	im, err := tryPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func tryPath(path string) (*Image, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Open(vdisktest.Disk(b), func(name, format string) (block.Reader, block.Map, error) {
		beside := filepath.Join(filepath.Dir(path), filepath.Base(name))
		if format == "vmdk" {
			im, err := tryPath(beside)
			if err != nil {
				return nil, nil, err
			}
			return im, im.Used(), nil
		}
		b, err := os.ReadFile(beside)
		return vdisktest.Disk(b), vdisktest.Disk(b).Used(4096), err
	})
}

// TestReadsWhatQemuWrites converts disks to all kinds that are read.
func TestReadsWhatQemuWrites(t *testing.T) {
	for _, size := range []int64{70 << 10, 35<<20 + 3*512} {
		d := vdisktest.Draw(size, uint64(size))
		raw := d.Save(t)
		for _, opts := range []string{
			"", "subformat=monolithicSparse", "subformat=monolithicFlat", "subformat=twoGbMaxExtentSparse", "subformat=twoGbMaxExtentFlat",
			"subformat=streamOptimized", "compat6", "zeroed_grain=on", "adapter_type=lsilogic",
		} {
			t.Run(fmt.Sprint(size, " ", opts), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "disk.vmdk")
				args := []string{"convert", "-f", "raw", "-O", "vmdk"}
				if opts != "" {
					args = append(args, "-o", opts)
				}
				vdisktest.QemuImg(t, append(args, raw, out)...)
				im := openPath(t, out)
				d.Same(t, im, im.Used())
			})
		}
	}
}

// TestReadsRandomWrites has qemu-io write and zero at random, over a parent.
func TestReadsRandomWrites(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(3, 8))
	base := filepath.Join(dir, "base.vmdk")
	d := vdisktest.Draw(3<<20, 5)
	vdisktest.QemuImg(t, "convert", "-f", "raw", "-O", "vmdk", d.Save(t), base)
	over := filepath.Join(dir, "over.vmdk")
	vdisktest.QemuImg(t, "create", "-q", "-f", "vmdk", "-o", "zeroed_grain=on", "-b", "base.vmdk", "-F", "vmdk", over)
	args := []string{"-f", "vmdk"}
	for range 30 {
		off := rng.Int64N(d.Size()/512) * 512
		n := min((1+rng.Int64N(1<<rng.IntN(10)))*512, d.Size()-off)
		cmd := fmt.Sprintf("write -P %d %d %d", 1+rng.IntN(254), off, n)
		if rng.IntN(3) == 0 {
			cmd = fmt.Sprintf("write -z %d %d", off, n)
		}
		args = append(args, "-c", cmd)
	}
	vdisktest.Tool(t, "qemu-utils", "qemu-io", append(args, over)...)
	flat := filepath.Join(dir, "flat.raw")
	vdisktest.QemuImg(t, "convert", "-O", "raw", over, flat)
	want, err := os.ReadFile(flat)
	if err != nil {
		t.Fatal(err)
	}
	im := openPath(t, over)
	vdisktest.Disk(want).Same(t, im, im.Used())
	// The parent is written to: what lies over it is not to be trusted any more.
	vdisktest.Tool(t, "qemu-utils", "qemu-io", "-f", "vmdk", "-c", "write 0 512", base)
	if _, err := tryPath(over); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "written to since") {
		t.Errorf("a parent that changed: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	head := descriptorMark + "\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
	for _, c := range []struct {
		text   string
		want   error
		saying string
	}{
		{"RW 100 FLAT \"../../etc/shadow\" 0\n", ErrUnsupported, "beside"},
		{"RW 100 FLAT \"/dev/sda\" 0\n", ErrUnsupported, "beside"},
		{"RW 100 SPARSE \"C:\\\\x.vmdk\"\n", ErrUnsupported, "beside"},
		{"RW 100 VMFSSPARSE \"a.vmdk\"\n", ErrUnsupported, "VMFSSPARSE"},
		{"RW 100 SESPARSE \"a.vmdk\"\n", ErrUnsupported, "SESPARSE"},
		{"NOACCESS 100 FLAT \"a.vmdk\" 0\n", ErrUnsupported, "accessed"},
		{"RW x FLAT \"a.vmdk\" 0\n", ErrCorrupt, "sectors"},
		{"RW 99999999999999999 FLAT \"a.vmdk\" 0\n", ErrCorrupt, "sectors"},
		{"RW 100 FLAT \"a.vmdk\" -4\n", ErrCorrupt, "begins"},
		{"", ErrCorrupt, "no extents"},
		{strings.Repeat("RW 1 ZERO\n", maxExtents+1), ErrCorrupt, "extents"},
		{"RW 100 FLAT \"short.vmdk\" 0\n", ErrCorrupt, "should have"},
	} {
		text := vdisktest.Disk(head + c.text)
		_, err := Open(text, func(string, string) (block.Reader, block.Map, error) {
			return make(vdisktest.Disk, 1000), block.Whole(1000), nil
		})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.saying) {
			t.Errorf("%.60q: %v", c.text, err)
		}
	}
	if _, err := Open(vdisktest.Disk("COWD"+strings.Repeat("\x00", 2000)), nil); !errors.Is(err, ErrUnsupported) {
		t.Error("an ESX extent:", err)
	}
}

// TestZeroExtent reads a descriptor with an extent that lies nowhere between two
// that do.
func TestZeroExtent(t *testing.T) {
	a, b := vdisktest.Draw(40*512, 1), vdisktest.Draw(60*512, 2)
	text := vdisktest.Disk(descriptorMark + "\nRW 30 FLAT \"a\" 10\nRW 20 ZERO\nRW 60 VMFS \"b\" 0\n")
	im, err := Open(text, func(name, _ string) (block.Reader, block.Map, error) {
		if name == "a" {
			return a, a.Used(512), nil
		}
		return b, b.Used(512), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := append(append(a[10*512:], make([]byte, 20*512)...), b...)
	want.Same(t, im, im.Used())
}

// write makes a file of a disk.
func write(t testing.TB, d vdisktest.Disk, used block.Map, stream bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "written.vmdk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var done int64
	err = Write(context.Background(), f, d.Size(), d, used, Options{Stream: stream, Name: "written.vmdk"}, func(n int64) { done += n })
	if err != nil {
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
	for _, stream := range []bool{false, true} {
		for _, size := range []int64{512, 65536, 65536 + 512, 70<<20 + 1536} {
			t.Run(fmt.Sprint(stream, size), func(t *testing.T) {
				d := vdisktest.Draw(size, uint64(size))
				for _, used := range []block.Map{d.Used(512), block.Whole(size)} {
					path := write(t, d, used, stream)
					if !stream { // qemu-img does not check streams
						if out := vdisktest.QemuImg(t, "check", "-f", "vmdk", path); !strings.Contains(out, "No errors were found") {
							t.Errorf("qemu-img check:\n%s", out)
						}
					}
					vdisktest.QemuImg(t, "compare", "-f", "vmdk", "-F", "raw", path, d.Save(t))
					im := openPath(t, path)
					d.Same(t, im, im.Used())
				}
			})
		}
	}
}

// TestWriteNothing writes a disk of zeros.
func TestWriteNothing(t *testing.T) {
	for _, stream := range []bool{false, true} {
		d := make(vdisktest.Disk, 50<<20)
		path := write(t, d, block.Whole(d.Size()), stream)
		vdisktest.QemuImg(t, "compare", "-f", "vmdk", "-F", "raw", path, d.Save(t))
		im := openPath(t, path)
		if n, err := block.Bytes(im.Used()); n != 0 || err != nil {
			t.Errorf("a disk of zeros has %d bytes in use (%v)", n, err)
		}
	}
}

// TestCutShort reads the front half of files: what is not there is an error.
func TestCutShort(t *testing.T) {
	d := vdisktest.Draw(9<<20, 1)
	for _, stream := range []bool{false, true} {
		b, err := os.ReadFile(write(t, d, block.Whole(d.Size()), stream))
		if err != nil {
			t.Fatal(err)
		}
		im, err := Open(vdisktest.Disk(b[:len(b)/2]), nil)
		if err == nil {
			_, err = im.ReadAt(make([]byte, len(d)), 0)
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("stream %v: %v", stream, err)
		}
	}
}
