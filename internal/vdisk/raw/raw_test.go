package raw

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

func open(t *testing.T, path string) (Part, int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Part{vdisktest.Disk(b), Allocated(f, int64(len(b)))}, int64(len(b))
}

// TestHoles reads sparse files of many shapes, with the map of their holes.
func TestHoles(t *testing.T) {
	for _, size := range []int64{1, 4096, 3<<20 + 77, 5 << 20} {
		d := vdisktest.Draw(size, uint64(size))
		p, _ := open(t, d.Save(t))
		d.Same(t, p.Reader, p.Used)
	}
	hollow := make(vdisktest.Disk, 8<<20)
	p, _ := open(t, hollow.Save(t))
	if n, err := block.Bytes(p.Used); n != 0 || err != nil {
		t.Errorf("a file of one hole keeps %d bytes, %v", n, err)
	}
}

func TestParts(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.001", "a.002", "a.003", "a.005", "b.raw.00", "b.raw.01", "c.aa", "c.ab", "d.001", "e.002", "f.009", "f.010"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		want int
	}{{"a.001", 3}, {"a.002", 0}, {"b.raw.00", 2}, {"c.aa", 2}, {"d.001", 0}, {"e.002", 0}, {"f.009", 0}} {
		got, err := Parts(filepath.Join(dir, c.name))
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	for a, b := range map[string]string{"009": "010", "aa": "ab", "az": "ba", "zz": "", "99": ""} {
		if next(a) != b {
			t.Errorf("after %s comes %q", a, next(a))
		}
	}
}

// TestJoin has split(1) cut a disk.
func TestJoin(t *testing.T) {
	d := vdisktest.Draw(3<<20+100, 2)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "whole"), d, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("split", "-b", "300k", "-d", "-a", "3", "--numeric-suffixes=1", "whole", "disk.img.")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	names, err := Parts(filepath.Join(dir, "disk.img.001"))
	if err != nil || len(names) != 11 {
		t.Fatal(names, err)
	}
	var parts []Part
	for _, n := range names {
		p, _ := open(t, n)
		parts = append(parts, p)
	}
	j := Join(parts)
	d.Same(t, j, j.Used())
}

// TestWrite writes disks to sparse files, and has them stay so.
func TestWrite(t *testing.T) {
	for _, size := range []int64{513, 1 << 20, 9<<20 + 512} {
		d := vdisktest.Draw(size, 3)
		for i, used := range []block.Map{d.Used(512), block.Whole(size)} {
			path := filepath.Join(t.TempDir(), fmt.Sprint(i))
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Truncate(size); err != nil {
				t.Fatal(err)
			}
			var done int64
			if err := Write(t.Context(), f, size, d, used, func(n int64) { done += n }); err != nil {
				t.Fatal(err)
			}
			if want, _ := block.Bytes(used); done != want {
				t.Errorf("progress told of %d bytes of %d", done, want)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, d) {
				t.Fatalf("it reads back differently (%v)", err)
			}
			zeros, kept := int64(0), int64(0)
			for off := int64(0); off+1<<20 <= size; off += 1 << 16 {
				if block.Zeros(d[off : off+1<<16]) {
					zeros += 1 << 16
				}
			}
			if kept, err = block.Bytes(Allocated(f, size)); err != nil || kept > size-zeros*9/10+8192 {
				t.Errorf("%d bytes are kept of %d, of which %d are zeros (%v)", kept, size, zeros, err)
			}
		}
	}
}

// TestWriteLeavesOutWhatIsFree writes zeros in the place of what is not used.
func TestWriteLeavesOutWhatIsFree(t *testing.T) {
	d := vdisktest.Draw(1<<20, 4)
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]byte, len(d))
	used := block.Extents{{Off: 1000, Len: 20000}, {Off: 25000, Len: 7}, {Off: 900000, Len: 100}}
	for _, e := range used {
		copy(want[e.Off:e.End()], d[e.Off:])
	}
	if err := f.Truncate(d.Size()); err != nil {
		t.Fatal(err)
	}
	if err := Write(t.Context(), f, d.Size(), d, used, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("what is free came along (%v)", err)
	}
}
