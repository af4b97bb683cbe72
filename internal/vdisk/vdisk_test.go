package vdisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// open opens a disk that must be good.
func open(t *testing.T, path string, opts Options) *Disk {
	t.Helper()
	d, err := Open(context.Background(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestOpenKnowsTheFormat has QEMU make all formats, under names that tell
// nothing.
func TestOpenKnowsTheFormat(t *testing.T) {
	d := vdisktest.Draw(9<<20, 1)
	src := d.Save(t)
	for _, c := range []struct {
		format, opts string
		want         Format
	}{
		{"qcow2", "", QCOW2}, {"vhdx", "", VHDX}, {"vhdx", "subformat=fixed", VHDX}, {"vpc", "force_size=on", VHD},
		{"vpc", "subformat=fixed,force_size=on", VHD}, {"vmdk", "", VMDK}, {"vmdk", "subformat=streamOptimized", VMDK},
		{"vmdk", "subformat=twoGbMaxExtentFlat", VMDK}, {"raw", "", Raw},
	} {
		t.Run(c.format+" "+c.opts, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk")
			args := []string{"convert", "-f", "raw", "-O", c.format}
			if c.opts != "" {
				args = append(args, "-o", c.opts)
			}
			vdisktest.QemuImg(t, append(args, src, path)...)
			got := open(t, path, Options{})
			if got.Format != c.want {
				t.Errorf("it is taken for %s", got.Format)
			}
			d.Same(t, got, got.Used())
			asIs := open(t, path, Options{Raw: true})
			if fi, err := os.Stat(path); err != nil || asIs.Format != Raw || asIs.Size() != fi.Size() {
				t.Errorf("taken as it is: %s of %d bytes, %v", asIs.Format, asIs.Size(), err)
			}
		})
	}
}

// TestWriteAndOpen writes every format and reads it, here and with QEMU.
func TestWriteAndOpen(t *testing.T) {
	d := vdisktest.Draw(20<<20, 2)
	src := d.Save(t)
	for _, format := range Formats {
		for _, compress := range []bool{false, true} {
			target := Target{Format: format, Size: d.Size(), Sector: 512, Compress: compress, Name: "disk"}
			if target.Check() != nil {
				continue
			}
			t.Run(fmt.Sprint(format, compress), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "disk")
				f, err := os.Create(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if err := Write(t.Context(), f, target, d, d.Used(512), nil); err != nil {
					t.Fatal(err)
				}
				got := open(t, path, Options{Raw: format == Raw})
				d.Same(t, got, got.Used())
				qemu := map[Format]string{VHD: "vpc", VHDFixed: "vpc"}[format]
				if qemu == "" {
					qemu = string(format)
				}
				vdisktest.QemuImg(t, "compare", "-f", qemu, "-F", "raw", path, src)
			})
		}
	}
}

func TestWriteEndsWithItsContext(t *testing.T) {
	d := vdisktest.Draw(30<<20, 3)
	for _, format := range Formats {
		ctx, cancel := context.WithCancel(t.Context())
		f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		err = Write(ctx, f, Target{Format: format, Size: d.Size(), Sector: 512}, d, block.Whole(d.Size()), func(int64) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", format, err)
		}
		if got, err := Open(context.Background(), f.Name(), Options{}); err == nil {
			if got.Format != Raw {
				t.Errorf("%s: the unfinished file is taken for %s", format, got.Format)
			}
			got.Close()
		}
	}
}

func TestTargetCheck(t *testing.T) {
	for _, c := range []struct {
		target Target
		saying string
	}{
		{Target{Format: "floppy", Sector: 512}, "floppy"},
		{Target{Format: VHDX, Sector: 512, Compress: true}, "compression"},
		{Target{Format: VMDK, Sector: 4096}, "512 bytes only"},
		{Target{Format: VHD, Sector: 4096}, "512 bytes only"},
	} {
		if err := c.target.Check(); err == nil || !strings.Contains(err.Error(), c.saying) {
			t.Errorf("%v: %v", c.target, err)
		}
	}
	for name, want := range map[string]Format{"a.VHDX": VHDX, "b.qcow2": QCOW2, "c.img": Raw, "d.dd": Raw, "e.vmdk": VMDK, "f": "", "g.mrimgx": ""} {
		if got := FormatOf(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// create makes an empty overlay that names a backing file, whatever that is.
func create(t *testing.T, path, backing, format string) {
	t.Helper()
	vdisktest.QemuImg(t, "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", format, path, "1M")
}

// TestBackingFiles follows names to files in the disk's folder only.
func TestBackingFiles(t *testing.T) {
	root := t.TempDir()
	dir, other := filepath.Join(root, "dir"), filepath.Join(root, "other")
	for _, d := range []string{dir, other, filepath.Join(dir, "below")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	base := vdisktest.Draw(1<<20, 4)
	for _, path := range []string{"dir/base.raw", "dir/below/base.raw", "other/base.raw"} {
		if err := os.WriteFile(filepath.Join(root, path), base, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(other, "base.raw"), filepath.Join(dir, "link.raw")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("base.raw", filepath.Join(dir, "good.raw")); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		backing string
		opts    Options
		want    error // nil: it opens
		saying  string
	}{
		{backing: "base.raw"}, {backing: "below/base.raw"}, {backing: "./below/../base.raw"}, {backing: "good.raw"},
		{backing: filepath.Join(dir, "base.raw")}, {backing: "file:base.raw"},
		{backing: "../other/base.raw", want: ErrOutside, saying: other},
		{backing: "link.raw", want: ErrOutside, saying: other},
		{backing: filepath.Join(other, "base.raw"), want: ErrOutside, saying: other},
		{backing: "../other/base.raw", opts: Options{Folders: []string{other}}},
		{backing: "/dev/zero", want: ErrOutside, saying: "/dev/zero"},
		{backing: "/dev/zero", opts: Options{Folders: []string{"/dev"}}, want: errors.ErrUnsupported, saying: "no regular file"},
		{backing: "nbd://example.com/disk", want: ErrOutside, saying: "address"},
		{backing: `json:{"driver":"raw","file":{"driver":"file","filename":"/etc/shadow"}}`, want: ErrOutside, saying: "address"},
		{backing: "below", want: errors.ErrUnsupported, saying: "no regular file"},
		{backing: "nothing.raw", want: os.ErrNotExist, saying: "nothing.raw"},
	} {
		path := filepath.Join(dir, fmt.Sprintf("over%d.qcow2", i))
		create(t, path, c.backing, "raw")
		d, err := Open(context.Background(), path, c.opts)
		switch {
		case err == nil:
			base.Same(t, d, d.Used())
			if len(d.Files) != 2 {
				t.Errorf("%s: files %v", c.backing, d.Files)
			}
			d.Close()
			fallthrough
		case c.want == nil:
			if c.want != nil || err != nil {
				t.Errorf("%s: %v", c.backing, err)
			}
		case !strings.Contains(err.Error(), c.saying), c.want != errors.ErrUnsupported && !errors.Is(err, c.want):
			t.Errorf("%s: %v", c.backing, err)
		}
	}
}

// TestRawBackingIsNotProbed has a raw disk that begins as a qcow2 does: as a
// backing file in the format raw it stays one.
func TestRawBackingIsNotProbed(t *testing.T) {
	dir := t.TempDir()
	trap := filepath.Join(dir, "trap.raw")
	create(t, trap, "/etc/passwd", "raw")
	if err := os.Truncate(trap, 1<<20); err != nil {
		t.Fatal(err)
	}
	over := filepath.Join(dir, "over.qcow2")
	create(t, over, "trap.raw", "raw")
	want, err := os.ReadFile(trap)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, over, Options{})
	vdisktest.Disk(want).Same(t, d, d.Used())
}

func TestChainsEnd(t *testing.T) {
	dir := t.TempDir()
	path := func(i int) string { return filepath.Join(dir, fmt.Sprintf("%d.qcow2", i)) }
	create(t, path(0), "1.qcow2", "qcow2")
	create(t, path(1), "0.qcow2", "qcow2")
	if _, err := Open(context.Background(), path(0), Options{}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a circle: %v", err)
	}
	create(t, path(2), "2.qcow2", "qcow2")
	if _, err := Open(context.Background(), path(2), Options{}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a disk upon itself: %v", err)
	}
	vdisktest.QemuImg(t, "create", "-q", "-f", "qcow2", path(3), "1M")
	for i := range maxDepth {
		create(t, path(4+i), fmt.Sprintf("%d.qcow2", 3+i), "qcow2")
	}
	if _, err := Open(context.Background(), path(3+maxDepth), Options{}); err == nil || !strings.Contains(err.Error(), "stand on each other") {
		t.Errorf("a long chain: %v", err)
	}
	open(t, path(2+maxDepth), Options{})
}

// TestMixedChain has a qcow2 upon a vhdx upon nothing, and a vmdk's parent.
func TestMixedChain(t *testing.T) {
	dir := t.TempDir()
	d := vdisktest.Draw(3<<20, 5)
	vdisktest.QemuImg(t, "convert", "-f", "raw", "-O", "vhdx", d.Save(t), filepath.Join(dir, "base.vhdx"))
	over := filepath.Join(dir, "over.qcow2")
	vdisktest.QemuImg(t, "create", "-q", "-f", "qcow2", "-b", "base.vhdx", "-F", "vhdx", over)
	vdisktest.Tool(t, "qemu-utils", "qemu-io", "-f", "qcow2", "-c", "write -P 77 100k 30k", over)
	for i := range 30 << 10 {
		d[100<<10+i] = 77
	}
	got := open(t, over, Options{})
	d.Same(t, got, got.Used())
}

func TestParts(t *testing.T) {
	dir := t.TempDir()
	d := vdisktest.Draw(1<<20+512, 6)
	for i := range 6 {
		part := d[min(i*200000, len(d)):min((i+1)*200000, len(d))]
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("disk.%03d", i+1)), part, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := open(t, filepath.Join(dir, "disk.001"), Options{})
	if got.Format != Raw || len(got.Files) != 6 {
		t.Errorf("%s in %v", got.Format, got.Files)
	}
	d.Same(t, got, got.Used())
}

func TestForeignFormats(t *testing.T) {
	vdi := filepath.Join(t.TempDir(), "disk.vdi")
	vdisktest.QemuImg(t, "create", "-q", "-f", "vdi", vdi, "1M")
	if _, err := Open(context.Background(), vdi, Options{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "VDI") {
		t.Errorf("VDI: %v", err)
	}
	for _, path := range []string{t.TempDir(), "/dev/null"} {
		if _, err := Open(context.Background(), path, Options{}); err == nil {
			t.Errorf("%s opens as a virtual disk", path)
		}
	}
}
