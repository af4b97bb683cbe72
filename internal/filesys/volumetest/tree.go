package volumetest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
)

// Tree describes the files of a tree by their paths: kind, size, time of the
// last change in seconds, and the SHA-256 of the contents.
func Tree(t testing.TB, tree fs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[path] = fmt.Sprintf("%v %s", info.Mode().Type(), info.ModTime().UTC().Truncate(time.Second).Format(time.DateTime))
		if !info.Mode().IsRegular() {
			return nil
		}
		f, err := tree.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		hash := sha256.New()
		n, err := io.Copy(hash, f)
		if n != info.Size() {
			t.Errorf("%s: %d bytes were read of %d", path, n, info.Size())
		}
		out[path] += fmt.Sprintf(" %d %x", n, hash.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// SameTree fails the test where the files of a tree are not those that a driver
// shows in a folder.
func SameTree(t testing.TB, tree fs.FS, dir string) {
	t.Helper()
	want, got := Tree(t, os.DirFS(dir)), Tree(t, tree)
	for path := range want {
		if got[path] != want[path] {
			t.Errorf("%q: %q, the driver says %q", path, got[path], want[path])
		}
	}
	for path := range got {
		if want[path] == "" {
			t.Errorf("%q: %q, the driver has none", path, got[path])
		}
	}
}

// InUse fails the test unless all extents of all files and folders lie inside
// the used map of their volume, and none in two files.
func InUse(t testing.TB, tree fs.FS, used block.Map) {
	t.Helper()
	var all []block.Extent
	var sum int64
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		node := info.Sys().(interface {
			Extents() iter.Seq2[block.Extent, error]
		})
		for e, err := range node.Extents() {
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, e)
			sum += e.Len
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	claimed := block.NewExtents(all...)
	if n, _ := block.Bytes(claimed); n != sum {
		t.Errorf("the files claim %d bytes, %d of them once", sum, n)
	}
	if n, err := block.Bytes(block.Subtract(claimed, used)); n != 0 || err != nil {
		t.Errorf("%d bytes of files lie outside of the used map, %v", n, err)
	}
}

// Mount attaches a volume in a file to a loop device, has a tool mount it, gives
// the folder to use, and undoes all of it. The tool's arguments are args,
// device and folder.
func Mount(t testing.TB, path string, use func(dir string), pkg, tool string, args ...string) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "mnt")
	if err != nil {
		t.Fatal(err)
	}
	dev := strings.TrimSpace(RunTool(t, "mount", "losetup", "--find", "--show", path))
	mounted := false
	undo := func() {
		if mounted {
			mounted = false
			RunTool(t, "mount", "umount", dir)
		}
		if dev != "" {
			d := dev
			dev = ""
			RunTool(t, "mount", "losetup", "-d", d)
		}
	}
	t.Cleanup(undo)
	RunTool(t, pkg, tool, append(args, dev, dir)...)
	mounted = true
	use(dir)
	undo()
}

// Write makes a file, with the folders it lies in.
func Write(t testing.TB, dir, name string, b []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// NothingLost fails the test unless each file that can be read in one tree is
// the same in another: in a copy, nothing may be lost.
func NothingLost(t testing.TB, before, after fs.FS) {
	t.Helper()
	_ = fs.WalkDir(before, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Size() > 1<<20 {
			return nil
		}
		want, err := fs.ReadFile(before, path)
		if err != nil {
			return nil
		}
		if got, err := fs.ReadFile(after, path); err != nil || string(got) != string(want) {
			t.Errorf("%s: lost, %v", path, err)
		}
		return nil
	})
}
