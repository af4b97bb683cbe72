package volumetest

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/internal/block"
)

// UnixNode is what the nodes of the file systems of Linux have.
type UnixNode interface {
	ID() uint64
	Links() int
	Extents() iter.Seq2[block.Extent, error]
	Owner() (uid, gid uint32)
	Times() (access, change, birth time.Time)
	Device() (major, minor uint32)
	Xattrs() (map[string][]byte, error)
}

// UnixTree is a tree of files with links.
type UnixTree interface {
	fs.ReadDirFS
	fs.ReadLinkFS
}

// SameUnix fails the test where the files of a tree are not what the kernel's
// driver shows in a folder where it has mounted them: names, kinds, modes,
// owners, times, devices, links, attributes, targets, contents. It gives to
// also, unless that is nil, each path with its node.
func SameUnix(t testing.TB, tree UnixTree, dir string, also func(path string, n UnixNode)) {
	t.Helper()
	count := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		count++
		info, err := tree.Lstat(rel)
		if err != nil {
			t.Errorf("%v", err)
			return nil
		}
		node := info.Sys().(UnixNode)
		sameStat(t, path, info, node)
		sameXattrs(t, path, node)
		switch {
		case d.IsDir():
			sameList(t, tree, path, rel)
		case d.Type().IsRegular():
			sameContents(t, tree, path, rel)
		case d.Type() == fs.ModeSymlink:
			want, _ := os.Readlink(path)
			if got, err := tree.ReadLink(rel); got != want || err != nil {
				t.Errorf("%s leads to %q, %v; want %q", rel, got, err, want)
			}
		}
		if also != nil {
			also(path, node)
		}
		return nil
	})
	if err != nil || count < 2 {
		t.Fatal(count, err)
	}
}

func sameStat(t testing.TB, path string, got fs.FileInfo, n UnixNode) {
	t.Helper()
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_ALL, &st); err != nil {
		t.Fatal(err)
	}
	want, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	number := n.ID()
	if in, ok := n.(interface{ Inode() uint64 }); ok { // Btrfs numbers those of each subvolume
		number = in.Inode()
	}
	uid, gid := n.Owner()
	major, minor := n.Device()
	if got.Mode() != want.Mode() || got.Size() != want.Size() || uid != st.Uid || gid != st.Gid || number != st.Ino {
		t.Errorf("%s: %v, %d bytes, %d:%d, inode %d; want %v, %d bytes, %d:%d, inode %d", path, got.Mode(), got.Size(), uid, gid, number, want.Mode(), want.Size(), st.Uid, st.Gid, st.Ino)
	}
	if major != st.Rdev_major || minor != st.Rdev_minor || !want.IsDir() && n.Links() != int(st.Nlink) || want.IsDir() && n.Links() != 1 {
		t.Errorf("%s: device %d:%d, %d links; want %d:%d, %d", path, major, minor, n.Links(), st.Rdev_major, st.Rdev_minor, st.Nlink)
	}
	access, change, birth := n.Times()
	times := []time.Time{stamp(st.Atime), stamp(st.Ctime), stamp(st.Mtime)}
	have := []time.Time{access, change, got.ModTime()}
	if st.Mask&unix.STATX_BTIME != 0 {
		times, have = append(times, stamp(st.Btime)), append(have, birth)
	}
	const none = 2 // of Btrfs: a subvolume that is not there, with the time of now
	if !slices.EqualFunc(times, have, time.Time.Equal) && st.Ino != none {
		t.Errorf("%s: times %v; want %v", path, have, times)
	}
}

func stamp(s unix.StatxTimestamp) time.Time { return time.Unix(s.Sec, int64(s.Nsec)) }

func sameXattrs(t testing.TB, path string, n UnixNode) {
	t.Helper()
	want, buf := map[string][]byte{}, make([]byte, 1<<16)
	size, err := unix.Llistxattr(path, buf)
	if err != nil {
		t.Fatal(path, err)
	}
	for name := range strings.SplitSeq(string(buf[:size]), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 1<<16)
		size, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(path, name, err)
		}
		want[name] = value[:size]
	}
	got, err := n.Xattrs()
	if err != nil || !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%s: attributes %.300q, %v; want %.300q", path, got, err, want)
	}
}

func sameList(t testing.TB, tree UnixTree, path, rel string) {
	t.Helper()
	want, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.ReadDir(rel)
	eq := slices.EqualFunc(got, want, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() && a.Type() == b.Type() })
	if err != nil || !eq {
		t.Errorf("%s: %d entries, %v; want %d: %.300v, %.300v", rel, len(got), err, len(want), got, want)
	}
}

func sameContents(t testing.TB, tree UnixTree, path, rel string) {
	t.Helper()
	f, err := tree.Open(rel)
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	defer f.Close()
	want, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	info, err := want.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for off, end := int64(0), int64(0); off < info.Size(); off = end {
		if off, end = segment(want, off, info.Size()); !sameBytes(t, f.(io.ReaderAt), want, off, end) {
			t.Errorf("%s differs in [%d,%d)", rel, off, end)
			return
		}
	}
}

// segment is the next part of a file to look at: all of a small one, what is
// no hole of a large one, with the borders of the holes.
func segment(f *os.File, off, size int64) (from, to int64) {
	if size < 16<<20 {
		return 0, size
	}
	from, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err != nil { // none: the last hole
		return max(off, size-1<<16), size
	}
	if to, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE); err != nil {
		to = size
	}
	return max(0, from-5000), min(size, to+5000)
}

func sameBytes(t testing.TB, a, b io.ReaderAt, off, end int64) bool {
	t.Helper()
	x, y := make([]byte, end-off), make([]byte, end-off)
	n, err := a.ReadAt(x, off)
	m, err2 := b.ReadAt(y, off)
	for _, err := range []error{err, err2} {
		if err != nil && err != io.EOF {
			t.Error(err)
		}
	}
	return n == len(x) && m == len(y) && bytes.Equal(x, y)
}

// Fiemap asks the kernel where the contents of a file are (Linux
// Documentation/filesystems/fiemap.rst), without those that lie in metadata.
func Fiemap(t testing.TB, path string) (out []block.Extent) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const head, size, count = 32, 56, 64
	for start, last := uint64(0), false; !last; {
		b := make([]byte, head+count*size)
		binary.NativeEndian.PutUint64(b, start)
		binary.NativeEndian.PutUint64(b[8:], 1<<62)
		binary.NativeEndian.PutUint32(b[24:], count)
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), 0xc020660b, uintptr(unsafe.Pointer(&b[0]))); e != 0 {
			t.Fatalf("FIEMAP of %s: %v", path, e)
		}
		n := binary.NativeEndian.Uint32(b[20:])
		last = n == 0
		for ; n > 0; n-- {
			e := b[head:]
			logical, physical, length := binary.NativeEndian.Uint64(e), binary.NativeEndian.Uint64(e[8:]), binary.NativeEndian.Uint64(e[16:])
			flags := binary.NativeEndian.Uint32(e[40:])
			if flags&0x200 == 0 { // not inline
				out = append(out, block.Extent{Off: int64(physical), Len: int64(length)})
			}
			start, last = logical+length, flags&1 != 0
			b = b[size:]
		}
	}
	return out
}
