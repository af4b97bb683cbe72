package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ingot/internal/filesys/volumetest"
)

// find gives the node of a file.
func find(t testing.TB, v *Volume, path string) *node {
	t.Helper()
	info, err := v.Files().Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*node)
}

// sameAsMtools compares the files of a volume with those that mtools copies out,
// with their times.
func sameAsMtools(t *testing.T, v *Volume, path string) {
	t.Helper()
	dir := t.TempDir()
	volumetest.RunTool(t, "mtools", "mcopy", "-s", "-n", "-m", "-p", "-i", path, "::*", dir)
	want, got := volumetest.Tree(t, os.DirFS(dir)), volumetest.Tree(t, v.Files())
	for path := range want {
		w, g := want[path], got[path]
		if strings.HasPrefix(w, "d") { // mcopy gives folders the time of now
			w, g = w[:1], g[:min(1, len(g))]
		}
		if w != g {
			t.Errorf("%q: %q, mtools says %q", path, g, w)
		}
	}
	if len(got) != len(want) || len(want) < 10 {
		t.Errorf("%d files, mtools says %d", len(got), len(want))
	}
}

// TestFiles compares trees with what mtools reads, and fragmented files with
// what was written.
func TestFiles(t *testing.T) {
	for kind, size := range map[string]int64{"12": 3 << 20, "16": 32 << 20, "32": 40 << 20} {
		cluster := map[bool]string{true: "2", false: "1"}[kind == "12"]
		t.Run("FAT"+kind, func(t *testing.T) {
			path := makeVolume(t, size, "-F", kind, "-s", cluster)
			fillSome(t, path, 60, 9000)
			want := content(400_000, 77) // into the gaps that fillSome left
			file := filepath.Join(t.TempDir(), "pieces.bin")
			if err := os.WriteFile(file, want, 0o600); err != nil {
				t.Fatal(err)
			}
			names := []string{"pieces.bin", "UPPER.TXT", "lower.txt", "mixed.TXT", "Ünï.cödé", strings.Repeat("long", 60) + ".name", "no extension", "Ελληνικά", ".hidden", "a.b.c.d"}
			for _, name := range names {
				volumetest.RunTool(t, "mtools", "mcopy", "-m", "-i", path, file, "::"+name)
				file2 := filepath.Join(t.TempDir(), "small")
				volumetest.Write(t, filepath.Dir(file2), "small", []byte(name))
				file = file2
			}
			volumetest.RunTool(t, "mtools", "mmd", "-i", path, "::empty folder")
			volumetest.RunTool(t, "mtools", "mattrib", "+r", "+h", "-i", path, "::UPPER.TXT")
			v := open(t, volumetest.Load(t, path))
			sameAsMtools(t, v, path)
			volumetest.InUse(t, v.Files(), v.Used())
			if got, err := fs.ReadFile(v.Files(), "PIECES.bin"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("a file in pieces came back differently, %v", err)
			}
			if err := fstest.TestFS(v.Files(), append(names, "empty folder", "EFI/Boot/bootx64.efi")...); err != nil {
				t.Error(err)
			}
			n := find(t, v, "upper.txt")
			if n.Attributes() != 0x23 || n.Mode() != 0o444 || n.Links() != 1 || n.ID() == find(t, v, "lower.txt").ID() {
				t.Errorf("%#x, %v, %d", n.Attributes(), n.Mode(), n.ID())
			}
			if access, _, birth := n.Times(); time.Since(birth).Abs() > time.Hour || time.Since(access) > 48*time.Hour {
				t.Errorf("%v, %v", access, birth)
			}
		})
	}
}

func TestShortNames(t *testing.T) {
	if n := len([]rune(codePage437)); n != 128 {
		t.Fatalf("the code page has %d characters", n)
	}
	for _, c := range []struct {
		raw  string
		bits byte
		want string
	}{
		{"README  TXT", 0, "README.TXT"}, {"README  TXT", 0x08, "readme.TXT"}, {"README  TXT", 0x10, "README.txt"},
		{"README  TXT", 0x18, "readme.txt"}, {"README     ", 0x18, "readme"}, {"\x05\x84      X  ", 0, "σä.X"}, {"A B     C D", 0x08, "a b.C D"},
	} {
		if got := shortName(append([]byte(c.raw), 0, c.bits)); got != c.want {
			t.Errorf("%q with bits %#x: %q instead of %q", c.raw, c.bits, got, c.want)
		}
	}
}

func TestTimestamps(t *testing.T) {
	date := func(y, m, d uint16) uint16 { return (y-1980)<<9 | m<<5 | d }
	clock := func(h, m, s uint16) uint16 { return h<<11 | m<<5 | s/2 }
	if got := timestamp(date(2026, 11, 25), clock(8, 1, 58), 199); !got.Equal(time.Date(2026, 11, 25, 8, 1, 59, 990_000_000, time.Local)) {
		t.Error(got)
	}
	for _, bad := range [][3]uint16{
		{0, 0, 0}, {date(2026, 13, 1), 0, 0}, {date(2026, 1, 0), 0, 0}, {date(2026, 1, 1), clock(24, 0, 0), 0}, {date(2026, 1, 1), clock(0, 60, 0), 0}, {date(2026, 1, 1), clock(0, 0, 60), 0}, {date(2026, 1, 1), 0, 200},
	} {
		if got := timestamp(bad[0], bad[1], byte(bad[2])); !got.IsZero() {
			t.Errorf("%v is %v", bad, got)
		}
	}
}

// TestChains breaks the chains of files and folders.
func TestChains(t *testing.T) {
	path := makeVolume(t, 8<<20, "-s", "1")
	fillSome(t, path, 40, 3000)
	fresh := volumetest.Load(t, path)
	v := open(t, fresh)
	file := find(t, v, "EFI/Microsoft/Boot/BCD")
	setFAT := func(d disk, cluster int64, to uint32) {
		for i := range v.boot.FATs {
			setEntry(d, v.boot, i, cluster, func(uint32) uint32 { return to })
		}
	}
	set := func(d disk, n *node, at int, value uint32) {
		binary.LittleEndian.PutUint32(d[n.entry.off+int64(at):], value)
	}
	for _, c := range []struct {
		name, walk, read, list string
		edit                   func(d disk)
	}{
		{"too short", "bytes of", "ends before", "", func(d disk) { setFAT(d, file.entry.cluster, 0xffff) }},
		{"too long", "", "", "", func(d disk) { set(d, file, 28, 10) }},
		{"goes round", "goes round", "", "", func(d disk) { setFAT(d, file.entry.cluster+3, uint32(file.entry.cluster)) }},
		{"goes to a free one", "goes from", "goes from", "", func(d disk) { setFAT(d, file.entry.cluster, 0) }},
		{"goes outside", "goes from", "goes from", "", func(d disk) { setFAT(d, file.entry.cluster, 0xfff0) }},
		{"begins outside", "begins at", "begins at", "", func(d disk) { set(d, file, 26, uint32(file.entry.size)<<16|0xfff0) }},
		{"no cluster", "bytes of", "ends before", "", func(d disk) { set(d, file, 26, uint32(file.entry.size)<<16) }},
		{"folder in itself", "", "", "one of those it lies in", func(d disk) {
			set(d, find(t, v, "EFI/Microsoft"), 26, uint32(find(t, v, "EFI").entry.cluster))
		}},
		{"folder of no cluster", "", "", "one of those it lies in", func(d disk) { set(d, find(t, v, "EFI/Microsoft"), 26, 0) }},
		{"folder goes round", "", "", "goes round", func(d disk) {
			n := find(t, v, "EFI/Microsoft").entry.cluster
			setFAT(d, n, uint32(n))
			for i := range d[v.space.Offset(n):][:512] { // no end mark
				if at := v.space.Offset(n) + int64(i); d[at] == 0 && i%32 == 0 {
					d[at] = 0xe5
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := disk(bytes.Clone(fresh))
			c.edit(d)
			again, err := Open(d)
			if err != nil {
				t.Fatal(err)
			}
			_, list := again.Files().ReadDir("EFI/Microsoft")
			check := func(what string, err error, want string) {
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v instead of %q", what, err, want)
				}
			}
			check("list", list, c.list)
			if c.list != "" {
				return
			}
			_, read := fs.ReadFile(again.Files(), "EFI/Microsoft/Boot/BCD")
			check("read", read, c.read)
			var walk error
			for _, walk = range find(t, again, "EFI/Microsoft/Boot/BCD").Extents() {
			}
			check("walk", walk, c.walk)
		})
	}
}

// TestEndless has a folder that is longer than one can be.
func TestEndless(t *testing.T) {
	path := makeVolume(t, 8<<20, "-s", "1")
	fillSome(t, path, 3, 600)
	d := volumetest.Load(t, path)
	v := open(t, d)
	many := find(t, v, "many").entry.cluster
	for i := int64(0); i <= maxDirSize/512; i++ {
		c := 8000 + i
		for k := range v.boot.FATs {
			setEntry(d, v.boot, k, c, func(uint32) uint32 { return uint32(c + 1) })
			setEntry(d, v.boot, k, many, func(uint32) uint32 { return 8000 })
		}
		copy(d[v.space.Offset(c):], bytes.Repeat([]byte{0xe5}, 512))
	}
	for at := v.space.Offset(many); at < v.space.Offset(many)+512; at += 32 {
		if d[at] == 0 {
			d[at] = 0xe5
		}
	}
	again, err := Open(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Files().ReadDir("many"); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Error(fmt.Sprint("an endless folder gave ", err))
	}
}
