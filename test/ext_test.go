package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExt takes the ext4 partition of a disk through the program, with less
// than its free space, onto a disk full of other data.
func TestExt(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, dst, mnt := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img"), filepath.Join(dir, "mnt")
	for _, sub := range []string{mnt, filepath.Join(dir, "out")} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sh(t, "truncate", "-s", "200M", src)
	sh(t, "sgdisk", "-n", "1:2048:+128M", "-t", "1:8300", "-n", "2:0:+40M", "-t", "2:8300", src)
	before := map[int]string{}
	for n, fs := range []string{"ext4", "ext3"} {
		dev := partition(t, src, n+1)
		sh(t, "mkfs."+fs, "-q", dev)
		sh(t, "mount", dev, mnt)
		for i := range 300 {
			name := filepath.Join(mnt, fmt.Sprintf("file %d", i))
			if err := os.WriteFile(name, bytes.Repeat([]byte(name), i*i%5000), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		sh(t, "sh", "-c", "cd '"+mnt+"' && rm 'file '*7 && ln 'file 9' hard && ln -s hard link && setfattr -n user.a -v b 'file 2'")
		before[n+1] = treeOf(t, mnt)
		sh(t, "umount", mnt)
	}
	text := sh(t, ingot, "image", src, "--to", filepath.Join(dir, "out"), "--name", "ext", "--verify")
	if strings.Contains(text, "copied whole") {
		t.Errorf("%s", text)
	}
	image := filepath.Join(dir, "out", "ext-00-00.mrimgx")
	sh(t, ingot, "verify", image)
	if err := os.WriteFile(dst, bytes.Repeat([]byte{0xa7, 0x5c, 0xff, 0x13}, 50<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(t, ingot, "restore", image, dst, "--yes", "--check")
	for n, want := range before {
		dev := partition(t, dst, n)
		sh(t, "e2fsck", "-fn", dev)
		sh(t, "mount", "-o", "ro", dev, mnt)
		if got := treeOf(t, mnt); got != want {
			t.Errorf("partition %d holds\n%s, want\n%s", n, got, want)
		}
		sh(t, "umount", mnt)
	}
}

// partition is a device for partition n of a disk in a file.
func partition(t *testing.T, file string, n int) string {
	t.Helper()
	var first, last int64
	for line := range strings.Lines(sh(t, "sgdisk", "-i", fmt.Sprint(n), file)) {
		_, _ = fmt.Sscanf(line, "First sector: %d", &first)
		_, _ = fmt.Sscanf(line, "Last sector: %d", &last)
	}
	return attach(t, file, fmt.Sprintf("--offset=%d", first*512), fmt.Sprintf("--sizelimit=%d", (last-first+1)*512))
}

// treeOf tells all of a tree: names, what stat knows, attributes, contents.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	return sh(t, "sh", "-c", "cd '"+dir+"' && find . -printf '%p %y %m %s %T@ %i %n %U %l\\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum && getfattr -dR . | sort")
}
