package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// volumeKind is a file system that files are left out of.
type volumeKind struct {
	name  string
	make  []string // the device is added
	check []string
	mount []string // the device and the folder are added
}

// TestExclude takes a disk with one volume of each kind through the program,
// leaves files out, and restores over garbage: the file systems are clean, what
// was left out reads as zeros, and all else is as it was.
func TestExclude(t *testing.T) {
	needRoot(t)
	kinds := []volumeKind{
		{"exFAT", []string{"mkfs.exfat"}, []string{"fsck.exfat", "-n"}, []string{"mount.exfat-fuse"}},
		{"ext4", []string{"mkfs.ext4", "-q"}, []string{"e2fsck", "-fn"}, []string{"mount"}},
		{"NTFS", []string{"mkntfs", "-F", "-Q", "-q"}, []string{"ntfsfix", "-n"}, []string{"ntfs-3g"}},
	}
	dir := t.TempDir()
	src, dst, out := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img"), filepath.Join(dir, "out")
	const size = 20 << 20
	sh(t, "truncate", "-s", fmt.Sprint(size*(len(kinds)+1)+2<<20), src)
	layout := []string{}
	for i := range len(kinds) + 1 {
		layout = append(layout, "-n", fmt.Sprintf("%d:%d:+20M", i+1, 2048+i*size/512))
	}
	sh(t, "sgdisk", append(layout, src)...)
	tree := filepath.Join(dir, "tree")
	excludedTree(t, tree)
	fat := fmt.Sprintf("%s@@%d", src, 1<<20)
	sh(t, "mkfs.vfat", "-F", "16", "-s", "1", "--offset", "2048", src, fmt.Sprint(size/1024))
	sh(t, "sh", "-c", fmt.Sprintf("mcopy -s -i %s %s/* ::", fat, tree))
	device := func(t *testing.T, file string, i int) string {
		return attach(t, file, fmt.Sprintf("--offset=%d", 1<<20+(i+1)*size), fmt.Sprintf("--sizelimit=%d", size))
	}
	for i, k := range kinds {
		t.Run("fill "+k.name, func(t *testing.T) {
			dev := device(t, src, i)
			sh(t, k.make[0], append(k.make[1:], dev)...)
			mounted(t, k, dev, func(mnt string) { sh(t, "cp", "-r", tree+"/.", mnt) })
		})
	}

	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	said := sh(t, ingot, "image", src, "--to", out, "--name", "x", "--verify", "--exclude", `users\*\AppData\Local\Temp\**`, "--exclude", "**/*.iso",
		"--exclude", "Users/*/AppData/Local/Temp/**", "--exclude", "**/*.ISO") // where case matters
	if n := strings.Count(said, "4 files, 3.5 MB left out by --exclude"); n != len(kinds)+1 {
		t.Errorf("%d volumes say what was left out:\n%s", n, said)
	}
	garbage(t, dst, size*(len(kinds)+1)+2<<20)
	sh(t, ingot, "restore", filepath.Join(out, "x-00-00.mrimgx"), dst, "--yes", "--check")

	sh(t, "sh", "-c", fmt.Sprintf("fsck.vfat -n %s", cut(t, dst, 1<<20, size)))
	back := filepath.Join(dir, "back")
	if err := os.Mkdir(back, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, "mcopy", "-s", "-i", fmt.Sprintf("%s@@%d", dst, 1<<20), "::*", back)
	leftOut(t, tree, back)
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			dev := device(t, dst, i)
			if text := sh(t, k.check[0], append(k.check[1:], dev)...); k.name == "exFAT" && !strings.Contains(text, "clean.") {
				t.Error(text)
			}
			mounted(t, k, dev, func(mnt string) { leftOut(t, tree, mnt) })
		})
	}
	if b, err := os.ReadFile(dst); err != nil || bytes.Contains(b, []byte("to be left out")) {
		t.Errorf("what was left out is on the target (%v)", err)
	}
	// An incremental without patterns holds what was left out before.
	sh(t, ingot, "image", src, "--to", out, "--type", "inc")
	found, err := filepath.Glob(filepath.Join(out, "*-01-*.mrimgx"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	sh(t, ingot, "restore", found[0], dst, "--yes", "--check")
	if b, err := os.ReadFile(dst); err != nil || bytes.Count(b, []byte("to be left out")) < 3*(len(kinds)+1) {
		t.Errorf("what was left out before is not in the incremental (%v)", err)
	}
	if text := sh(t, ingot, "--json", "image", src, "--to", out, "--name", "z", "--type", "full", "--partitions", "1", "--exclude", "**/*.iso"); !strings.Contains(text, `"notes":["partition 1 (FAT16): 1 file, 3.0 MB left out by --exclude: media/Big File.ISO`) {
		t.Errorf("the report does not say what was left out: %s", text)
	}
	fails(t, 2, "no file can have a part", "image", src, "--to", out, "--exclude", "a//b")
	fails(t, 2, "go together", "image", src, "--to", out, "--exclude", "a", "--all-sectors")
	if text := sh(t, ingot, "image", src, "--to", out, "--name", "y", "--exclude", "none", "--dry-run"); !strings.Contains(text, "no file with contents matches") {
		t.Errorf("nothing is said of a pattern without effect:\n%s", text)
	}
}

// excludedTree makes the files of the test; those that will be left out begin
// with text.
func excludedTree(t *testing.T, dir string) {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{9})
	for name, size := range map[string]int{
		"Users/Ann/AppData/Local/Temp/one.tmp": 150_001, "Users/Ann/AppData/Local/Temp/deep/er/two": 300_000,
		"Users/Bob/AppData/Local/Temp/ö ü.tmp": 5011, "media/Big File.ISO": 3_000_000, "empty.iso": 0,
		"Users/Ann/AppData/Local/three.tmp": 70_000, "Users/Ann/document": 200_000, "Users/Temp/four": 5000, "media/iso": 100_000,
	} {
		b := make([]byte, size)
		_, _ = rng.Read(b)
		if outOf(name) {
			copy(b, "to be left out")
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// outOf says whether a file of the test is left out.
func outOf(name string) bool {
	return strings.Contains(name, "Local/Temp/") || strings.HasSuffix(strings.ToLower(name), ".iso")
}

// leftOut compares a restored tree with that which was imaged.
func leftOut(t *testing.T, want, got string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		rel, _ := filepath.Rel(want, path)
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if outOf(rel) {
			clear(b)
		}
		back, err := os.ReadFile(filepath.Join(got, rel))
		if err != nil || !bytes.Equal(b, back) {
			t.Errorf("%s: %d bytes, %d came back, %v", rel, len(b), len(back), err)
		}
		return nil
	})
	if err != nil || files < 9 {
		t.Errorf("%d files, %v", files, err)
	}
}

func mounted(t *testing.T, k volumeKind, dev string, use func(mnt string)) {
	t.Helper()
	mnt := filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(mnt, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, k.mount[0], append(k.mount[1:], dev, mnt)...)
	defer sh(t, "umount", mnt)
	use(mnt)
}

// garbage makes a file of size bytes that mean nothing.
func garbage(t *testing.T, file string, size int) {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// cut copies a partition into a file of its own.
func cut(t *testing.T, file string, off, n int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "part")
	if err := os.WriteFile(path, read(t, file, off, n), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
