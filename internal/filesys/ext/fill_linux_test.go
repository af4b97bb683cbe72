package ext

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

// content is n repeatable bytes that do not repeat.
func content(n int, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// fill makes a tree of all kinds of files, some of them removed again.
func fill(t testing.TB, dir string, seed uint64, far int64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	fillMany(t, dir, rng)
	fillNames(t, dir)
	fillKinds(t, dir)
	fillSparse(t, dir, far)
	fillXattrs(t, dir)
	fillTimes(t, dir)
}

// fillMany writes many files in a few folders and removes each third one.
func fillMany(t testing.TB, dir string, rng *rand.Rand) {
	t.Helper()
	var gone []string
	for d := range 4 {
		sub := filepath.Join(dir, fmt.Sprintf("folder %d", d), "deeper", "still")
		check(t, os.MkdirAll(sub, 0o755))
		for i := range 60 {
			name := filepath.Join(sub, fmt.Sprintf("file %d", i))
			size := rng.IntN(1 << rng.IntN(16))
			check(t, os.WriteFile(name, content(size, uint64(i)), fs0(rng)))
			if i%3 == 0 {
				gone = append(gone, name)
			}
		}
	}
	for _, name := range gone {
		check(t, os.Remove(name))
	}
	// Goes into the gaps.
	check(t, os.WriteFile(filepath.Join(dir, "large"), content(3<<20, 9), 0o600))
	for _, n := range []int{0, 1, 59, 60, 61, 100, 130, 160, 1023, 1024, 1025, 4096, 65536} {
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("exactly %d", n)), content(n, uint64(n)), 0o644))
	}
}

func fs0(rng *rand.Rand) os.FileMode { return os.FileMode(rng.IntN(0o1000)) }

// fillNames makes names that are hard to read, and a folder with many of them.
func fillNames(t testing.TB, dir string) {
	t.Helper()
	odd := filepath.Join(dir, "odd")
	check(t, os.Mkdir(odd, 0o700))
	for i, name := range []string{
		" ", "new\nline", "back\\slash", "Wörter", "no\xff\xfe utf-8", strings.Repeat("long", 63) + "abc", "...", "CASE", "case", "日本", "\x01",
	} {
		check(t, os.WriteFile(filepath.Join(odd, name), content(10*i, 3), 0o644))
	}
	many := filepath.Join(dir, "many")
	check(t, os.Mkdir(many, 0o755))
	for i := range 600 {
		check(t, os.WriteFile(filepath.Join(many, fmt.Sprintf("a rather long name of a small file, no. %d", i)), nil, 0o644))
	}
	for i := 0; i < 600; i += 7 {
		check(t, os.Remove(filepath.Join(many, fmt.Sprintf("a rather long name of a small file, no. %d", i))))
	}
}

// fillKinds makes links, devices, pipes, and modes.
func fillKinds(t testing.TB, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, "kinds", name) }
	check(t, os.Mkdir(at(""), 0o755))
	check(t, os.Mkdir(at("empty"), 0o755))
	for _, n := range []int{1, 58, 59, 60, 61, 200, 1000} {
		check(t, os.Symlink(strings.Repeat("x", n), at(fmt.Sprintf("link %d", n))))
	}
	check(t, os.Link(filepath.Join(dir, "large"), at("hard")))
	check(t, os.Link(filepath.Join(dir, "large"), at("harder")))
	check(t, syscall.Mkfifo(at("pipe"), 0o640))
	for i, dev := range []uint64{unix.Mkdev(1, 3), unix.Mkdev(259, 70000), unix.Mkdev(8, 255), unix.Mkdev(8, 256)} {
		check(t, syscall.Mknod(at(fmt.Sprintf("block %d", i)), syscall.S_IFBLK|0o600, int(dev)))
		check(t, syscall.Mknod(at(fmt.Sprintf("char %d", i)), syscall.S_IFCHR|0o600, int(dev)))
	}
	check(t, syscall.Mknod(at("socket"), syscall.S_IFSOCK|0o600, 0))
	for i, mode := range []uint32{0, 0o4755, 0o2755, 0o1777, 0o7777} {
		check(t, os.WriteFile(at(fmt.Sprintf("mode %d", i)), []byte("x"), 0o644))
		check(t, os.Lchown(at(fmt.Sprintf("mode %d", i)), 70000*i, 65536*i))
		check(t, syscall.Chmod(at(fmt.Sprintf("mode %d", i)), mode))
	}
}

// fillSparse makes files with holes, with many pieces, with blocks that are
// not written; far is how far away the last of them goes.
func fillSparse(t testing.TB, dir string, far int64) {
	t.Helper()
	write := func(name string, places func(yield func(int64))) {
		f, err := os.Create(filepath.Join(dir, name))
		check(t, err)
		defer f.Close()
		places(func(off int64) {
			_, err := f.WriteAt(content(700, uint64(off)), off)
			check(t, err)
		})
	}
	write("pieces", func(yield func(int64)) {
		for i := int64(0); i < 900; i++ {
			yield(i * 8192)
		}
	})
	write("far", func(yield func(int64)) {
		for off := int64(5000); off < far; off = off*3 + 777 {
			yield(off)
		}
	})
	f, err := os.Create(filepath.Join(dir, "planned"))
	check(t, err)
	defer f.Close()
	for i, mode := range []uint32{0, unix.FALLOC_FL_KEEP_SIZE} {
		if err := unix.Fallocate(int(f.Fd()), mode, int64(i)<<20, 600<<10); err != nil && err != unix.EOPNOTSUPP {
			t.Fatal(err)
		}
	}
	_, err = f.WriteAt(content(20000, 5), 100000)
	check(t, err)
	f, err = os.Create(filepath.Join(dir, "only a hole"))
	check(t, err)
	check(t, f.Truncate(1<<20+5))
	check(t, f.Close())
}

// fillXattrs gives files attributes: in the inode, in a block, access rights.
func fillXattrs(t testing.TB, dir string) {
	t.Helper()
	for i, sizes := range [][]int{{0}, {5, 10}, {100}, {300, 200, 1}, {700}} {
		name := filepath.Join(dir, fmt.Sprintf("attributes %d", i))
		check(t, os.WriteFile(name, content(30*i, 1), 0o644))
		for k, size := range sizes {
			for _, prefix := range []string{"user.", "trusted.", "security."} {
				err := unix.Lsetxattr(name, fmt.Sprintf("%sname%d", prefix, k), content(size/3, uint64(k)), 0)
				ignoreFull(t, err)
			}
		}
	}
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x08\x00\x05\x00\x70\x11\x01\x00\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
	check(t, unix.Lsetxattr(filepath.Join(dir, "attributes 0"), "system.posix_acl_access", []byte(acl), 0))
	check(t, unix.Lsetxattr(filepath.Join(dir, "kinds"), "system.posix_acl_default", []byte(acl), 0))
	check(t, unix.Lsetxattr(filepath.Join(dir, "kinds/link 59"), "trusted.link", []byte("on a link"), 0))
	check(t, unix.Lsetxattr(filepath.Join(dir, "kinds/link 1"), "trusted.link", content(900, 4), 0))
	check(t, unix.Lsetxattr(filepath.Join(dir, "kinds/link 200"), "trusted.link", content(900, 4), 0))
	check(t, unix.Lsetxattr(filepath.Join(dir, "kinds/pipe"), "trusted.pipe", content(20, 4), 0))
}

// fillTimes sets times that need all bits there are, or less.
func fillTimes(t testing.TB, dir string) {
	t.Helper()
	for i, at := range []time.Time{
		time.Unix(-1, 5), time.Date(1905, 1, 1, 0, 0, 0, 999999999, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(2039, 1, 1, 0, 0, 0, 123456789, time.UTC), time.Date(2240, 1, 1, 0, 0, 0, 500, time.UTC),
	} {
		name := filepath.Join(dir, fmt.Sprintf("time %d", i))
		check(t, os.WriteFile(name, nil, 0o644))
		setTimes(t, name, at, at.Add(time.Hour))
	}
}
