package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// TestHash compares hashes with those of debugfs.
func TestHash(t *testing.T) {
	path := makeVolume(t, 1<<20)
	seed := "3326e100-aefc-49df-8cca-76860233b6c7"
	s := super{hashSeed: [4]uint32{0x00e12633, 0xdf49fcae, 0x8676ca8c, 0xc7b63302}}
	names := []string{"a", "lost+found", "exactly sixteen ", "a name of more than thirty-two bytes, to take two rounds", "W\xc3\xb6rter", strings.Repeat("\xff", 255)}
	for version, kind := range []string{"legacy", "half_md4", "tea", "3", "4", "5"} {
		for _, name := range names {
			out := volumetest.RunTool(t, "e2fsprogs", "debugfs", "-R", fmt.Sprintf("dx_hash -h %s -s %s \"%s\"", kind, seed, name), path)
			h, err := s.hash(byte(version), []byte(name))
			if want := fmt.Sprintf("is 0x%x ", h); err != nil || !strings.Contains(out, want) {
				t.Errorf("%s of %q %s, %v; debugfs: %s", kind, name, want, err, out)
			}
		}
	}
	if _, err := s.hash(6, []byte("a")); err == nil {
		t.Error("a hash that nobody knows")
	}
}

// TestIndex looks up 100,000 names by the index of their folder, which has two
// levels with blocks of 1 KiB, and lists them.
func TestIndex(t *testing.T) {
	for args, files := range map[string]int{"-b 1024": 100_000, "-b 4096 -O ^metadata_csum": 5000} {
		t.Run(args, func(t *testing.T) {
			path := makeVolume(t, 60<<20, append(strings.Fields(args), "-t", "ext4", "-I", "128", "-N", "102400")...)
			name := func(i int) string { return fmt.Sprintf("%d is the number of this file", i) }
			mounted(t, path, "rw", func(dir string) {
				check(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
				for i := range files {
					f, err := os.Create(filepath.Join(dir, "d", name(i)))
					check(t, err)
					check(t, f.Close())
				}
			})
			v := open(t, volumetest.Load(t, path))
			list, err := v.Files().ReadDir("d")
			if err != nil || len(list) != files || !slices.IsSortedFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }) {
				t.Fatal(len(list), err)
			}
			d, err := v.Files().resolve("open", "d")
			check(t, err)
			root, err := v.Files().indexBlock(d, 0)
			if err != nil || strings.Contains(args, "1024") && root.levels == 0 {
				t.Fatalf("the folder is no test: %+v, %v", root, err)
			}
			for i := range files {
				if e, err := v.Files().lookupIndex(d, name(i)); err != nil || e.inode == 0 {
					t.Fatalf("%s: %+v, %v", name(i), e, err)
				}
			}
			for _, name := range []string{name(files), "a", "", "."} {
				if e, err := v.Files().lookupIndex(d, name); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%q: %+v, %v", name, e, err)
				}
			}
		})
	}
}

// TestContinued looks up a name whose hash is that of the leaf before as well:
// the leaf's own entry in the index says so by its lowest bit.
func TestContinued(t *testing.T) {
	path := makeVolume(t, 20<<20, "-t", "ext4", "-b", "1024", "-O", "^metadata_csum")
	mounted(t, path, "rw", func(dir string) {
		check(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
		for i := range 1000 {
			check(t, os.WriteFile(filepath.Join(dir, "d", fmt.Sprintf("file %d", i)), nil, 0o644))
		}
	})
	d := volumetest.Load(t, path)
	v := open(t, d)
	folder, err := v.Files().resolve("open", "d")
	check(t, err)
	p, err := v.Files().find(folder, 0)
	check(t, err)
	root, err := v.Files().indexBlock(folder, 0)
	if err != nil || root.levels > 0 || root.len() < 4 {
		t.Fatalf("the folder is no test: %+v, %v", root, err)
	}
	for k := 1; k < root.len(); k++ {
		lowest, name := lowestHash(t, v, folder, root.block(k))
		binary.LittleEndian.PutUint32(d[p.at*1024+32+8*int64(k):], lowest|1)
		if e, err := open(t, d).Files().lookupIndex(folder, name); err != nil || e.inode == 0 {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// lowestHash is the lowest hash of a name in block k of a folder.
func lowestHash(t testing.TB, v *Volume, i *inode, k int64) (lowest uint32, name string) {
	t.Helper()
	b, err := v.Files().dirBlock(i, k)
	check(t, err)
	lowest = ^uint32(0)
	check(t, v.super.scanBlock(b, func(e entry) error {
		h, err := v.super.hash(hashHalfMD4, e.name)
		if h < lowest {
			lowest, name = h, string(e.name)
		}
		return err
	}))
	return lowest, name
}
