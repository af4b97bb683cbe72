package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLowSpace backs up to a small file system until it would be full: the
// oldest sets make room while the next image is written.
func TestLowSpace(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, medium, mnt := filepath.Join(dir, "src.img"), filepath.Join(dir, "medium.img"), filepath.Join(dir, "mnt")
	if err := os.Mkdir(mnt, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, "sh", "-c", "head -c 150M /dev/urandom >"+src)
	sh(t, "truncate", "-s", "1500M", medium)
	sh(t, "mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", medium)
	sh(t, "mount", "-o", "loop", medium, mnt)
	defer sh(t, "umount", mnt)
	backup := func(name string) string {
		return sh(t, ingot, "image", src, "--to", mnt, "--type", "full", "--name", name, "--min-free=1G")
	}
	for _, name := range []string{"a", "b"} {
		if out := backup(name); strings.Contains(out, "room") {
			t.Fatalf("%s: %s", name, out)
		}
	}
	sh(t, ingot, "protect", filepath.Join(mnt, "a-00-00.mrimgx"))
	out := backup("c")
	if !strings.Contains(out, "the backup waits while room is made") || !strings.Contains(out, "delete b-00-00.mrimgx") {
		t.Errorf("the third image: %s", out)
	}
	list := sh(t, ingot, "sets", mnt)
	for name, there := range map[string]bool{"a-00-00": true, "b-00-00": false, "c-00-00": true} {
		if strings.Contains(list, name) != there {
			t.Errorf("%s is there: %t\n%s", name, !there, list)
		}
	}
	sh(t, ingot, "verify", filepath.Join(mnt, "c-00-00.mrimgx"))
	// Now nothing is left that may go: it is said, and the image still fits.
	sh(t, ingot, "protect", filepath.Join(mnt, "c-00-00.mrimgx"))
	if out := backup("d"); !strings.Contains(out, "no set is left that may go") {
		t.Errorf("the fourth image: %s", out)
	}
}
