package xfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"ingot/internal/filesys/volumetest"
)

// fill4 makes a tree that can be told to mkfs.xfs: no spaces in names.
func fill4(t testing.TB, dir string) {
	t.Helper()
	for i := range 2500 {
		volumetest.Write(t, dir, fmt.Sprintf("many/a-rather-long-name-of-a-small-file-no-%d", i), nil)
	}
	for _, n := range []int{1, 8, 30, 100, 300} {
		for i := range n {
			volumetest.Write(t, dir, fmt.Sprintf("of%d/Name-%d", n, i), volumetest.Content(i, 1))
		}
	}
	volumetest.Write(t, dir, "large", volumetest.Content(2<<20, 1))
	volumetest.Write(t, dir, "Case", nil)
	for _, n := range []int{1, 100, 155, 156, 157, 600, 1000} {
		if err := os.Symlink(strings.Repeat("t", n), filepath.Join(dir, fmt.Sprintf("link%d", n))); err != nil {
			t.Fatal(err)
		}
	}
}

// protoOf describes a tree for mkfs.xfs -p, with more files in the root.
func protoOf(t testing.TB, src string, more string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("/nowhere\n0 0\nd--755 0 0\n")
	var list func(dir string) error
	list = func(dir string) error {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			switch {
			case e.IsDir():
				b.WriteString(e.Name() + " d--750 7 8\n")
				err = errors.Join(err, list(path))
			case e.Type() == fs.ModeSymlink:
				target, _ := os.Readlink(path)
				b.WriteString(e.Name() + " l--777 1 2 " + target + "\n")
			default:
				b.WriteString(e.Name() + " -ug640 70000 3 " + path + "\n")
			}
		}
		if dir == src {
			b.WriteString(more)
		}
		b.WriteString("$\n")
		return err
	}
	path := filepath.Join(t.TempDir(), "proto")
	if err := errors.Join(list(src), os.WriteFile(path, []byte(b.String()), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTree4 has volumes without checksums, which this kernel does not mount:
// their files are those that mkfs.xfs was given.
func TestTree4(t *testing.T) {
	src := t.TempDir()
	fill4(t, src)
	proto := protoOf(t, src, "disk b--600 0 0 259 70000\nnull c--666 0 0 1 3\npipe p--644 0 0\n")
	for _, args := range []string{"", "-n ftype=0", "-n ftype=1 -i size=512", "-b size=512 -n size=4096 -i size=256", "-n version=ci", "-i attr=2,projid32bit=0 -n size=16384"} {
		t.Run(args, func(t *testing.T) {
			path := makeVolume(t, 128<<20, append(strings.Fields(args), "-m", "crc=0", "-p", proto)...)
			values := setAttributes(t, path, "/large", "/many", "/link600")
			v := open(t, volumetest.Load(t, path))
			tree := v.Files()
			same4(t, tree, src)
			for name, want := range values {
				info, err := tree.Lstat(name[1:])
				if err != nil {
					t.Fatal(err)
				}
				got, err := info.Sys().(Node).Xattrs()
				if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: attributes %.100q, %v; want %.100q", name, got, err, want)
				}
			}
			for range tree.Metadata() {
			}
			for name, want := range map[string]bool{"case": strings.Contains(args, "ci"), "MANY/a-RATHER-long-name-of-a-small-file-no-77": strings.Contains(args, "ci"), "Case": true} {
				if _, err := tree.Lstat(name); (err == nil) != want {
					t.Errorf("%s: %v", name, err)
				}
				if has, err := v.Contains(strings.ReplaceAll(name, "/", `\`)); !has || err != nil {
					t.Errorf("%s: %v, %v", name, has, err)
				}
			}
		})
	}
}

// setAttributes lets xfs_db give files attributes of many sizes.
func setAttributes(t testing.TB, path string, files ...string) map[string]map[string][]byte {
	t.Helper()
	args, out := []string{"-x", "-f"}, map[string]map[string][]byte{}
	for _, name := range files {
		out[name] = map[string][]byte{}
		args = append(args, "-c", "path "+name)
		for i, n := range []int{1, 60, 400, 3000, 9000} {
			args = append(args, "-c", fmt.Sprintf("attr_set -u -v %d name%d", n, i))
			out[name][fmt.Sprintf("user.name%d", i)] = bytes.Repeat([]byte("v"), n)
		}
	}
	text := volumetest.RunTool(t, "xfsprogs", "xfs_db", append(args, path)...)
	if strings.Contains(text, "fail") {
		t.Fatal(text)
	}
	volumetest.RunTool(t, "xfsprogs", "xfs_repair", "-n", "-f", "-o", "force_geometry", path)
	return out
}

// same4 compares a tree with the folder that it was made from.
func same4(t *testing.T, tree *Tree, src string) {
	t.Helper()
	count := 0
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		count++
		info, err := d.Info()
		if err != nil {
			return err
		}
		n := info.Sys().(Node)
		uid, gid := n.Owner()
		major, minor := n.Device()
		got := fmt.Sprintf("%v %v %d:%d %d:%d", d.Type(), info.Mode(), uid, gid, major, minor)
		want := map[fs.FileMode]string{
			fs.ModeDir: "d--------- drwxr-x--- 7:8 0:0", fs.ModeSymlink: "L--------- Lrwxrwxrwx 1:2 0:0", 0: "---------- ugrw-r----- 70000:3 0:0",
			fs.ModeDevice: "D--------- Drw------- 0:0 259:70000", fs.ModeDevice | fs.ModeCharDevice: "Dc--------- Dcrw-rw-rw- 0:0 1:3", fs.ModeNamedPipe: "p--------- prw-r--r-- 0:0 0:0",
		}[d.Type()]
		if got != want && path != "." {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		switch d.Type() {
		case 0:
			a, err := fs.ReadFile(tree, path)
			b, err2 := os.ReadFile(filepath.Join(src, path))
			if err != nil || err2 != nil || !bytes.Equal(a, b) {
				t.Errorf("%s: %d bytes instead of %d, %v, %v", path, len(a), len(b), err, err2)
			}
		case fs.ModeSymlink:
			a, err := tree.ReadLink(path)
			b, err2 := os.Readlink(filepath.Join(src, path))
			if err != nil || err2 != nil || a != b {
				t.Errorf("%s: %d bytes instead of %d, %v, %v", path, len(a), len(b), err, err2)
			}
		}
		return nil
	})
	want := 0
	_ = filepath.WalkDir(src, func(string, fs.DirEntry, error) error { want++; return nil })
	if err != nil || count != want+3 {
		t.Errorf("%d files, %v, want %d", count, err, want)
	}
}

// TestStandard runs the standard library's test of trees.
func TestStandard(t *testing.T) {
	src := t.TempDir()
	volumetest.Write(t, src, "a/b/c", []byte("contents"))
	volumetest.Write(t, src, "d", make([]byte, 5000))
	v := open(t, volumetest.Load(t, makeVolume(t, 40<<20, "-p", protoOf(t, src, ""))))
	if err := fstest.TestFS(v.Files(), "a/b/c", "d"); err != nil {
		t.Error(err)
	}
}
