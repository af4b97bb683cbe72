package xfs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
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

// filler makes what all volumes here can hold.
func filler(times bool) volumetest.Filler {
	f := volumetest.Filler{Names: 2000, Pieces: 500, Value: 65536, Far: 1 << 40}
	if times {
		f.Times = []time.Time{time.Date(2039, 1, 1, 0, 0, 0, 123456789, time.UTC), time.Date(2240, 1, 1, 0, 0, 0, 500, time.UTC)}
	}
	return f
}

// same compares the tree of a volume with what the kernel gives of it, and the
// used blocks with what files and metadata claim: no more and no less.
func same(t *testing.T, v *Volume, path string) {
	t.Helper()
	var claimed []block.Extent
	for e, err := range v.Files().Metadata() {
		if err != nil {
			t.Fatal(err)
		}
		claimed = append(claimed, e)
	}
	volumetest.LoopMounted(t, path, "ro", func(dir string) {
		volumetest.SameUnix(t, v.Files(), dir, func(path string, n volumetest.UnixNode) {
			var got []block.Extent
			for e, err := range n.Extents() {
				if err != nil {
					t.Fatal(path, err)
				}
				got = append(got, e)
			}
			claimed = append(claimed, got...)
			if n.(Node).i.kind() != modeFile {
				return
			}
			if want := volumetest.Fiemap(t, path); !slices.Equal(block.NewExtents(got...), block.NewExtents(want...)) {
				t.Errorf("%s: extents %v, the kernel says %v", path, got, want)
			}
		})
	})
	var used []block.Extent
	for e, err := range block.Clip(v.Used(), 0, v.super.Blocks*v.super.BlockSize).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, e)
	}
	if all := block.NewExtents(claimed...); !slices.Equal(all, used) {
		t.Errorf("used are %v, claimed are %v", used, all)
	}
}

func TestTree(t *testing.T) {
	for _, c := range []struct {
		size int64
		args string
	}{
		{200 << 20, ""},
		{200 << 20, "-m rmapbt=1,reflink=1,finobt=1,inobtcount=1,bigtime=1 -i sparse=1,nrext64=1"},
		{200 << 20, "-m finobt=0,reflink=0,bigtime=0,inobtcount=0 -i sparse=0,nrext64=0 -d agcount=1"},
		{200 << 20, "-b size=1024 -n size=4096 -m rmapbt=1 -d agcount=7"},
		{200 << 20, "-n size=32768 -i size=2048"},
		{300 << 20, "-b size=16384 -i size=1024 -m reflink=1"},
	} {
		t.Run(c.args, func(t *testing.T) {
			make := makeVolume
			if c.args == "" { // what was never written has something else on the disk
				make = makeOver
			}
			path := make(t, c.size, strings.Fields(c.args)...)
			volumetest.LoopMounted(t, path, "rw", func(dir string) {
				filler(!strings.Contains(c.args, "bigtime=0")).Fill(t, dir)
				if !strings.Contains(c.args, "reflink=0") {
					reflinks(t, dir)
				}
			})
			same(t, open(t, volumetest.Load(t, path)), path)
		})
	}
}

// TestParents has a volume whose files keep the names of their folders as
// attributes, which no file shows. The feature is switched on by hand.
func TestParents(t *testing.T) {
	path := makeVolume(t, 200<<20, "-l", "size=16m")
	d := volumetest.Load(t, path)
	d[offIncompat+3] |= 0x80
	clear(d[superCRC : superCRC+4])
	binary.LittleEndian.PutUint32(d[superCRC:], crc32.Checksum(d[:512], crc32.MakeTable(crc32.Castagnoli)))
	path = d.Save(t)
	volumetest.LoopMounted(t, path, "rw", func(dir string) { filler(true).Fill(t, dir) })
	v := open(t, volumetest.Load(t, path))
	same(t, v, path)
	info, err := v.Files().Lstat("attributes 0")
	if err != nil {
		t.Fatal(err)
	}
	hidden := 0
	if err := info.Sys().(Node).i.eachAttr(func(a attr) error {
		if a.flags&attrParent != 0 {
			hidden++
		}
		return nil
	}); err != nil || hidden != 1 {
		t.Errorf("the volume is no test: %d parents, %v", hidden, err)
	}
}

// TestManyNames has a folder whose index has several levels, and one whose
// blocks are found by a tree of extents.
func TestManyNames(t *testing.T) {
	path := makeVolume(t, 300<<20, "-b", "size=1024", "-n", "size=4096", "-d", "agcount=4")
	name := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("name", i%40)) }
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for i := range 50000 {
			if err := os.Symlink("x", filepath.Join(dir, name(i))); err != nil {
				t.Fatal(err)
			}
			if i%500 == 0 { // comes between the blocks of the folder
				volumetest.Write(t, dir, fmt.Sprintf("other/%d", i), make([]byte, 3000))
			}
		}
	})
	v := open(t, volumetest.Load(t, path))
	tree := v.Files()
	list, err := tree.ReadDir(".")
	if err != nil || len(list) != 50001 || !slices.IsSortedFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }) {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	root, err := tree.inode(v.super.tree.root)
	if err != nil || root.data.format != formatBtree {
		t.Errorf("the volume is no test: %+v, %v", root, err)
	}
	if d, err := root.index(indexStart / 1024); err != nil || d.level < 1 {
		t.Errorf("the volume is no test: %+v, %v", d, err)
	}
	for i := 0; i < 50000; i += 7 {
		if e, err := root.lookupIndex(name(i)); err != nil || e.Name != name(i) {
			t.Fatalf("%q: %v, %v", name(i), e, err)
		}
		if _, err := root.lookupIndex(name(i) + "-"); err != fs.ErrNotExist {
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

// makeOver makes a volume on a disk that is full of other data, which blocks
// that were never written still have.
func makeOver(t testing.TB, size int64, args ...string) string {
	t.Helper()
	smallVolumes(t)
	return volumetest.MakeOver(t, size, "xfsprogs", "mkfs.xfs", append([]string{"-q", "-f", "-K"}, args...)...)
}
