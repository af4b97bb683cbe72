package ntfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// compact makes a file as Windows leaves it when it compacts one: the contents
// in a stream, a hole of their size, and a reparse point that says how. Folder
// dir is mounted with streams_interface=windows.
func compact(t testing.TB, path string, algorithm uint32, size int64, stream []byte) {
	t.Helper()
	writeFile(t, path, nil)
	writeFile(t, path+":"+wofStream, stream)
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	var data []byte
	for _, v := range []uint32{1, wofProviderFile, 1, algorithm} {
		data = binary.LittleEndian.AppendUint32(data, v)
	}
	setXattr(t, path, "system.ntfs_reparse_data", reparseData(tagWOF, data))
}

// TestCompacted reads files that Windows compacted, by all four algorithms.
func TestCompacted(t *testing.T) {
	path := makeVolume(t, 64<<20)
	want := map[string][]byte{}
	g := &grower{rng: newRand(3)}
	mounted(t, path, "rw,streams_interface=windows", func(dir string) {
		for algorithm, a := range []struct {
			kind  string
			chunk int
		}{{"XPRESS", 4096}, {"LZX", 32768}, {"XPRESS", 8192}, {"XPRESS", 16384}} {
			for _, n := range []int{1, 4096, 32768, 32769, 700001} {
				name := fmt.Sprintf("%d of %d", algorithm, n)
				want[name] = g.data(n)
				compact(t, dir+"/"+name, uint32(algorithm), int64(n), ntfstest.Compacted(t, a.kind, a.chunk, want[name]))
			}
		}
		compact(t, dir+"/empty", 0, 0, nil)
		want["empty"] = nil
		compact(t, dir+"/cut", 0, 50000, make([]byte, 30))
		compact(t, dir+"/unknown", 7, 50000, make([]byte, 3000))
		compact(t, dir+"/garbage", 1, 50000, bytes.Repeat([]byte{1, 0, 0, 0}, 99))
	})
	v := open(t, volumetest.Load(t, path))
	used := usedMap(t, v)
	for name, b := range want {
		f, err := v.Files().Open(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s reads otherwise: %v", name, err)
			continue
		}
		part := make([]byte, len(b)/2)
		if _, err := f.(io.ReaderAt).ReadAt(part, int64(len(b)/3)); err != nil || !bytes.Equal(part, b[len(b)/3:][:len(part)]) {
			t.Errorf("%s reads otherwise in the middle: %v", name, err)
		}
		info, _ := f.Stat()
		n := info.Sys().(*node)
		if streams, err := n.Streams(); err != nil || len(streams) > 0 || !info.Mode().IsRegular() || info.Size() != int64(len(b)) {
			t.Errorf("%s: streams %q, %v, %v", name, streams, info, err)
		}
		checkExtents(t, name, n, used)
	}
	for name, text := range map[string]string{"cut": "less than the table", "unknown": "algorithm 7", "garbage": "chunk 0"} {
		if _, err := fs.ReadFile(v.Files(), name); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLargeCompacted reads the end of a file above 4 GiB, whose table has
// entries of 8 bytes.
func TestLargeCompacted(t *testing.T) {
	const chunks = 1<<17 + 1
	table := make([]byte, 8*(chunks-1), 8*(chunks-1)+1)
	s := &stream{resident: append(table, 'x')}
	s.size = int64(len(s.resident))
	w := &wof{s: s, size: 1<<32 + 1, at: -1, entry: 8, table: int64(len(table)), plain: make([]byte, 32768), packed: make([]byte, 32768)}
	if err := w.format([]byte{1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := w.ReadAt(b, 1<<32); err != nil || b[0] != 'x' {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := w.ReadAt(b, 5); err == nil {
		t.Error("an empty chunk was read")
	}
	binary.LittleEndian.PutUint64(table[8*(chunks-2):], 1<<63)
	if _, err := w.ReadAt(b, 1<<32); err == nil {
		t.Error("a chunk far outside was read")
	}
}

// TestLinks reads the links that Windows makes, and other reparse points.
func TestLinks(t *testing.T) {
	link := func(target, shown string, flags byte) []byte {
		b := linkData(tagSymlink, 12, target, shown)
		b[16] = flags
		return b
	}
	mount := func(target, shown string) []byte { return linkData(tagMountPoint, 8, target, shown) }
	cases := []struct {
		name   string
		folder bool
		data   []byte
		kind   fs.FileMode
		target string // or what an error says
	}{
		{"absolute", false, link(`\??\C:\Users\Öl`, `C:\Users\Öl`, 0), fs.ModeSymlink, `C:\Users\Öl`},
		{"relative", false, link(`..\x\y`, `..\x\y`, 1), fs.ModeSymlink, `..\x\y`},
		{"server", true, link(`\??\UNC\server\share\a`, `\\server\share\a`, 0), fs.ModeSymlink, `\\server\share\a`},
		{"junction", true, mount(`\??\D:\Data`, `D:\Data`), fs.ModeSymlink, `D:\Data`},
		{"without shown name", true, mount(`\??\D:\Data`, ``), fs.ModeSymlink, `D:\Data`},
		{"shown name alone", true, mount(``, `D:\Data`), fs.ModeSymlink, `D:\Data`},
		{"mount point", true, mount(`\??\Volume{0c1f2d6e-0000-0000-0000-100000000000}\`, ``), fs.ModeSymlink, `\\?\Volume{0c1f2d6e-0000-0000-0000-100000000000}\`},
		{"linux", false, reparseData(tagLXSymlink, append([]byte{2, 0, 0, 0}, "/mnt/ü"...)), fs.ModeSymlink, "/mnt/ü"},
		{"deduplicated", false, reparseData(tagDedup, make([]byte, 40)), 0, "Data Deduplication"},
		{"cloud", false, reparseData(0x9000601a, make([]byte, 40)), 0, ""},
		{"cloud folder", true, reparseData(0x9000601a, make([]byte, 40)), fs.ModeDir, ""},
		{"unknown", false, reparseData(0x8000abcd, make([]byte, 40)), 0, "0x8000abcd"},
		{"of a third party", false, append([]byte{0x44, 3, 0, 0, 4, 0, 0, 0}, "a guid of 16 by.abcd"...), 0, "0x00000344"},
		{"kept in a WIM", false, reparseData(tagWOF, []byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}), 0, "WIMBoot"},
	}
	path := makeVolume(t, 8<<20)
	mounted(t, path, "rw", func(dir string) {
		for _, c := range cases {
			name := filepath.Join(dir, c.name)
			switch {
			case c.folder:
				makeDir(t, name)
			case c.kind == 0:
				writeFile(t, name, content(3000, 1))
			default:
				writeFile(t, name, nil)
			}
			setXattr(t, name, "system.ntfs_reparse_data", c.data)
		}
	})
	tree := open(t, volumetest.Load(t, path)).Files()
	list, err := tree.ReadDir(".")
	if err != nil || len(list) != len(cases) {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	for _, c := range cases {
		info, err := tree.Lstat(c.name)
		if err != nil || info.Mode().Type() != c.kind {
			t.Errorf("%s: %v, %v", c.name, info, err)
			continue
		}
		tag, data := info.Sys().(*node).ReparsePoint()
		if tag != binary.LittleEndian.Uint32(c.data) || !bytes.Equal(data, c.data[8:]) {
			t.Errorf("%s: reparse point %#x, %x", c.name, tag, data)
		}
		checkTarget(t, tree, c.name, c.kind, c.target)
	}
	for _, e := range list {
		if info, err := tree.Lstat(e.Name()); err != nil || info.Mode().Type() != e.Type() {
			t.Errorf("%s: %v in its folder, %v", e.Name(), e.Type(), info)
		}
	}
}

// TestBadLinks has links that the driver does not let pass.
func TestBadLinks(t *testing.T) {
	for text, b := range map[string][]byte{
		"unknown version":    reparseData(tagLXSymlink, append([]byte{3, 0, 0, 0}, "/mnt/ü"...)),
		"of 5 bytes":         reparseData(tagSymlink, make([]byte, 5)),
		"name of the target": reparseData(tagMountPoint, []byte{9, 9, 9, 9, 9, 9, 9, 9}),
		"has no target":      reparseData(tagWOF, make([]byte, 16)),
	} {
		if target, err := parseReparse(b).target(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q, %v instead of %q", target, err, text)
		}
	}
	if p := parseReparse([]byte{3, 0, 0, 0xa0, 255, 255, 0, 0, 1}); len(p.data) != 1 {
		t.Errorf("%x", p.data)
	}
}

// checkTarget reads a link, or the contents of what is none.
func checkTarget(t *testing.T, tree *Tree, name string, kind fs.FileMode, want string) {
	t.Helper()
	target, err := tree.ReadLink(name)
	switch {
	case kind == fs.ModeSymlink && err == nil:
		if target != want {
			t.Errorf("%s leads to %q", name, target)
		}
		if info, _ := tree.Lstat(name); info.Size() != int64(len(want)) {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
		return
	case kind == 0:
		var b []byte
		if b, err = fs.ReadFile(tree, name); want == "" && (err != nil || !bytes.Equal(b, content(3000, 1))) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v", name, err)
	}
}

// number is the MFT record of a file.
func number(t testing.TB, v *Volume, path string) int64 {
	t.Helper()
	n, err := v.Files().find(path)
	if err != nil {
		t.Fatal(err)
	}
	return n.rec.number
}

// TestEdited reads files that ntfs-3g does not make: encrypted ones, one not
// written to its end, one of which only the placeholder is here.
func TestEdited(t *testing.T) {
	path := makeVolume(t, 16<<20)
	b, text := content(300000, 1), bytes.Repeat([]byte("text"), 75000)
	mounted(t, path, "rw,compression", func(dir string) {
		for _, name := range []string{"encrypted", "half", "strange", "cloud"} {
			writeFile(t, dir+"/"+name, b)
		}
		makeDir(t, dir+"/packed")
		setXattr(t, dir+"/packed", "system.ntfs_attrib", []byte{0, 8, 0, 0})
		writeFile(t, dir+"/packed/half", text)
		setXattr(t, dir+"/cloud", "system.ntfs_reparse_data", reparseData(0x9000601a, nil))
	})
	d := volumetest.Load(t, path)
	v := open(t, d)
	set := func(name string, change func(raw []byte)) {
		editRecord(d, number(t, v, name), func(typ uint32, raw []byte) []byte {
			raw = bytes.Clone(raw)
			if typ == typeData && name != "cloud" || typ == typeStandard && name == "cloud" {
				change(raw)
			}
			return raw
		})
	}
	set("encrypted", func(raw []byte) { binary.LittleEndian.PutUint16(raw[12:], flagEncrypted) })
	set("strange", func(raw []byte) { binary.LittleEndian.PutUint16(raw[12:], 2) })
	set("half", func(raw []byte) { binary.LittleEndian.PutUint64(raw[56:], 150001) })
	set("packed/half", func(raw []byte) { binary.LittleEndian.PutUint64(raw[56:], 150001) })
	set("cloud", func(raw []byte) { raw[24+34] |= attrRecallAccess >> 16 })
	v = open(t, d)
	mounted(t, d.Save(t), "ro", func(dir string) {
		for name, all := range map[string][]byte{"half": b, "packed/half": text} {
			want := append(bytes.Clone(all[:150001]), make([]byte, 149999)...)
			if got, err := fs.ReadFile(v.Files(), name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %v", name, err)
			}
			if got, err := os.ReadFile(dir + "/" + name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: ntfs-3g sees it otherwise: %v", name, err)
			}
		}
	})
	for name, text := range map[string]string{"encrypted": "encrypted (EFS)", "strange": "unknown way", "cloud": "cloud file"} {
		info, err := v.Files().Lstat(name)
		if err != nil || info.Size() != int64(len(b)) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if _, err := fs.ReadFile(v.Files(), name); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSecurity makes more security descriptors than the root of an index has
// room for.
func TestSecurity(t *testing.T) {
	path := makeVolume(t, 16<<20)
	want := map[string][]byte{}
	mounted(t, path, "rw", func(dir string) {
		for i := range 200 {
			name := fmt.Sprintf("f%d", i)
			writeFile(t, dir+"/"+name, nil)
			acl := xattr(t, dir+"/"+name, "system.ntfs_acl")
			binary.LittleEndian.PutUint32(acl[len(acl)-4:], uint32(i/2)) // the last number of the last SID
			setXattr(t, dir+"/"+name, "system.ntfs_acl", acl)
			want[name] = xattr(t, dir+"/"+name, "system.ntfs_acl")
		}
	})
	d := volumetest.Load(t, path)
	v := open(t, d)
	ids := map[uint32]bool{}
	for name, acl := range want {
		n, err := v.Files().find(name)
		if err != nil {
			t.Fatal(err)
		}
		ids[n.security] = true
		if got, err := n.SecurityDescriptor(); err != nil || !bytes.Equal(got, acl) {
			t.Errorf("%s: %x instead of %x, %v", name, got, acl, err)
		}
	}
	if len(ids) != 100 {
		t.Errorf("%d security descriptors are no test", len(ids))
	}
	n, err := v.Files().find("f7")
	if err != nil {
		t.Fatal(err)
	}
	n.security = 99999
	if _, err := n.SecurityDescriptor(); err == nil {
		t.Error("a descriptor that does not exist was found")
	}
	n.security = 0
	if got, err := n.SecurityDescriptor(); got != nil || err != nil {
		t.Error(got, err)
	}
}
