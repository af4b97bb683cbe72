package volumetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Content is n repeatable bytes that do not repeat.
func Content(n int, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// Filler makes a tree of all kinds of files. The zero value makes a small one.
type Filler struct {
	Names  int         // in one folder
	Pieces int         // of one file
	Value  int         // largest size of an attribute
	Times  []time.Time // beside those that all file systems know
	Far    int64       // how far the end of a sparse file goes

	t   testing.TB
	dir string
}

func (f *Filler) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *Filler) at(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// Fill makes the tree in a folder.
func (f Filler) Fill(t testing.TB, dir string) {
	t.Helper()
	f.t, f.dir = t, dir
	for _, part := range []func(){f.many, f.names, f.kinds, f.sparse, f.attributes, f.acls, f.times, f.deep} {
		part()
	}
}

// many writes many files in a few folders and removes each third one.
func (f *Filler) many() {
	rng := rand.New(rand.NewPCG(7, 1))
	for d := range 4 {
		for i := range 60 {
			Write(f.t, f.dir, fmt.Sprintf("folder %d/deeper/still/file %d", d, i), Content(rng.IntN(1<<rng.IntN(16)), uint64(i)))
		}
		for i := 0; i < 60; i += 3 {
			f.check(os.Remove(f.at(fmt.Sprintf("folder %d/deeper/still/file %d", d, i))))
		}
	}
	Write(f.t, f.dir, "large", Content(3<<20, 9)) // goes into the gaps
	for _, n := range []int{0, 1, 59, 60, 61, 100, 130, 160, 511, 1023, 1024, 1025, 2000, 2048, 2049, 4095, 4096, 4097, 65536} {
		Write(f.t, f.dir, fmt.Sprintf("exactly %d", n), Content(n, uint64(n)))
	}
}

// names makes names that are hard to read, and folders with many of them.
func (f *Filler) names() {
	for i, name := range []string{
		" ", "new\nline", "back\\slash", "Wörter", "no\xff\xfe utf-8", strings.Repeat("long", 63) + "abc", "...", "CASE", "case", "日本", "\x01",
	} {
		Write(f.t, f.dir, "odd/"+name, Content(10*i, 3))
	}
	for _, n := range []int{3, 12, 40, 200, 1000, f.Names} {
		folder := fmt.Sprintf("names %d", n)
		f.check(os.Mkdir(f.at(folder), 0o755))
		name := func(i int) string {
			return f.at(fmt.Sprintf("%s/a rather long name of a small file, no. %d", folder, i))
		}
		for i := range n {
			f.check(syscall.Mknod(name(i), syscall.S_IFREG|0o600, 0))
		}
		for i := 0; i < n; i += 7 {
			f.check(os.Remove(name(i)))
		}
	}
}

// kinds makes links, devices, pipes, and modes.
func (f *Filler) kinds() {
	at := func(name string) string { return f.at("kinds/" + name) }
	f.check(os.Mkdir(at(""), 0o755))
	f.check(os.Mkdir(at("empty"), 0o755))
	for _, n := range []int{1, 58, 59, 60, 61, 200, 335, 336, 337, 500, 1000, 1023} {
		f.check(os.Symlink(strings.Repeat("x", n), at(fmt.Sprintf("link %d", n))))
	}
	for i := range 40 {
		f.check(os.Link(f.at("large"), at(fmt.Sprintf("hard %d %s", i, strings.Repeat("y", 5*i)))))
	}
	f.check(syscall.Mkfifo(at("pipe"), 0o640))
	for i, dev := range []uint64{unix.Mkdev(1, 3), unix.Mkdev(259, 70000), unix.Mkdev(8, 255), unix.Mkdev(8, 256)} {
		f.check(syscall.Mknod(at(fmt.Sprintf("block %d", i)), syscall.S_IFBLK|0o600, int(dev)))
		f.check(syscall.Mknod(at(fmt.Sprintf("char %d", i)), syscall.S_IFCHR|0o600, int(dev)))
	}
	f.check(syscall.Mknod(at("socket"), syscall.S_IFSOCK|0o600, 0))
	for i, mode := range []uint32{0, 0o4755, 0o2755, 0o1777, 0o7777} {
		f.check(os.WriteFile(at(fmt.Sprintf("mode %d", i)), []byte("x"), 0o644))
		f.check(os.Lchown(at(fmt.Sprintf("mode %d", i)), 70000*i, 65536*i))
		f.check(syscall.Chmod(at(fmt.Sprintf("mode %d", i)), mode))
	}
}

// sparse makes files with holes, with many pieces, with blocks that are not
// written.
func (f *Filler) sparse() {
	write := func(name string, places func(yield func(int64))) {
		w, err := os.Create(f.at(name))
		f.check(err)
		defer w.Close()
		places(func(off int64) {
			_, err := w.WriteAt(Content(700, uint64(off)), off)
			f.check(err)
		})
	}
	write("pieces", func(yield func(int64)) {
		for i := range int64(f.Pieces) {
			yield(i * 131072)
		}
	})
	write("far", func(yield func(int64)) {
		for off := int64(5000); off < max(f.Far, 1<<30); off = off*3 + 777 {
			yield(off)
		}
	})
	w, err := os.Create(f.at("planned"))
	f.check(err)
	defer w.Close()
	for i, mode := range []uint32{0, unix.FALLOC_FL_KEEP_SIZE} {
		f.check(unix.Fallocate(int(w.Fd()), mode, int64(i)<<20, 600<<10))
	}
	_, err = w.WriteAt(Content(20000, 5), 100000)
	f.check(err)
	w, err = os.Create(f.at("only a hole"))
	f.check(err)
	f.check(w.Truncate(1<<20 + 5))
	f.check(w.Close())
}

// attributes gives files few, many and large ones.
func (f *Filler) attributes() {
	for i, sizes := range [][]int{{0}, {5, 10}, {100}, {300, 200, 1}, {700}, {1500, 3000}, {f.Value}, {f.Value - 1, f.Value / 2, 4096}} {
		name := f.at(fmt.Sprintf("attributes %d", i))
		f.check(os.WriteFile(name, Content(30*i, 1), 0o644))
		for k, size := range sizes {
			for _, prefix := range []string{"user.", "trusted.", "security."} {
				f.check(unix.Lsetxattr(name, fmt.Sprintf("%sname%d", prefix, k), Content(min(size, f.Value), uint64(k)), 0))
			}
		}
	}
	name := f.at("attributes of many names")
	f.check(os.WriteFile(name, nil, 0o644))
	for i := range 400 {
		f.check(unix.Lsetxattr(name, fmt.Sprintf("user.%s%d", strings.Repeat("n", i%200), i), Content(i%100, 2), 0))
	}
	for i := 0; i < 400; i += 5 {
		f.check(unix.Lremovexattr(name, fmt.Sprintf("user.%s%d", strings.Repeat("n", i%200), i)))
	}
	f.check(unix.Lsetxattr(f.at("kinds/link 59"), "trusted.link", []byte("on a link"), 0))
	f.check(unix.Lsetxattr(f.at("kinds/link 1"), "trusted.link", Content(900, 4), 0))
	f.check(unix.Lsetxattr(f.at("kinds/link 200"), "trusted.link", Content(900, 4), 0))
	f.check(unix.Lsetxattr(f.at("kinds/pipe"), "trusted.pipe", Content(20, 4), 0))
	f.check(unix.Lsetxattr(f.at("names 12"), "user.folder", Content(20, 4), 0))
}

// acls gives a file and a folder lists of access rights.
func (f *Filler) acls() {
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x08\x00\x05\x00\x70\x11\x01\x00\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
	f.check(unix.Lsetxattr(f.at("attributes 0"), "system.posix_acl_access", []byte(acl), 0))
	f.check(unix.Lsetxattr(f.at("kinds"), "system.posix_acl_default", []byte(acl), 0))
	f.check(os.Mkdir(f.at("kinds/under"), 0o755))
}

// times sets times that need all bits there are, or less.
func (f *Filler) times() {
	for i, at := range append([]time.Time{
		time.Unix(-1, 5), time.Date(1905, 1, 1, 0, 0, 0, 999999999, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 1, time.UTC),
	}, f.Times...) {
		name := f.at(fmt.Sprintf("time %d", i))
		f.check(os.WriteFile(name, nil, 0o644))
		ts := []unix.Timespec{unix.NsecToTimespec(at.UnixNano()), unix.NsecToTimespec(at.Add(time.Hour).UnixNano())}
		f.check(unix.UtimesNanoAt(unix.AT_FDCWD, name, ts, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// deep makes folders in folders.
func (f *Filler) deep() {
	path := "deep"
	for i := range 60 {
		path += fmt.Sprintf("/level %d", i)
	}
	Write(f.t, f.dir, path+"/bottom", []byte("here"))
}
