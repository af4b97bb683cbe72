package ext

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// seed is a small volume with all that there is to be read, full of what makes
// sense only in its place.
func seed(t testing.TB, args string) disk {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "folder/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		write(fmt.Sprintf("folder/f%d with a name that fills", i), nil)
	}
	for _, n := range []int{10, 100, 5000, 40000} {
		write(fmt.Sprintf("of %d", n), bytes.Repeat([]byte("content "), n/8))
		if err := os.Symlink(strings.Repeat("t", min(n, 900)), filepath.Join(dir, fmt.Sprintf("link %d", n))); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(dir, "pieces"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		if _, err := f.WriteAt([]byte("piece"), i*i*8192); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	path := makeVolume(t, 640<<10, append(strings.Fields(args), "-b", "1024", "-m", "0", "-d", dir)...)
	for _, name := range []string{"/pieces", "/folder", "/link 10"} {
		for k, size := range []int{5, 300} {
			value := filepath.Join(t.TempDir(), "value")
			if err := os.WriteFile(value, bytes.Repeat([]byte("v"), size), 0o600); err != nil {
				t.Fatal(err)
			}
			volumetest.RunTool(t, "e2fsprogs", "debugfs", "-w", "-R", fmt.Sprintf("ea_set -f %s \"%s\" user.name%d", value, name, k), path)
		}
	}
	indexed(t, path)
	return volumetest.Load(t, path)
}

// indexed lets e2fsck give folders their indexes, which it ends with code 1.
func indexed(t testing.TB, path string) {
	t.Helper()
	tool, err := exec.LookPath("/usr/sbin/e2fsck")
	if err != nil {
		t.Fatal("e2fsck is missing: install the Debian package e2fsprogs")
	}
	if out, err := exec.Command(tool, "-fyD", path).CombinedOutput(); err != nil && !strings.Contains(string(out), "MODIFIED") {
		t.Fatalf("e2fsck: %v\n%s", err, out)
	}
}

// kinds are the seeds: without checksums damage gets far, and there are two
// ways to map blocks.
func kinds() map[string]string {
	return map[string]string{
		"ext2":      "-t ext2 -g 256 -N 112",
		"ext4":      "-t ext4 -O ^metadata_csum,uninit_bg,inline_data,^has_journal,^resize_inode -g 256 -N 112",
		"checksums": "-t ext4 -O metadata_csum,^has_journal,^resize_inode -I 512 -N 112",
	}
}

// hotAreas are the blocks that Open and the reading of files look at.
func hotAreas(t testing.TB, d disk) []block.Extent {
	t.Helper()
	v := open(t, d)
	readTree(t, v.Files())
	areas := []block.Extent{{Off: superOff, Len: superSize}, {Off: superOff, Len: 128}}
	var ds []desc
	for n := range v.super.descBlocks() {
		var err error
		if ds, err = v.super.descs(d, n, make([]byte, 1024), ds); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range ds {
		areas = append(areas, block.Extent{Off: d.bitmap * 1024, Len: 32})
	}
	for at := range v.files.cache.blocks {
		areas = append(areas, block.Extent{Off: at * 1024, Len: 1024})
	}
	slices.SortFunc(areas, func(a, b block.Extent) int { return cmp.Compare(a.Off, b.Off) })
	return areas
}

// mapAreas are those of hotAreas that the map is made from: descriptors and
// bitmaps, and the inodes.
func mapAreas(t testing.TB, d disk) (groups, inodes []block.Extent) {
	t.Helper()
	tree := open(t, d).Files()
	s := tree.s
	var tables []block.Extent
	for g := range s.groups {
		g, err := tree.desc(g)
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, block.Extent{Off: g.table * 1024, Len: s.tableBlocks() * 1024})
	}
	end := s.descBlock(s.descBlocks()-1)*1024 + 1024
	for _, e := range hotAreas(t, d) {
		switch {
		case e.Off < end || e.Len == 32:
			groups = append(groups, e)
		case slices.ContainsFunc(tables, func(t block.Extent) bool { return t.Off <= e.Off && e.Off < t.End() }):
			inodes = append(inodes, e)
		}
	}
	return groups, inodes
}

// damage flips some bits in the areas, and gives what undoes it.
func damage(d disk, areas []block.Extent, rng *rand.Rand, flips int) (undo func()) {
	old := map[int64]byte{}
	for range flips {
		e := areas[rng.IntN(len(areas))]
		at := e.Off + rng.Int64N(e.Len)
		if _, ok := old[at]; !ok {
			old[at] = d[at]
		}
		d[at] ^= 1 << rng.IntN(8)
	}
	return func() {
		for at, b := range old {
			d[at] = b
		}
	}
}
