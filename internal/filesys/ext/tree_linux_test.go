package ext

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// mounted calls do with the folder where the kernel has mounted a file system.
func mounted(t testing.TB, path, options string, do func(dir string)) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test mounts file systems: run it as root")
	}
	dir := t.TempDir()
	volumetest.RunTool(t, "mount", "mount", "-t", "ext4", "-o", "loop,"+options, path, dir)
	defer volumetest.RunTool(t, "mount", "umount", dir)
	do(dir)
}

// same compares the tree of a volume with what the kernel's driver gives of
// it, or of the folder that it was made from: names, contents, and unless
// loose the times of changes and the sizes of folders.
func same(t *testing.T, v *Volume, dir string, loose bool) {
	t.Helper()
	used := collect(t, v.Used())
	claimed := metadataOf(t, v.Files())
	count := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		count++
		info, err := v.Files().Lstat(rel)
		if err != nil {
			t.Errorf("%v", err)
			return nil
		}
		sameStat(t, path, info, loose)
		sameXattrs(t, path, info.Sys().(Node))
		claimed = append(claimed, sameExtents(t, used, path, v, info.Sys().(Node), loose)...)
		switch {
		case d.IsDir():
			sameList(t, v.Files(), path, rel)
		case d.Type().IsRegular():
			sameContents(t, v.Files(), path, rel)
		case d.Type() == fs.ModeSymlink:
			want, _ := os.Readlink(path)
			if got, err := v.Files().ReadLink(rel); got != want || err != nil {
				t.Errorf("%s leads to %q, %v; want %q", rel, got, err, want)
			}
		}
		return nil
	})
	if err != nil || count < 2 {
		t.Fatal(count, err)
	}
	claimed = append(claimed, extentsAt(t, v.Files(), "lost+found")...)
	sameAll(t, v, used, claimed)
}

// sameAll checks that the used blocks are those which something claims, no
// more and no less.
func sameAll(t testing.TB, v *Volume, used block.Extents, claimed []block.Extent) {
	t.Helper()
	s := &v.super
	inGroups := collect(t, block.Clip(used, s.first*s.blockSize, (s.blocks-s.first)*s.blockSize))
	for i := range claimed {
		claimed[i].Off -= s.first * s.blockSize
	}
	if all := block.NewExtents(claimed...); !slices.Equal(inGroups, all) {
		t.Errorf("used are %v, claimed are %v", inGroups, all)
	}
}

func metadataOf(t testing.TB, tree *Tree) (out []block.Extent) {
	t.Helper()
	for e, err := range tree.Metadata() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func extentsAt(t testing.TB, tree *Tree, path string) (out []block.Extent) {
	t.Helper()
	info, err := tree.Lstat(path)
	check(t, err)
	for e, err := range info.Sys().(Node).Extents() {
		check(t, err)
		out = append(out, e)
	}
	return out
}

func collect(t testing.TB, m block.Map) block.Extents {
	t.Helper()
	var out block.Extents
	for e, err := range m.Extents() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// sameExtents checks that the clusters of a file are among the used ones, that
// none is given twice, and that they are those which the kernel names unless
// loose.
func sameExtents(t testing.TB, used block.Extents, path string, v *Volume, n Node, loose bool) (got []block.Extent) {
	t.Helper()
	var sum, uniq int64
	for e, err := range n.Extents() {
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return got
		}
		k := sort.Search(len(used), func(k int) bool { return used[k].End() > e.Off })
		if e.Len <= 0 || k == len(used) || used[k].Off > e.Off || used[k].End() < e.End() {
			t.Errorf("%s: extent %v is not in the used map", path, e)
			return got
		}
		got = append(got, e)
		sum += e.Len
	}
	for _, e := range block.NewExtents(got...) {
		uniq += e.Len
	}
	if uniq != sum {
		t.Errorf("%s: extents %v overlap", path, got)
	}
	if loose || n.i.kind() != modeFile {
		return got
	}
	var want []block.Extent
	for _, e := range fiemap(t, path) { // whole clusters
		off, end := e.Off, e.End()
		first := v.super.first * v.super.blockSize
		off -= (off - first) % v.super.clusterSize
		end += (v.super.clusterSize - (end-first)%v.super.clusterSize) % v.super.clusterSize
		want = append(want, block.Extent{Off: off, Len: min(end, v.super.blocks*v.super.blockSize) - off})
	}
	if !slices.Equal(block.NewExtents(got...), block.NewExtents(want...)) {
		t.Errorf("%s: extents %v, the kernel says %v", path, got, want)
	}
	return got
}

// fiemap asks the kernel where the contents of a file are (Linux
// Documentation/filesystems/fiemap.rst).
func fiemap(t testing.TB, path string) (out []block.Extent) {
	t.Helper()
	f, err := os.Open(path)
	check(t, err)
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

func sameStat(t *testing.T, path string, got fs.FileInfo, loose bool) {
	t.Helper()
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_ALL, &st)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	n := got.Sys().(Node)
	uid, gid := n.Owner()
	major, minor := n.Device()
	if got.Mode() != info.Mode() || !info.IsDir() && got.Size() != info.Size() || uid != st.Uid || gid != st.Gid {
		t.Errorf("%s: %v, %d bytes, %d:%d; want %v, %d bytes, %d:%d", path, got.Mode(), got.Size(), uid, gid, info.Mode(), info.Size(), st.Uid, st.Gid)
	}
	if major != st.Rdev_major || minor != st.Rdev_minor || !info.IsDir() && n.Links() != int(st.Nlink) {
		t.Errorf("%s: device %d:%d, %d links; want %d:%d, %d", path, major, minor, n.Links(), st.Rdev_major, st.Rdev_minor, st.Nlink)
	}
	if loose {
		return
	}
	access, change, birth := n.Times()
	want := []time.Time{stamp(st.Atime), stamp(st.Ctime), stamp(st.Mtime)}
	have := []time.Time{access, change, got.ModTime()}
	if st.Mask&unix.STATX_BTIME != 0 {
		want, have = append(want, stamp(st.Btime)), append(have, birth)
	} else if !birth.IsZero() {
		t.Errorf("%s: born %v", path, birth)
	}
	if !slices.EqualFunc(want, have, time.Time.Equal) || n.ID() != st.Ino || got.Size() != info.Size() {
		t.Errorf("%s: inode %d of %d bytes, times %v; want %d, %d, %v", path, n.ID(), got.Size(), have, st.Ino, info.Size(), want)
	}
}

func stamp(s unix.StatxTimestamp) time.Time { return time.Unix(s.Sec, int64(s.Nsec)) }

func sameXattrs(t *testing.T, path string, n Node) {
	t.Helper()
	want := map[string][]byte{}
	buf := make([]byte, 1<<16)
	size, err := unix.Llistxattr(path, buf)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(string(buf[:size]), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 1<<16)
		size, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(name, err)
		}
		want[name] = value[:size]
	}
	got, err := n.Xattrs()
	if err != nil || !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%s: attributes %.200q, %v; want %.200q", path, got, err, want)
	}
}

func sameList(t *testing.T, tree *Tree, path, rel string) {
	t.Helper()
	want, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.ReadDir(rel)
	if rel == "." && len(got) == len(want)+1 { // a folder that mke2fs was given has none
		got = slices.DeleteFunc(got, func(e fs.DirEntry) bool { return e.Name() == "lost+found" })
	}
	eq := slices.EqualFunc(got, want, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() && a.Type() == b.Type() })
	if err != nil || !eq {
		t.Errorf("%s: %v, %v; want %v", rel, got, err, want)
	}
}

func sameContents(t *testing.T, tree *Tree, path, rel string) {
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
		if off, end = segment(want, off, info.Size()); !sameBytes(f.(io.ReaderAt), want, off, end) {
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

func sameBytes(a, b io.ReaderAt, off, end int64) bool {
	x, y := make([]byte, end-off), make([]byte, end-off)
	n, err := a.ReadAt(x, off)
	m, err2 := b.ReadAt(y, off)
	return n == len(x) && m == len(y) && (err == nil || err == io.EOF) && (err2 == nil || err2 == io.EOF) && bytes.Equal(x, y)
}

// setTimes sets the times of a file itself.
func setTimes(t testing.TB, path string, access, mod time.Time) {
	t.Helper()
	ts := []unix.Timespec{unix.NsecToTimespec(access.UnixNano()), unix.NsecToTimespec(mod.UnixNano())}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ignoreFull lets a file be cut off where a small volume has no more room.
func ignoreFull(t testing.TB, err error) bool {
	t.Helper()
	full := err != nil && (strings.Contains(err.Error(), syscall.ENOSPC.Error()))
	if err != nil && !full {
		t.Fatal(err)
	}
	return !full
}

func setXattr(path string, value []byte) error {
	return unix.Lsetxattr(path, "trusted.large", value, 0)
}
