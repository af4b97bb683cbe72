package test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nastyTree fills a volume with what is hard to copy.
func nastyTree(t *testing.T, dir string, k lookedAt) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for i := range 300 {
		name := fmt.Sprintf("file %d", i)
		write(t, in("many/"+name), strings.Repeat(name+"|", min(i*i, 900)))
	}
	write(t, in("deep"+strings.Repeat("/d", 29)+"/bottom"), "deep")
	names := []string{"with blank", "ö ü 名前", "-dash", ".hidden", "...dots", strings.Repeat("long", 60) + ".txt", "UPPER and lower", "[glob]{x}", "100%", "a'b", "$HOME"}
	if k.mount != nil {
		names = append(names, "😀") // mtools writes another character
	}
	if k.unix {
		names = append(names, "new\nline", "tab\t", `back\slash`, "colon:name", "dot.", "blank ", "CON", "\xff\xfe bytes", "star*?", strings.Repeat("ö", 127), "Upper AND Lower", "\x1b[31mred")
	}
	for i, name := range names {
		write(t, in("names/"+name), fmt.Sprint(i, name))
	}
	must(os.Mkdir(in("empty folder"), 0o755))
	write(t, in("empty file"), "")
	noise := make([]byte, 6<<20+123)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(noise)
	write(t, in("large/noise"), string(noise))
	if k.unix || k.windows {
		for i, at := range []int64{0, 1<<20 - 10, 30 << 20} {
			f, err := os.Create(in(fmt.Sprintf("large/holes %d", i)))
			must(err)
			_, err = f.WriteAt(noise[:20000+i], at)
			must(err)
			must(f.Truncate(40<<20 + 77))
			must(f.Close())
		}
		write(t, in("links/one"), "linked")
		must(os.MkdirAll(in("links/sub"), 0o755))
		must(os.Link(in("links/one"), in("links/sub/two")))
		must(os.Link(in("links/one"), in("three")))
		must(os.Symlink("sub/two", in("links/to file")))
		must(os.Symlink("../many", in("links/to folder")))
		must(os.Symlink("/etc/passwd", in("links/absolute")))
		must(os.Symlink("../../../../../etc/passwd", in("links/upward")))
		must(os.Symlink("nothing", in("links/dangling")))
		write(t, in("attr/file"), "with attributes")
		must(unix.Setxattr(in("attr/file"), "user.a stream", []byte("of a file"), 0))
		must(unix.Setxattr(in("attr/file"), "user.second", bytes.Repeat([]byte("x"), 2000), 0))
		must(unix.Setxattr(in("attr"), "user.of a folder", []byte("too"), 0))
	}
	if k.unix {
		nastyUnix(t, in)
	}
	if k.windows {
		write(t, in("attr/read only"), "x")
		must(unix.Setxattr(in("attr/read only"), "system.ntfs_attrib_be", []byte{0, 0, 0, 0x21}, 0))
		must(unix.Setxattr(in("attr/file"), "system.ntfs_attrib_be", []byte{0, 0, 0, 0x27}, 0))
		acl := make([]byte, 4096)
		n, err := unix.Lgetxattr(in("attr/file"), "system.ntfs_acl", acl)
		must(err)
		acl[bytes.LastIndexByte(acl[:n], 5)+5] ^= 1 // another account
		must(unix.Setxattr(in("attr/file"), "system.ntfs_acl", acl[:n], 0))
	}
	for i, when := range []time.Time{time.Date(1999, 1, 2, 3, 4, 5, 600, time.UTC), time.Date(2037, 5, 6, 7, 8, 9, 123456700, time.UTC), time.Date(2026, 2, 28, 23, 59, 58, 0, time.UTC)} {
		name := in(fmt.Sprintf("times/%d", i))
		write(t, name, "x")
		must(os.Chtimes(name, when, when))
	}
	must(os.Chtimes(in("times"), time.Unix(1e9, 0), time.Unix(1e9, 0)))
}

// nastyUnix adds what only a file system of Unix holds.
func nastyUnix(t *testing.T, in func(string) string) {
	t.Helper()
	for i, mode := range []uint32{0o4755, 0o2711, 0o1777, 0, 0o600, 0o444} {
		name := in(fmt.Sprintf("modes/%o", mode))
		write(t, name, "x")
		sh(t, "chown", fmt.Sprintf("%d:%d", 1000+i, 70000+i), name)
		sh(t, "chmod", fmt.Sprintf("%o", mode), name)
	}
	for _, mode := range []string{"2775", "1777", "0700", "0555"} {
		name := in("modes/folder " + mode)
		write(t, name+"/inside", "x")
		sh(t, "chown", "-R", "1234:5678", name)
		sh(t, "chmod", mode, name)
	}
	sh(t, "chown", "-h", "4321:8765", in("links/dangling"))
	for _, x := range [][2]string{{"trusted.t", "root only"}, {"security.capability", "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}} {
		if err := unix.Setxattr(in("attr/file"), x[0], []byte(x[1]), 0); err != nil {
			t.Fatal(err)
		}
	}
	sh(t, "setfacl", "-m", "u:1234:rwx,g:99:---,m::r-x", in("attr/file"))
	sh(t, "setfacl", "-m", "d:u:1234:rwx,u:7:r--", in("attr"))
	for _, n := range []struct {
		name string
		mode uint32
		dev  uint64
	}{{"pipe", unix.S_IFIFO | 0o640, 0}, {"char", unix.S_IFCHR | 0o666, unix.Mkdev(1, 3)}, {"block", unix.S_IFBLK | 0o660, unix.Mkdev(259, 300)}} {
		if err := unix.Mknod(in("special-"+n.name), n.mode, int(n.dev)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", in("special-socket"))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
}

// describe tells all of a tree that the volume can hold, a line for each file.
func describe(t *testing.T, dir string, k lookedAt) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if rel == "lost+found" {
			return fs.SkipDir
		}
		line, err := describeFile(path, k)
		out = append(out, fmt.Sprintf("%q %s", rel, line))
		return err
	})
	if err != nil || len(out) < 300 {
		t.Fatalf("%s: %d files, %v", dir, len(out), err)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func describeFile(path string, k lookedAt) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", err
	}
	var b strings.Builder
	kind := st.Mode & unix.S_IFMT
	fmt.Fprintf(&b, "%o", kind)
	if k.mount != nil && (k.windows || k.unix || kind != unix.S_IFDIR) { // mtools makes folders anew; exFAT's driver too, when they change
		fmt.Fprintf(&b, " time %v", time.Unix(st.Mtim.Unix()).UTC().Truncate(k.exact).Format(time.RFC3339Nano))
	}
	if k.unix {
		fmt.Fprintf(&b, " %o %d:%d dev %x", st.Mode, st.Uid, st.Gid, st.Rdev)
	}
	switch kind {
	case unix.S_IFREG:
		h := sha256.New()
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if _, err := io.Copy(h, f); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, " %d %x links %d holes %t", st.Size, h.Sum(nil), st.Nlink, st.Blocks*512 < st.Size)
	case unix.S_IFLNK:
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, " -> %s", to)
	}
	if k.unix || k.windows {
		all := xattrsOf(path)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if k.unix || strings.HasPrefix(name, "user.") {
				fmt.Fprintf(&b, " %s=%q", name, all[name])
			}
		}
	}
	return b.String(), nil
}

func xattrsOf(path string) map[string]string {
	out := map[string]string{}
	names := make([]byte, 1<<16)
	n, _ := unix.Llistxattr(path, names)
	for name := range strings.SplitSeq(strings.Trim(string(names[:max(n, 0)]), "\x00"), "\x00") {
		value := make([]byte, 1<<16)
		if n, err := unix.Lgetxattr(path, name, value); err == nil {
			out[name] = string(value[:n])
		}
	}
	return out
}

// firstDifference shows where two texts differ.
func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, "got  "+line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out = append(out, "want "+line)
		}
	}
	slices.SortFunc(out, func(x, y string) int { return strings.Compare(x[5:], y[5:]) })
	return fmt.Sprintf("%d lines differ:\n%s", len(out), strings.Join(out[:min(len(out), 12)], "\n"))
}
