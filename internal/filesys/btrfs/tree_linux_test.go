package btrfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

func filler() volumetest.Filler {
	return volumetest.Filler{Names: 1500, Pieces: 300, Value: 16000, Far: 1 << 40, Times: []time.Time{
		time.Date(2039, 1, 1, 0, 0, 0, 123456789, time.UTC), time.Date(2240, 1, 1, 0, 0, 0, 500, time.UTC),
	}}
}

// fillMore makes what compresses, what is shared, subvolumes and snapshots with
// other subvolumes in them.
func fillMore(t testing.TB, dir string) {
	t.Helper()
	text := bytes.Repeat([]byte("cast iron and "), 1<<15)
	for i, n := range []int{1, 60, 1500, 2047, 2048, 4096, 5000, 70000, 131072, 131073, 400000, len(text)} {
		volumetest.Write(t, dir, fmt.Sprintf("text/%d", i), text[:n])
		b := volumetest.Content(n, 5)
		copy(b[n/3:], text[:n/2])
		volumetest.Write(t, dir, fmt.Sprintf("half/%d", i), b)
	}
	volumetest.RunTool(t, "coreutils", "sync", "-f", dir)
	volumetest.RunTool(t, "coreutils", "cp", "--reflink=always", dir+"/text/11", dir+"/text/shared")
	f, err := os.OpenFile(dir+"/text/shared", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for off := int64(10000); off < 400000; off += 50000 {
		if _, err := f.WriteAt([]byte("gold"), off); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	btrfs(t, "subvolume", "create", dir+"/sub")
	btrfs(t, "subvolume", "create", dir+"/sub/inner")
	volumetest.Write(t, dir, "sub/inner/file", []byte("in the inner one"))
	volumetest.Write(t, dir, "sub/folder/large", volumetest.Content(1<<20, 3))
	btrfs(t, "subvolume", "create", dir+"/sub/folder/deep")
	btrfs(t, "subvolume", "snapshot", dir+"/sub", dir+"/snap")
	btrfs(t, "subvolume", "snapshot", "-r", dir+"/sub/inner", dir+"/snap/again")
	volumetest.Write(t, dir, "snap/folder/new", []byte("in the snapshot only"))
	if err := os.Remove(dir + "/sub/folder/large"); err != nil {
		t.Fatal(err)
	}
	btrfs(t, "subvolume", "snapshot", dir, dir+"/top")
	btrfs(t, "subvolume", "set-default", dir+"/sub")
}

// same compares the tree of a volume with what the kernel gives of it, and
// counts the kinds of pieces that files are made of.
func same(t *testing.T, v *Volume, dir string, kinds map[string]int) {
	t.Helper()
	ids := map[uint64]string{}
	var claimed []block.Extent
	volumetest.SameUnix(t, v.Files(), dir, func(path string, n volumetest.UnixNode) {
		if old, ok := ids[n.ID()]; ok && n.Links() == 1 {
			t.Errorf("%s and %s have the same number %#x", old, path, n.ID())
		}
		ids[n.ID()] = path
		claimed = append(claimed, sameExtents(t, v, path, n, kinds)...)
	})
	if n, err := block.Bytes(block.Subtract(block.NewExtents(claimed...), v.Used())); n != 0 || err != nil {
		t.Errorf("%d bytes of files lie outside of the used map, %v", n, err)
	}
}

// sameExtents compares the bytes in the extents of a plain file without holes
// with its contents, and counts the kinds of pieces.
func sameExtents(t *testing.T, v *Volume, path string, n volumetest.UnixNode, kinds map[string]int) (out []block.Extent) {
	t.Helper()
	i := n.(Node).i
	plainFile := i.kind() == modeFile
	end := int64(0)
	if err := i.items(kindExtentOf, func(it item) error {
		p, err := parsePiece(it.off, it.data)
		plainFile = plainFile && err == nil && p.how == plain && !p.zeros && p.inline == nil && p.off == end
		end = p.end()
		switch {
		case p.inline != nil && p.how != plain:
			kinds["inline packed"]++
		case p.how != plain && !p.zeros:
			kinds["packed"]++
		case p.zeros && p.at != 0:
			kinds["zeros"]++
		case p.inline == nil:
			kinds["plain"]++
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	plainFile = plainFile && end >= i.size
	var b []byte
	for e, err := range n.Extents() {
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return out
		}
		out = append(out, e)
		part := make([]byte, e.Len)
		if _, err := v.r.ReadAt(part, e.Off); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		b = append(b, part...)
	}
	double := slices.ContainsFunc(v.chunks, func(c chunk) bool { return c.kind&typeData != 0 && c.copies > 1 })
	if plainFile && !double {
		if want, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(b, want) {
			t.Errorf("%s: what lies in its extents is not what the file has, %v", path, err)
		}
	}
	return out
}

func TestTree(t *testing.T) {
	for _, c := range []struct{ mkfs, mount string }{
		{"", ""},
		{"-n 4096 -m single", "compress-force=zlib"},
		{"-O ^no-holes,^extref,^skinny-metadata -R ^free-space-tree", "compress-force=lzo"},
		{"-m dup -d dup --csum xxhash", "compress-force=zstd:3"},
		{"--mixed --csum sha256", "nodatasum"},
		{"-n 65536 --csum blake2", "compress-force=zlib:9,max_inline=2048"},
		{"-m raid0 -d raid0", "nodatacow"},
	} {
		t.Run(c.mkfs+" "+c.mount, func(t *testing.T) {
			make := volumetest.Make
			if c.mkfs == "" { // what was never written has something else on the disk
				make = volumetest.MakeOver
			}
			path := make(t, 300<<20, "btrfs-progs", "mkfs.btrfs", append(strings.Fields("-q -K -f "+c.mkfs), "-L", "Cast Iron")...)
			volumetest.LoopMounted(t, path, "rw,"+c.mount, func(dir string) {
				f := filler()
				if strings.Contains(c.mkfs, "4096") || strings.Contains(c.mkfs, "mixed") {
					f.Value = 3000 // more does not fit into a node
				}
				f.Fill(t, dir)
				fillMore(t, dir)
			})
			v, err := Open(volumetest.Load(t, path))
			if err != nil || v.Files() == nil || len(v.Facts().Warnings) > 0 {
				t.Fatalf("%+v, %v", v.Facts(), err)
			}
			kinds := map[string]int{}
			volumetest.LoopMounted(t, path, "ro,subvolid=5", func(dir string) { same(t, v, dir, kinds) })
			if packed := strings.Contains(c.mount, "compress"); kinds["inline packed"] > 0 != packed || kinds["packed"] > 0 != packed || kinds["plain"] == 0 || kinds["zeros"] == 0 {
				t.Errorf("the volume is no test: %v", kinds)
			}
		})
	}
}

// TestManyNames has a folder of 50000 files, some of whose names have the same
// hash.
func TestManyNames(t *testing.T) {
	path := makeVolume(t, 200<<20, "-n", "4096")
	hashes := map[uint64]string{}
	var twins []string
	name := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("name", i%20)) }
	for i := 0; len(twins) < 6; i++ {
		h := nameHash(fmt.Sprintf("twin %d", i))
		if old, ok := hashes[h]; ok {
			twins = append(twins, old, fmt.Sprintf("twin %d", i))
		}
		hashes[h] = fmt.Sprintf("twin %d", i)
	}
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for i := range 50000 {
			if err := os.Symlink("x", filepath.Join(dir, name(i))); err != nil {
				t.Fatal(err)
			}
		}
		for i, twin := range twins {
			volumetest.Write(t, dir, twin, []byte(fmt.Sprint(i)))
		}
	})
	tree := open(t, volumetest.Load(t, path)).Files()
	list, err := tree.ReadDir(".")
	if err != nil || len(list) != 50000+len(twins) {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	for i, twin := range twins {
		if b, err := fs.ReadFile(tree, twin); err != nil || string(b) != fmt.Sprint(i) {
			t.Errorf("%s: %q, %v", twin, b, err)
		}
	}
	for i := 0; i < 50000; i += 17 {
		if target, err := tree.ReadLink(name(i)); err != nil || target != "x" {
			t.Fatalf("%q: %v, %v", name(i), target, err)
		}
		if _, err := tree.Lstat(name(i) + "-"); !os.IsNotExist(err) {
			t.Fatalf("%q: %v", name(i), err)
		}
	}
	volumetest.LoopMounted(t, path, "ro", func(dir string) {
		want, err := os.ReadDir(dir)
		if err != nil || !slices.EqualFunc(list, want, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() && a.Type() == b.Type() }) {
			t.Errorf("the kernel has %d names, %v", len(want), err)
		}
	})
}
