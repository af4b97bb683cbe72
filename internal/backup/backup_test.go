package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
	"ingot/internal/dest/desttest"
	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/image"
	"ingot/internal/job"
)

// fatDisk is an MBR disk with one FAT16 volume of mkfs.vfat that holds a file
// and the remains of a deleted one.
func fatDisk(t *testing.T) []byte {
	t.Helper()
	vol := filepath.Join(t.TempDir(), "fat.img")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if cmd.Err != nil {
			cmd = exec.Command("/sbin/"+name, args...)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s (Debian packages dosfstools, mtools): %v\n%s", name, err, out)
		}
	}
	run("mkfs.vfat", "-C", "-F", "16", "-n", "FATTEST", vol, "20480")
	for _, name := range []string{"keep", "gone"} {
		data := bytes.Repeat([]byte(name+" this text "), 60_000)
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		run("mcopy", "-i", vol, file, "::"+name)
	}
	run("mdel", "-i", vol, "::gone")
	data, err := os.ReadFile(vol)
	if err != nil {
		t.Fatal(err)
	}
	return mbrDisk(data)
}

// mbrDisk puts a volume at sector 63 of a disk, as old tools did.
func mbrDisk(vol []byte) []byte {
	out := make([]byte, 63*512, 63*512+len(vol)+4096)
	out[446+4] = 0x06
	binary.LittleEndian.PutUint32(out[446+8:], 63)
	binary.LittleEndian.PutUint32(out[446+12:], uint32(len(vol)/512))
	binary.LittleEndian.PutUint32(out[440:], 0x1234ABCD)
	out[510], out[511] = 0x55, 0xAA
	out = append(out, vol...)
	return append(out, make([]byte, 4096)...)
}

// source is a disk in memory; it has no path.
func source(t *testing.T, d block.Reader) Source {
	t.Helper()
	l, err := disk.Parse(d, 512)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Reader: d, Layout: l, Info: disk.Info{Size: d.Size()}}
}

func imageOf(t *testing.T, d block.Reader, opts Options) (*desttest.Memory, *Plan, error) {
	t.Helper()
	p, err := Prepare(source(t, d), opts)
	if err != nil {
		t.Fatal(err)
	}
	m := desttest.NewMemory()
	_, err = p.Run(t.Context(), m, nil, Naming{Template: "x", Time: time.Unix(1, 0)}, job.NewLog(nil))
	return m, p, err
}

func TestFATVolume(t *testing.T) {
	data := fatDisk(t)
	for _, opts := range []Options{{}, {BlockSize: 4096, Compression: "none"}, {AllSectors: true}} {
		m, p, err := imageOf(t, blocktest.New(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		c, err := image.Open(t.Context(), m, "x-00-00.mrimgx", nil)
		if err != nil {
			t.Fatal(err)
		}
		v := c.Disks()[0].Partitions[0]
		got := make([]byte, v.Size())
		if _, err := v.ReadAt(got, 0); err != nil {
			t.Fatal(err)
		}
		want := bytes.Clone(data[63*512 : 63*512+len(got)])
		if !opts.AllSectors {
			keepUsed(t, want, p.Parts[0].Volume.Used())
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%+v: the volume came back differently", opts)
		}
		if has := bytes.Contains(got, []byte("gone this text")); has != opts.AllSectors {
			t.Errorf("%+v: what was deleted is in the image: %t", opts, has)
		}
		if res, err := c.Verify(t.Context(), nil); err != nil || len(res.Damaged) > 0 {
			t.Errorf("%+v: verify: %+v, %v", opts, res, err)
		}
	}
}

// TestZeroed stores some bytes of a file as zeros: they are in the image, and
// were never asked for.
func TestZeroed(t *testing.T) {
	data := fatDisk(t)
	const start = 63 * 512
	at := int64(bytes.Index(data, []byte("keep this text"))) - start
	zero := block.Extent{Off: at + 100_000, Len: 300_000}
	d := blocktest.New(bytes.Clone(data))
	src := source(t, d)
	p, err := Prepare(src, Options{BlockSize: 65536})
	if err != nil {
		t.Fatal(err)
	}
	before, part := p.Bytes, &p.Parts[0]
	if part.Volume, err = filesys.Leave(part.Volume, nil, []block.Extent{zero}); err != nil {
		t.Fatal(err)
	}
	part.Info = part.Volume.Info()
	p.Bytes -= part.Info.ZeroedBytes
	if p.Bytes != before-zero.Len {
		t.Errorf("%d bytes are to be read, without zeros %d", p.Bytes, before)
	}
	d.Fail = func(op blocktest.Op, e block.Extent) error {
		if op == blocktest.Read && e.Off < start+zero.End() && start+zero.Off < e.End() {
			return syscall.EIO
		}
		return nil
	}
	m := desttest.NewMemory()
	if _, err := p.Run(t.Context(), m, nil, Naming{Template: "x"}, job.NewLog(nil)); err != nil {
		t.Fatal(err)
	}
	c, err := image.Open(t.Context(), m, "x-00-00.mrimgx", nil)
	if err != nil {
		t.Fatal(err)
	}
	v := c.Disks()[0].Partitions[0]
	want := bytes.Clone(data[start : start+v.Size()])
	keepUsed(t, want, part.Volume.Used())
	clear(want[zero.Off:zero.End()])
	got := make([]byte, len(want))
	if _, err := v.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the volume came back differently (%v)", err)
	}
	stored, err := block.Bytes(block.Subtract(block.Extents{zero}, v.Stored()))
	if err != nil || stored != 0 {
		t.Errorf("%d bytes of zeros are not in the image, %v", stored, err)
	}
}

// keepUsed sets what is not used to zero.
func keepUsed(t *testing.T, b []byte, m block.Map) {
	t.Helper()
	var used []block.Extent
	for e, err := range m.Extents() {
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, e)
	}
	zeroFree(b, used)
}

// TestBadSectors: one that is free does no harm, one that is used ends the run,
// where that was asked for, with its place and no image.
func TestBadSectors(t *testing.T) {
	data := fatDisk(t)
	bad := func(text string) (*blocktest.Device, int64) {
		at := int64(bytes.Index(data, []byte(text))) + 30_000
		d := blocktest.New(data)
		d.Fail = func(op blocktest.Op, e block.Extent) error {
			if op == blocktest.Read && e.Off <= at && at < e.End() {
				return syscall.EIO
			}
			return nil
		}
		return d, at
	}
	d, _ := bad("gone this text")
	if _, _, err := imageOf(t, d, Options{}); err != nil {
		t.Errorf("a bad sector in free space: %v", err)
	}
	d, _ = bad("keep this text")
	m, _, err := imageOf(t, d, Options{OnReadError: OnReadErrorStop})
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "partition 1") || !strings.Contains(err.Error(), "read bytes") {
		t.Errorf("a bad sector in a file: %v", err)
	}
	if m.Get("x-00-00.mrimgx") != nil {
		t.Error("there is an image all the same")
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := blocktest.New(fatDisk(t))
	p, err := Prepare(source(t, d), Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Fail = func(blocktest.Op, block.Extent) error { cancel(); return nil }
	m := desttest.NewMemory()
	if _, err := p.Run(ctx, m, nil, Naming{Template: "x"}, job.NewLog(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if m.Get("x-00-00.mrimgx") != nil {
		t.Error("there is an image all the same")
	}
}

// TestSourceThatChanges has the source not hold still.
func TestSourceThatChanges(t *testing.T) {
	src := source(t, blocktest.New(fatDisk(t)))
	src.Changed = func() error { return errors.New("somebody wrote to it") }
	p, err := Prepare(src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := desttest.NewMemory()
	if _, err := p.Run(t.Context(), m, nil, Naming{Template: "x"}, job.NewLog(nil)); err == nil || !strings.Contains(err.Error(), "somebody wrote to it") {
		t.Errorf("got %v", err)
	}
	if m.Get("x-00-00.mrimgx") != nil {
		t.Error("there is an image all the same")
	}
}

func TestDefaultBlockSize(t *testing.T) {
	for _, c := range []struct{ size, want int64 }{
		{1, 64 << 10}, {256 << 30, 64 << 10}, {256<<30 + 1, 128 << 10}, {1 << 40, 256 << 10},
		{16 << 40, 4 << 20}, {64 << 40, 4 << 20},
	} {
		if got := DefaultBlockSize(c.size); got != c.want {
			t.Errorf("%d bytes: blocks of %d, want %d", c.size, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	n := Naming{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Host: "pc", Disk: "sda"}
	for template, want := range map[string]string{
		"":                              "0123-00-00.mrimgx",
		"{HOST}-{DISK}-{DATE}-{TIME}":   "pc-sda-2026-01-02-030405-00-00.mrimgx",
		"a/b\\c:{IMAGEID}.mrimgx":       "a_b_c_0123-00-00.mrimgx",
		"../../etc/passwd":              ".._.._etc_passwd-00-00.mrimgx",
		"Sicherung von Müllers Rechner": "Sicherung von Müllers Rechner-00-00.mrimgx",
	} {
		n.Template = template
		if got := n.file("", "0123", &Target{}, 0); got != want {
			t.Errorf("%q gives %q, want %q", template, got, want)
		}
	}
}

// TestNewSet has a set not be continued, and says why.
func TestNewSet(t *testing.T) {
	data := fatDisk(t)
	m, _, err := imageOf(t, blocktest.New(data), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(d []byte)
		opts   Options
		why    string
	}{
		"as it was":         {func([]byte) {}, Options{}, ""},
		"another disk":      {func(d []byte) { d[440]++ }, Options{}, ""},
		"formatted anew":    {func(d []byte) { d[63*512+39]++ }, Options{}, "formatted anew (its serial number is another one)"},
		"moved":             {func(d []byte) { copy(d[64*512:], d[63*512:len(d)-512]); d[446+8]++ }, Options{}, "was moved from byte 32256 to 32768"},
		"smaller":           {func(d []byte) { d[446+13]-- }, Options{}, "changed its size"},
		"other block size":  {func([]byte) {}, Options{BlockSize: 4096}, "in blocks of 4096 bytes instead of 65536"},
		"other compression": {func([]byte) {}, Options{Compression: "none"}, "its compression is medium"},
		"all sectors":       {func([]byte) {}, Options{AllSectors: true}, ""},
	} {
		d := bytes.Clone(data)
		c.change(d)
		p, err := Prepare(source(t, blocktest.New(d)), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		target, err := p.Target(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		full := c.why != "" || name == "another disk"
		if (target.Type == image.TypeFull) != full || !strings.Contains(strings.Join(target.Reasons, "\n"), c.why) {
			t.Errorf("%s: a %s, %q", name, target.Type, target.Reasons)
		}
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	}
}
