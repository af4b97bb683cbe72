package ntfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// exerciseTree reads all there is in a tree, but no more of a file than its
// clusters could hold. What comes out does not matter as long as it comes out
// soon.
func exerciseTree(t testing.TB, r block.Reader) {
	t.Helper()
	v, err := Open(r)
	if err != nil || v.Files() == nil {
		return
	}
	start, tree := time.Now(), v.Files()
	_ = fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if took := time.Since(start); took > 20*time.Second {
			t.Fatalf("took %v", took)
		}
		if err != nil {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		n := info.Sys().(*node)
		_, _ = n.SecurityDescriptor()
		_ = n.Links()
		for e, err := range n.Extents() {
			if err == nil && (e.Off < 0 || e.Len <= 0 || e.End() > r.Size()) {
				t.Fatalf("%s: extent %v", path, e)
			}
		}
		_, _ = tree.ReadLink(path)
		names, _ := n.Streams()
		for _, name := range append(names, "") {
			if f, err := n.OpenStream(name); err == nil {
				readSome(f)
			}
		}
		return nil
	})
	for _, name := range []string{"folder/f79", "FOLDER/none", "packed/p", "$Extend"} {
		_, _ = tree.Lstat(name)
	}
}

// readSome reads the front and the end of a file.
func readSome(f fs.File) {
	b := make([]byte, 40000)
	_, _ = io.ReadFull(f, b)
	if info, err := f.Stat(); err == nil {
		_, _ = f.(io.ReaderAt).ReadAt(b[:5000], max(0, info.Size()-4000))
	}
}

// treeSeed is a small volume with files of every kind.
func treeSeed(t testing.TB) disk {
	t.Helper()
	path := makeVolume(t, 4<<20, "-c", "512")
	text := (&grower{rng: newRand(1)}).data(60000)
	mounted(t, path, "rw,compression,streams_interface=windows", func(dir string) {
		makeDir(t, dir+"/folder")
		for i := range 40 {
			writeFile(t, fmt.Sprintf("%s/folder/f%d", dir, i*2), nil)
		}
		makeDir(t, dir+"/packed")
		setXattr(t, dir+"/packed", "system.ntfs_attrib", []byte{0, 8, 0, 0})
		writeFile(t, dir+"/packed/p", text)
		writeFile(t, dir+"/side", []byte("contents"))
		writeFile(t, dir+"/side:stream", text[:3000])
		for i := range 12 {
			if err := os.Link(dir+"/side", fmt.Sprintf("%s/folder/another long name of a file %d", dir, i)); err != nil {
				t.Fatal(err)
			}
		}
		acl := xattr(t, dir+"/side", "system.ntfs_acl")
		acl[len(acl)-1] ^= 1
		setXattr(t, dir+"/side", "system.ntfs_acl", acl)
		compact(t, dir+"/xpress", 0, int64(len(text)), ntfstest.Compacted(t, "XPRESS", 4096, text))
		compact(t, dir+"/lzx", 1, int64(len(text)), ntfstest.Compacted(t, "LZX", 32768, text))
		if err := os.Symlink("side", dir+"/link"); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir+"/junction", nil)
		setXattr(t, dir+"/junction", "system.ntfs_reparse_data", linkData(tagSymlink, 12, `\??\C:\x`, `C:\x`))
	})
	return volumetest.Load(t, path)
}

// treeAreas are the bytes of the seed that a tree is read from.
func treeAreas(t testing.TB, d disk) []block.Extent {
	t.Helper()
	v := open(t, d)
	var out []block.Extent
	add := func(path string, typ uint32, name string) {
		n, err := v.Files().find(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := v.mft.open(n.rec, typ, name)
		if err != nil {
			t.Fatalf("%s, attribute %#x %q: %v", path, typ, name, err)
		}
		out = append(out, s.extents()...)
	}
	add("folder", typeIndexAllocation, folderIndex)
	add("packed/p", typeData, "")
	add("xpress", typeData, wofStream)
	add("lzx", typeData, wofStream)
	add("$Secure", typeData, "$SDS")
	n, err := v.Files().find("lzx")
	if err != nil {
		t.Fatal(err)
	}
	mft := v.boot.MFT * v.boot.ClusterSize
	last := n.rec.number + 6
	user := block.Extent{Off: mft + 24*1024, Len: (last - 24) * 1024}
	system := block.Extent{Off: mft, Len: 12 * 1024}
	return append(out, user, user, user, system, block.Extent{Off: mft + 5*1024, Len: 1024}, block.Extent{Off: mft + recSecure*1024, Len: 1024})
}

// TestTreeFlips flips bits of everything that a tree is read from.
func TestTreeFlips(t *testing.T) {
	d := treeSeed(t)
	hot := treeAreas(t, d)
	rng := rand.New(rand.NewPCG(3, 9))
	for range 800 {
		undo := map[int64]byte{}
		for range 1 << rng.IntN(7) {
			e := hot[rng.IntN(len(hot))]
			at := e.Off + rng.Int64N(e.Len)
			if _, ok := undo[at]; !ok {
				undo[at] = d[at]
			}
			d[at] ^= 1 << rng.IntN(8)
		}
		exerciseTree(t, d)
		for at, b := range undo {
			d[at] = b
		}
	}
	for n := 0; n < len(d); n += len(d) / 60 {
		exerciseTree(t, d[:n])
	}
}

// TestIndexBlocks damages blocks of a folder's index, one thing at a time.
func TestIndexBlocks(t *testing.T) {
	d := treeSeed(t)
	v := open(t, d)
	n, err := v.Files().find("folder")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := v.mft.open(n.rec, typeIndexAllocation, folderIndex)
	if err != nil || blocks.size < 2*4096 {
		t.Fatal(err, blocks.size)
	}
	at := blocks.runs[0].lcn * 512
	for text, edit := range map[string]func(b []byte){
		"VCN at offset 16 is 99":  func(b []byte) { b[16] = 99 },
		"no signature":            func(b []byte) { b[0] = 'X' },
		"torn write":              func(b []byte) { b[1022]++ },
		"index header: entries":   func(b []byte) { b[28+3] = 1 },
		"length at offset 8 is 3": func(b []byte) { off := 24 + int(b[24]); b[off+8], b[off+9] = 3, 0 },
		"key at offset 10":        func(b []byte) { off := 24 + int(b[24]); b[off+11] = 9 },
		"a file name in 20 bytes": func(b []byte) { off := 24 + int(b[24]); b[off+10] = 20 },
	} {
		c := disk(bytes.Clone(d))
		edit(c[at:])
		tree := open(t, c).Files()
		if _, err := tree.ReadDir("folder"); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v instead of %q", err, text)
		}
		errs := ""
		for i := range 40 {
			_, err := tree.Lstat(fmt.Sprintf("folder/f%d", i*2))
			errs += fmt.Sprint(err)
		}
		if !strings.Contains(errs, text) {
			t.Errorf("no look-up says %q", text)
		}
	}
}

// FuzzTree writes 5-byte patches (place in the hot areas, byte) on a volume.
func FuzzTree(f *testing.F) {
	d := treeSeed(f)
	var places []int64
	for _, e := range treeAreas(f, d) {
		for i := range e.Len {
			places = append(places, e.Off+i)
		}
	}
	f.Add([]byte{13, 0, 0, 0, 0xf4})
	f.Add([]byte{64, 9, 0, 0, 0x80, 40, 0, 0, 0, 0xff})
	f.Fuzz(func(t *testing.T, patches []byte) {
		c := disk(bytes.Clone(d))
		for ; len(patches) >= 5; patches = patches[5:] {
			c[places[int(binary.LittleEndian.Uint32(patches))%len(places)]] = patches[4]
		}
		exerciseTree(t, c)
	})
}

// FuzzParts gives bytes to each parser of the tree.
func FuzzParts(f *testing.F) {
	d := treeSeed(f)
	for _, e := range treeAreas(f, d)[:2] {
		f.Add([]byte(d[e.Off:min(e.End(), e.Off+4096)]))
	}
	f.Add(linkData(tagMountPoint, 8, `\??\C:\x`, `C:\x`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := &index{check: checkName, block: int64(len(b)) &^ 511}
		if entries, err := x.entries(b); err == nil {
			for _, e := range entries {
				if !e.last && !strings.HasPrefix(string(b), "x") {
					foundIn(e)
				}
			}
		}
		if len(b) >= 8 {
			_, _ = parseReparse(b).target()
		}
		name := wtf8(b)
		u, ok := units(name)
		if !ok || wtf8(units16(u)) != name || len(u) != len(b)/2 {
			t.Fatalf("%x as %q is %x", b, name, u)
		}
		if u, ok := units(string(b)); ok {
			_ = wtf8(units16(u))
		}
		parseUpcase(b).compare(b[:len(b)&^1], u)
	})
}

func units16(u []uint16) (b []byte) {
	for _, c := range u {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

// TestCircle makes a folder refer to one it lies in: no path leads through it.
func TestCircle(t *testing.T) {
	path := makeVolume(t, 8<<20)
	mounted(t, path, "rw", func(dir string) {
		if err := os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir+"/a/file", nil)
	})
	d := volumetest.Load(t, path)
	v := open(t, d)
	refs := map[string]uint64{}
	for _, name := range []string{"a", "a/b/c"} {
		n, err := v.Files().find(name)
		if err != nil {
			t.Fatal(err)
		}
		refs[name] = uint64(n.rec.seq)<<48 | uint64(n.rec.number)
	}
	editRecord(d, number(t, v, "a/b"), func(typ uint32, raw []byte) []byte {
		old, changed := binary.LittleEndian.AppendUint64(nil, refs["a/b/c"]), binary.LittleEndian.AppendUint64(nil, refs["a"])
		if typ == typeIndexRoot {
			raw = bytes.Replace(raw, old, changed, 1)
		}
		return raw
	})
	tree := open(t, d).Files()
	if list, err := tree.ReadDir("a/b"); err != nil || len(list) != 1 || !list[0].IsDir() {
		t.Fatal(list, err)
	}
	if _, err := tree.ReadDir("a/b/c"); err == nil || !strings.Contains(err.Error(), `its name is "a" in the folder of record 5`) {
		t.Error(err)
	}
	if err := fs.WalkDir(tree, ".", func(path string, _ fs.DirEntry, err error) error {
		if len(path) > 100 {
			t.Fatal(path)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
