package mount

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
)

const rawSize = 3<<20 + 512

// written is a Writer over a device in memory.
type written struct{ *blocktest.Device }

func (w written) Zero(off, n int64) error {
	_, err := w.WriteAt(make([]byte, n), off)
	return err
}

// sys is what the files of the test's tree can do.
type sys struct {
	id     uint64
	links  int
	uid    uint32
	attrs  map[string][]byte
	access time.Time
}

func (s *sys) ID() uint64                         { return s.id }
func (s *sys) Links() int                         { return s.links }
func (s *sys) Owner() (uint32, uint32)            { return s.uid, 7 }
func (s *sys) Xattrs() (map[string][]byte, error) { return s.attrs, nil }
func (s *sys) Device() (uint32, uint32)           { return 8, 17 }
func (s *sys) Times() (access, change, birth time.Time) {
	return s.access, time.Time{}, time.Time{}
}

// windows is a file of Windows.
type windows struct{ text map[string]string }

func (w *windows) Streams() ([]string, error) {
	var out []string
	for n := range w.text {
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

func (w *windows) OpenStream(name string) (fs.File, error) {
	return fstest.MapFS{"s": {Data: []byte(w.text[name])}}.Open("s")
}
func (w *windows) Attributes() uint32                       { return 0x2021 }
func (w *windows) SecurityDescriptor() ([]byte, error)      { return []byte("descriptor"), nil }
func (w *windows) ReparsePoint() (uint32, []byte)           { return 0xa000000c, []byte("data") }
func (w *windows) Times() (access, change, birth time.Time) { return when(3), when(4), when(1) }

func when(n int) time.Time { return time.Date(2020, 1, n, 1, 2, 3, 400, time.UTC) }

// tree is a tree in memory, with a folder and a file that are damaged.
type tree struct{ fstest.MapFS }

var errBad = errors.New("bad sector")

func (t tree) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := t.MapFS.ReadDir(name)
	if name == "damaged" {
		err = errBad
	}
	return list, err
}

func (t tree) Open(name string) (fs.File, error) {
	f, err := t.MapFS.Open(name)
	if name == "broken" && err == nil {
		return broken{f}, nil
	}
	return f, err
}

// broken cannot be read behind its first page.
type broken struct{ fs.File }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > 4096 {
		return 0, errBad
	}
	return b.File.(io.ReaderAt).ReadAt(p, off)
}

// mounted is what a test has mounted.
type mounted struct {
	dir    string
	srv    *Server
	ro, rw *blocktest.Device
	tree   tree
	fails  atomic.Bool // disk.raw behind its first 2 MiB, and all writes

	mu   sync.Mutex
	told []string
}

func newMounted(t *testing.T, write bool) *mounted {
	t.Helper()
	b := make([]byte, rawSize)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>9) ^ byte(i>>17)
	}
	clear(b[1<<20 : 2<<20])
	m := &mounted{dir: filepath.Join(t.TempDir(), "mnt with blank"), ro: blocktest.New(b), rw: blocktest.New(make([]byte, 1<<20))}
	m.ro.Fail = func(_ blocktest.Op, e block.Extent) error {
		if m.fails.Load() && e.End() > 2<<20 {
			return errBad
		}
		return nil
	}
	m.rw.Fail = func(op blocktest.Op, _ block.Extent) error {
		if m.fails.Load() && op == blocktest.Write {
			return syscall.ENOSPC
		}
		return nil
	}
	link := &windows{map[string]string{}}
	m.tree = tree{fstest.MapFS{
		"file":       {Data: []byte("contents"), Mode: 0o640, ModTime: when(2), Sys: &sys{id: 12, links: 2, uid: 1234, attrs: map[string][]byte{"user.a": []byte("value"), "security.capability": {1}}, access: when(9)}},
		"same":       {Data: []byte("contents"), Mode: 0o640, ModTime: when(2), Sys: &sys{id: 12, links: 2, uid: 1234}},
		"ä b":        {Data: []byte("setuid"), Mode: fs.ModeSetuid | 0o755},
		"win":        {Data: []byte("w"), Mode: 0o666, ModTime: when(2), Sys: &windows{map[string]string{"one": "stream", "large": strings.Repeat("x", 70000)}}},
		"abs":        {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink | 0o777},
		"winlink":    {Data: []byte(`..\other\name`), Mode: fs.ModeSymlink | 0o777, Sys: link},
		"winabs":     {Data: []byte(`C:\Users`), Mode: fs.ModeSymlink | 0o777, Sys: link},
		"dev":        {Mode: fs.ModeDevice | 0o600, Sys: &sys{id: 15, links: 1}},
		"pipe":       {Mode: fs.ModeNamedPipe | 0o600},
		"dir/sub/x":  {Data: bytes.Repeat([]byte("0123456789abcdef"), 40000)},
		"damaged/ok": {Data: []byte("good"), Mode: 0o644},
		"broken":     {Data: make([]byte, 3<<20)},
	}}
	root := &Root{Time: when(5), Files: []File{
		{Name: "disk.raw", Reader: m.ro, Used: block.Subtract(block.Whole(rawSize), block.NewExtents(block.Extent{Off: 1 << 20, Len: 1 << 20}))},
	}, Folders: []Folder{
		{Name: "1-Files", Open: func() (Tree, error) { return m.tree, nil }},
		{Name: "2-None", Open: func() (Tree, error) { return nil, errBad }},
	}}
	if write {
		root.Files = append(root.Files, File{Name: "work.raw", Reader: m.rw, Writer: written{m.rw}})
	}
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	m.srv, err = Mount(m.dir, root, Options{Source: "test", AllowOther: true, Log: m.tell})
	if err != nil {
		t.Fatalf("mount (package fuse3): %v", err)
	}
	t.Cleanup(func() {
		select {
		case <-m.srv.Done():
		default:
			if err := Unmount(m.dir, true); err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

func (m *mounted) tell(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, err.Error())
}

func (m *mounted) path(name string) string { return filepath.Join(m.dir, name) }

func stat(t *testing.T, path string) (st unix.Stat_t) {
	t.Helper()
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(path, err)
	}
	return st
}

func TestFiles(t *testing.T) {
	m := newMounted(t, false)
	got, err := os.ReadFile(m.path("disk.raw"))
	if err != nil || !bytes.Equal(got, m.ro.Bytes()) {
		t.Errorf("disk.raw: %d bytes, %v", len(got), err)
	}
	st := stat(t, m.path("disk.raw"))
	if st.Mode != syscall.S_IFREG|0o400 || st.Size != rawSize || st.Blocks != (rawSize-1<<20)/512 || st.Mtim.Sec != when(5).Unix() {
		t.Errorf("%+v", st)
	}
	if _, err := os.OpenFile(m.path("disk.raw"), os.O_RDWR, 0); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
	f, err := os.Open(m.path("disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		whence    int
		off, want int64
	}{
		{unix.SEEK_DATA, 0, 0}, {unix.SEEK_HOLE, 0, 1 << 20}, {unix.SEEK_HOLE, 1<<20 + 5, 1<<20 + 5}, {unix.SEEK_DATA, 1<<20 + 5, 2 << 20},
		{unix.SEEK_HOLE, 2 << 20, rawSize}, {unix.SEEK_DATA, rawSize - 1, rawSize - 1}, {unix.SEEK_DATA, rawSize, -1},
	} {
		if at, err := unix.Seek(int(f.Fd()), c.off, c.whence); at != c.want || (err != nil) != (c.want < 0) {
			t.Errorf("seek %d from %d: %d, %v", c.whence, c.off, at, err)
		}
	}
}

func TestTree(t *testing.T) {
	m := newMounted(t, false)
	dir := m.path("1-Files")
	for _, name := range []string{"file", "ä b", "dir/sub/x", "damaged/ok"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, m.tree.MapFS[name].Data) {
			t.Errorf("%q: %d bytes, %v", name, len(b), err)
		}
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != len(m.tree.MapFS) {
		t.Errorf("%v, %v", list, err)
	}
	st := stat(t, filepath.Join(dir, "file"))
	if st.Mode != syscall.S_IFREG|0o640 || st.Uid != 1234 || st.Gid != 7 || st.Nlink != 2 || st.Mtim.Nano() != when(2).UnixNano() || st.Atim.Nano() != when(9).UnixNano() || st.Ctim != st.Mtim {
		t.Errorf("%+v", st)
	}
	if other := stat(t, filepath.Join(dir, "same")); other.Ino != st.Ino {
		t.Error("two names of a file have two numbers")
	}
	if st := stat(t, filepath.Join(dir, "ä b")); st.Mode != syscall.S_IFREG|syscall.S_ISUID|0o555 || st.Uid != uint32(os.Geteuid()) {
		t.Errorf("%o %d", st.Mode, st.Uid)
	}
	if st := stat(t, filepath.Join(dir, "dev")); st.Mode != syscall.S_IFBLK|0o600 || st.Rdev != unix.Mkdev(8, 17) {
		t.Errorf("%o %#x", st.Mode, st.Rdev)
	}
	if st := stat(t, filepath.Join(dir, "pipe")); st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		t.Errorf("%o", st.Mode)
	}
	for name, want := range map[string]string{"abs": "/etc/passwd", "winlink": "../other/name", "winabs": `C:\Users`} {
		if got, err := os.Readlink(filepath.Join(dir, name)); got != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.told) != 0 {
		t.Errorf("%q", m.told)
	}
}

func attrOf(t *testing.T, path, name string) (string, error) {
	t.Helper()
	b := make([]byte, 1<<16)
	n, err := unix.Lgetxattr(path, name, b)
	return string(b[:max(n, 0)]), err
}

func TestAttributes(t *testing.T) {
	m := newMounted(t, false)
	file, win := m.path("1-Files/file"), m.path("1-Files/win")
	for path, want := range map[string]string{file: "security.capability user.a", win: "user.large user.one"} {
		b := make([]byte, 1000)
		n, err := unix.Llistxattr(path, b)
		if got := strings.Join(strings.Fields(strings.ReplaceAll(string(b[:max(n, 0)]), "\x00", " ")), " "); got != want || err != nil {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	times := make([]byte, 0, 32)
	for _, n := range []int{1, 2, 3, 4} {
		times = binary.LittleEndian.AppendUint64(times, uint64(when(n).UnixNano()/100)+116444736000000000)
	}
	for name, want := range map[string]string{
		"user.one": "stream", "system.ntfs_acl": "descriptor", "system.ntfs_attrib": "\x21\x20\x00\x00", "system.ntfs_attrib_be": "\x00\x00\x20\x21",
		"system.ntfs_reparse_data": "\x0c\x00\x00\xa0\x04\x00\x00\x00data", "system.ntfs_times": string(times), "system.ntfs_crtime": string(times[:8]),
	} {
		if got, err := attrOf(t, win, name); got != want || err != nil {
			t.Errorf("%s: %q instead of %q, %v", name, got, want, err)
		}
	}
	if got, err := attrOf(t, file, "user.a"); got != "value" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for path, names := range map[string][]string{file: {"user.none", "system.ntfs_acl", "system.ntfs_times"}, win: {"user.none", "user.", "system.other"}} {
		for _, name := range names {
			if _, err := attrOf(t, path, name); !errors.Is(err, syscall.ENODATA) && !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
	}
	if _, err := attrOf(t, win, "user.large"); !errors.Is(err, syscall.E2BIG) {
		t.Error(err)
	}
}

// TestDamage gives what can be read, and an error for what cannot.
func TestDamage(t *testing.T) {
	m := newMounted(t, false)
	list, err := os.ReadDir(m.path("1-Files/damaged"))
	if !errors.Is(err, syscall.EIO) || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	b, err := os.ReadFile(m.path("1-Files/broken"))
	if !errors.Is(err, syscall.EIO) || len(b) > 4096 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := os.ReadDir(m.path("2-None")); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	m.fails.Store(true)
	if _, err := os.ReadFile(m.path("disk.raw")); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := strings.Join(m.told, "\n")
	for _, want := range []string{"list 1-Files/damaged: ", "read 1-Files/broken at byte", "open 2-None: bad sector", "read disk.raw at byte"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was not told: %s", want, all)
		}
	}
}

func TestWriting(t *testing.T) {
	m := newMounted(t, true)
	f, err := os.OpenFile(m.path("work.raw"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := bytes.Repeat([]byte("text"), 50000)
	if _, err := f.WriteAt(text, 777); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1000, 500)); err != nil {
		t.Error(err)
	}
	clear(text[1000-777 : 1500-777])
	held := make([]byte, len(text))
	if _, err := m.rw.ReadAt(held, 777); err != nil || !bytes.Equal(held, text) || !slices.Contains(m.rw.Log(), blocktest.Sync) {
		t.Error("other bytes were written")
	}
	got := make([]byte, len(text))
	if _, err := f.ReadAt(got, 777); err != nil || !bytes.Equal(got, text) {
		t.Error(err)
	}
	if n, err := unix.Pwrite(int(f.Fd()), make([]byte, 100), 1<<20-50); n != 50 || err != nil {
		t.Errorf("%d bytes were written at the end, %v", n, err)
	}
	if err := f.Truncate(5000); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
	if err := f.Truncate(1 << 20); err != nil {
		t.Error(err)
	}
	m.fails.Store(true)
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if _, err := os.OpenFile(m.path("disk.raw"), os.O_RDWR, 0); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
}

// TestUnmount: not while it is in use, but out of sight at once when asked for.
func TestUnmount(t *testing.T) {
	m := newMounted(t, false)
	if typ, err := At(m.dir); typ != Type || err != nil {
		t.Errorf("%q, %v", typ, err)
	}
	f, err := os.Open(m.path("disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Unmount(m.dir, false); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if err := Unmount(m.dir, true); err != nil {
		t.Error(err)
	}
	if _, err := f.ReadAt(make([]byte, 10), 0); err != nil {
		t.Error("what was open cannot be read: ", err)
	}
	f.Close()
	<-m.srv.Done()
	if typ, err := At(m.dir); typ != "" || err != nil {
		t.Errorf("%q, %v", typ, err)
	}
	if err := Unmount(m.dir, false); err == nil {
		t.Error("unmounted twice")
	}
}

func TestMountinfo(t *testing.T) {
	const text = "22 1 0:20 / / rw - ext4 /dev/vda rw\n30 22 0:40 / /a\\040b rw,nosuid shared:3 - tmpfs t rw\n31 22 0:41 / /a\\040b ro - fuse.ingot s ro\nnonsense\n"
	for dir, want := range map[string]string{"/": "ext4", "/a b": "fuse.ingot", "/a": ""} {
		if got := at([]byte(text), dir); got != want {
			t.Errorf("%s: %q", dir, got)
		}
	}
}

// TestOthers has another user look: into what the owners let him, and into no
// file of bytes.
func TestOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("run this as root: it becomes another user")
	}
	m := newMounted(t, false)
	for dir := m.dir; dir != "/"; dir = filepath.Dir(dir) {
		if st := stat(t, dir); st.Mode&0o001 == 0 && dir != m.dir {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	as := func(name string) error {
		cmd := exec.Command("cat", m.path(name))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	if err := as("1-Files/win"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"disk.raw", "1-Files/file"} {
		if err := as(name); err == nil || !strings.Contains(err.Error(), "denied") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
