package ntfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ingot/internal/block"
)

// peerOptions are how ntfs-3g is mounted to be compared with: streams are
// user.* attributes, links of Linux are those of WSL.
const peerOptions = "streams_interface=xattr,special_files=wsl,compression"

// seen is what can be said of a file by both sides.
type seen struct {
	kind    fs.FileMode
	size    int64
	links   int
	id      uint64
	attrs   uint32
	times   [4]int64 // of ntfs-3g's system.ntfs_times: 100 ns since 1601
	target  string
	sum     string
	streams string
	acl     string
}

// xattr is an extended attribute; nil when there is none.
func xattr(t testing.TB, path, name string) []byte {
	t.Helper()
	b := make([]byte, 64<<10)
	n, err := unix.Lgetxattr(path, name, b)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	if err != nil {
		t.Fatalf("attribute %s of %s: %v", name, path, err)
	}
	return b[:n]
}

func setXattr(t testing.TB, path, name string, value []byte) {
	t.Helper()
	if err := unix.Lsetxattr(path, name, value, 0); err != nil {
		t.Fatalf("set attribute %s of %s: %v", name, path, err)
	}
}

// bySystem says what ntfs-3g reads of the files below dir.
func bySystem(t testing.TB, dir string) map[string]seen {
	t.Helper()
	out := map[string]seen{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		s := seen{kind: info.Mode().Type(), id: st.Ino}
		if s.kind.IsRegular() {
			s.links, s.size = int(st.Nlink), info.Size()
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			s.sum = fmt.Sprintf("%x", sha256.Sum256(b))
		}
		s.target, _ = os.Readlink(path)
		s.attrs = binary.LittleEndian.Uint32(xattr(t, path, "system.ntfs_attrib"))
		times := xattr(t, path, "system.ntfs_times")
		for i := range s.times {
			s.times[i] = int64(binary.LittleEndian.Uint64(times[8*i:]))
		}
		s.acl = fmt.Sprintf("%x", xattr(t, path, "system.ntfs_acl"))
		s.streams = systemStreams(t, path)
		out[rel] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// systemStreams are the streams with the sums of their contents.
func systemStreams(t testing.TB, path string) string {
	t.Helper()
	b := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, b)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return ""
	}
	if err != nil {
		t.Fatal(path, err)
	}
	var out []string
	for name := range strings.SplitSeq(string(b[:n]), "\x00") {
		if stream, ok := strings.CutPrefix(name, "user."); ok {
			out = append(out, fmt.Sprintf("%s=%x", stream, sha256.Sum256(xattr(t, path, name))))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// ticks is a time as NTFS has it.
func ticks(at time.Time) int64 {
	return at.Unix()*1e7 + int64(at.Nanosecond())/100 + 116444736000000000
}

// byTree says what the volume's own tree reads, and checks that the clusters
// of each file are used.
func byTree(t testing.TB, v *Volume) map[string]seen {
	t.Helper()
	used := usedMap(t, v)
	var claimed []block.Extent
	for e, err := range v.Files().Metadata() {
		if err != nil {
			t.Fatal(err)
		}
		claimed = append(claimed, e)
	}
	out := map[string]seen{}
	tree := v.Files()
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Type() != d.Type() {
			t.Errorf("%s: its folder says %v, the file %v", path, d.Type(), info.Mode())
		}
		again, err := tree.Lstat(path)
		if err != nil || again.Sys().(*node).ID() != info.Sys().(*node).ID() || again.Name() != d.Name() {
			t.Errorf("%s: found as %v, %v", path, again, err)
		}
		n := info.Sys().(*node)
		claimed = append(claimed, checkExtents(t, path, n, used)...)
		out[path] = treeSeen(t, tree, path, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Every cluster that is used is some file's or the file system's; behind
	// them the sectors that are always kept remain.
	for e := range block.Subtract(used, block.NewExtents(claimed...)).Extents() {
		if e.Off < v.boot.bytes() && e.End() < v.r.Size() {
			t.Errorf("bytes %v are used by nothing", e)
		}
	}
	return out
}

func treeSeen(t testing.TB, tree *Tree, path string, n *node) seen {
	t.Helper()
	s := seen{kind: n.Mode().Type(), id: n.ID(), attrs: n.Attributes()}
	access, change, birth := n.Times()
	for i, at := range []time.Time{birth, n.ModTime(), access, change} {
		s.times[i] = ticks(at)
	}
	if s.kind.IsRegular() {
		s.links, s.size = n.Links(), n.Size()
		f, err := tree.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s.sum = sum(t, f)
	}
	if s.kind == fs.ModeSymlink {
		var err error
		if s.target, err = tree.ReadLink(path); err != nil {
			t.Error(err)
		}
	}
	acl, err := n.SecurityDescriptor()
	if err != nil {
		t.Error(path, err)
	}
	s.acl = fmt.Sprintf("%x", acl)
	names, err := n.Streams()
	if err != nil {
		t.Error(path, err)
	}
	for i, name := range names {
		f, err := n.OpenStream(name)
		if err != nil {
			t.Fatal(path, err)
		}
		names[i] = name + "=" + sum(t, f)
	}
	slices.Sort(names)
	s.streams = strings.Join(names, " ")
	return s
}

// sum reads a file to its end, and parts of it once more.
func sum(t testing.TB, f fs.File) string {
	t.Helper()
	h := sha256.New()
	all := &bytes.Buffer{}
	n, err := io.Copy(io.MultiWriter(h, all), f)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != n {
		t.Errorf("%d bytes of %s, %v", n, info.Name(), err)
	}
	for off := int64(0); off < n; off += n/5 + 3 {
		b := make([]byte, min(5000, n-off))
		if _, err := f.(io.ReaderAt).ReadAt(b, off); err != nil || !bytes.Equal(b, all.Bytes()[off:off+int64(len(b))]) {
			t.Errorf("[%d,+%d) reads otherwise: %v", off, len(b), err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func usedMap(t testing.TB, v *Volume) block.Extents {
	t.Helper()
	var out block.Extents
	for e, err := range v.Used().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// checkExtents gives the clusters of a file, and fails unless they are used.
func checkExtents(t testing.TB, path string, n *node, used block.Extents) (out []block.Extent) {
	t.Helper()
	for e, err := range n.Extents() {
		if err != nil {
			t.Fatal(path, err)
		}
		i, _ := slices.BinarySearchFunc(used, e.Off, func(u block.Extent, off int64) int { return int(min(1, max(-1, u.End()-1-off))) })
		if i == len(used) || e.Off < used[i].Off || e.End() > used[i].End() {
			t.Errorf("%s: bytes %v are not used", path, e)
		}
		out = append(out, e)
	}
	return out
}

// compareTrees compares what ntfs-3g and the tree read of a volume.
func compareTrees(t *testing.T, path string, v *Volume) map[string]seen {
	t.Helper()
	var want map[string]seen
	mounted(t, path, "ro,"+peerOptions, func(dir string) { want = bySystem(t, dir) })
	got := byTree(t, v)
	for name, w := range want {
		if g, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if g != w {
			t.Errorf("%s:\n%+v instead of\n%+v", name, g, w)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q is too much", name)
		}
	}
	if len(want) < 2 {
		t.Errorf("%d files are no test", len(want))
	}
	return want
}
