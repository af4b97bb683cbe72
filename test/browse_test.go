package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
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

// lookedAt is a volume whose files are looked at through its images.
type lookedAt struct {
	volumeKind
	megabytes     int64
	unix, windows bool // what it can hold
	exact         time.Duration
}

// The volumes of the test; FAT, which has no driver here, is filled by mtools.
func lookedAtKinds() []lookedAt {
	return []lookedAt{
		{volumeKind{"ext4", []string{"mkfs.ext4", "-q", "-b", "4096"}, nil, []string{"mount", "-o", "acl,user_xattr"}}, 64, true, false, 1},
		{volumeKind{"NTFS", []string{"mkntfs", "-F", "-Q", "-q"}, nil, []string{"ntfs-3g", "-o", "streams_interface=xattr,special_files=wsl"}}, 64, false, true, 100},
		{volumeKind{"exFAT", []string{"mkfs.exfat"}, nil, []string{"mount.exfat-fuse"}}, 32, false, false, 2 * time.Second},
		{volumeKind{"FAT", []string{"mkfs.vfat", "-F", "32", "-s", "1"}, nil, nil}, 40, false, false, 2 * time.Second},
	}
}

// TestBrowse looks into every kind of volume at points in time of an encrypted,
// split chain of ten increments: what cp copies out of them is what the drivers
// of the system showed when they were made.
func TestBrowse(t *testing.T) {
	needRoot(t)
	b := newBrowsed(t)
	const last, middle = 10, 4
	want := map[int][]string{}
	for n := range last + 1 {
		for i, k := range b.kinds {
			b.change(i, k, n)
		}
		if n == middle || n == last {
			want[n] = b.describe()
		}
		b.image(n)
	}
	points := b.points()
	if len(points) != last+1 {
		t.Fatalf("%d points in time: %v", len(points), points)
	}
	for n, of := range want {
		for i, k := range b.kinds {
			t.Run(fmt.Sprintf("%s at %d", k.name, n), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				text := sh(t, ingot, b.args("cp", fmt.Sprintf("%s:%d/", points[n], i+1), out)...)
				if got := describe(t, out, k); got != of[i] {
					t.Errorf("%s\n%s", text, firstDifference(got, of[i]))
				}
				if strings.Contains(text, "Warning") {
					t.Error(text)
				}
			})
		}
	}
	for i, k := range b.kinds {
		b.versions(i, k, last)
		b.looks(i, k, points[last])
		if k.windows {
			b.toNTFS(i, k, points[last])
		}
	}
}

// toNTFS copies files of NTFS to a volume of NTFS, where nothing of them is lost.
func (b *browsed) toNTFS(i int, k lookedAt, point string) {
	b.t.Helper()
	names := []string{"system.ntfs_acl", "system.ntfs_attrib_be", "system.ntfs_crtime_be"}
	tell := func(dir string) (out []string) {
		for _, file := range []string{"attr", "attr/file", "attr/read only"} {
			all := xattrsOf(filepath.Join(dir, file))
			for _, name := range names {
				value := make([]byte, 4096)
				n, err := unix.Lgetxattr(filepath.Join(dir, file), name, value)
				if err != nil {
					b.t.Error(file, name, err)
				}
				out = append(out, fmt.Sprintf("%s %s %x", file, name, value[:max(n, 0)]))
			}
			out = append(out, fmt.Sprintf("%s %q", file, all["user.a stream"]))
		}
		return out
	}
	var want, got []string
	b.use(i, func(dir string) { want = tell(dir) })
	target := filepath.Join(b.t.TempDir(), "target.img")
	sh(b.t, "truncate", "-s", "20M", target)
	dev := attach(b.t, target)
	sh(b.t, k.make[0], append(slices.Clone(k.make[1:]), dev)...)
	mounted(b.t, k.volumeKind, dev, func(mnt string) {
		if text := sh(b.t, ingot, b.args("cp", fmt.Sprintf("%s:%d/attr", point, i+1), mnt)...); strings.Contains(text, "Warning") {
			b.t.Error(text)
		}
		got = tell(mnt)
	})
	if !slices.Equal(got, want) || !strings.Contains(want[5], "00000027") {
		b.t.Errorf("%q, want %q", got, want)
	}
}

// browsed is the disk of the test and its images.
type browsed struct {
	t              *testing.T
	kinds          []lookedAt
	disk, out, key string
	starts         []int64 // of the partitions, in bytes
	fat            string  // what lies on the volume of FAT
	dirs           []string
}

func newBrowsed(t *testing.T) *browsed {
	dir := t.TempDir()
	b := &browsed{t: t, kinds: lookedAtKinds(), disk: filepath.Join(dir, "disk.img"), out: filepath.Join(dir, "out"), key: filepath.Join(dir, "key"), fat: filepath.Join(dir, "fat")}
	for _, d := range []string{b.out, b.fat} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(b.key, []byte("a password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := int64(1)
	layout := []string{}
	for i, k := range b.kinds {
		b.starts = append(b.starts, at<<20)
		layout = append(layout, "-n", fmt.Sprintf("%d:%d:+%dM", i+1, at<<20/512, k.megabytes), "-c", fmt.Sprintf("%d:part%d", i+1, i+1))
		at += k.megabytes
	}
	sh(t, "truncate", "-s", fmt.Sprint((at+1)<<20), b.disk)
	sh(t, "sgdisk", append(layout, b.disk)...)
	for i, k := range b.kinds {
		dev := b.device(i)
		sh(t, k.make[0], append(slices.Clone(k.make[1:]), dev)...)
		sh(t, "losetup", "-d", dev)
		b.use(i, func(mnt string) { nastyTree(t, mnt, k) })
	}
	return b
}

func (b *browsed) device(i int) string {
	return strings.TrimSpace(sh(b.t, "losetup", fmt.Sprintf("--offset=%d", b.starts[i]), fmt.Sprintf("--sizelimit=%d", b.kinds[i].megabytes<<20), "--find", "--show", b.disk))
}

// use has a volume mounted; that of FAT is made anew from a folder.
func (b *browsed) use(i int, do func(dir string)) {
	b.t.Helper()
	if b.kinds[i].mount == nil {
		do(b.fat)
		image := fmt.Sprintf("%s@@%d", b.disk, b.starts[i])
		sh(b.t, "sh", "-c", fmt.Sprintf("export MTOOLS_SKIP_CHECK=1; cd %s && mdeltree -i %s '::*' 2>/dev/null; mcopy -Q -s -m -i %s * ::", b.fat, image, image))
		return
	}
	dev := b.device(i)
	defer sh(b.t, "losetup", "-d", dev)
	mounted(b.t, b.kinds[i].volumeKind, dev, do)
}

// args are those of a command with the password.
func (b *browsed) args(args ...string) []string { return append(args, "--password-file", b.key) }

// change does to a volume what is imaged as increment n.
func (b *browsed) change(i int, k lookedAt, n int) {
	b.use(i, func(dir string) {
		write(b.t, filepath.Join(dir, "changing.txt"), strings.Repeat(fmt.Sprintf("contents %02d ", n), 400))
		write(b.t, filepath.Join(dir, fmt.Sprintf("new %d", n)), "new")
		if n >= 2 {
			if err := os.Remove(filepath.Join(dir, fmt.Sprintf("new %d", n-2))); err != nil {
				b.t.Fatal(err)
			}
		}
	})
}

func (b *browsed) image(n int) {
	b.t.Helper()
	kind := "inc"
	if n == 0 {
		kind = "full"
	}
	text := sh(b.t, ingot, b.args("image", b.disk, "--to", b.out, "--type", kind, "--encrypt", "--split", "4M")...)
	if strings.Contains(text, "copied whole") {
		b.t.Error(text)
	}
}

// points are the files of the points in time.
func (b *browsed) points() (out []string) {
	b.t.Helper()
	var v struct {
		Sets []struct{ Points []struct{ File string } }
	}
	if err := json.Unmarshal([]byte(sh(b.t, ingot, "sets", b.out, "--json")), &v); err != nil || len(v.Sets) != 1 {
		b.t.Fatal(v, err)
	}
	for _, p := range v.Sets[0].Points {
		out = append(out, filepath.Join(b.out, p.File))
	}
	if list, _ := os.ReadDir(b.out); len(list) < len(out)+3 {
		b.t.Errorf("no point is split: %d files", len(list))
	}
	return out
}

// describe tells what the drivers show of each volume.
func (b *browsed) describe() (out []string) {
	for i, k := range b.kinds {
		b.use(i, func(dir string) {
			// What a driver writes late has to be seen from the start.
			sh(b.t, "sync", "-f", dir)
			out = append(out, describe(b.t, dir, k))
		})
	}
	return out
}

// versions compares what is said of files over time.
func (b *browsed) versions(i int, k lookedAt, last int) {
	b.t.Helper()
	ask := func(name string) (out []string) {
		for line := range strings.Lines(sh(b.t, ingot, b.args("versions", b.out, name, "--partition", fmt.Sprint(i+1), "--json")...)) {
			var v struct {
				Status, Same string
				Version      int
				Points       int
				Size         int64 `json:"size_bytes"`
			}
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				b.t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %d %d %d", v.Status, v.Version, v.Points, v.Size))
		}
		return out
	}
	var each []string
	for n := range last + 1 {
		each = append(each, fmt.Sprintf("present %d 1 4800", n+1))
	}
	for name, want := range map[string][]string{
		"changing.txt": each,
		"many/file 7":  {fmt.Sprintf("present 1 %d 343", last+1)},
		"new 3":        {"absent 0 3 0", "present 1 2 3", fmt.Sprintf("absent 0 %d 0", last-4)},
	} {
		if got := ask(name); !slices.Equal(got, want) {
			b.t.Errorf("%s: versions of %s: %q, want %q", k.name, name, got, want)
		}
	}
}

// looks goes through what ls, cat, tree and find say.
func (b *browsed) looks(i int, k lookedAt, point string) {
	b.t.Helper()
	at := func(path string) string { return fmt.Sprintf("%s:%d/%s", point, i+1, path) }
	if got := sh(b.t, ingot, b.args("cat", at("many/file 7"))...); got != strings.Repeat("file 7|", 49) {
		b.t.Errorf("%s: %q", k.name, got)
	}
	if got := sh(b.t, ingot, b.args("find", at("many"), "file 29?", "--size", "+1k", "--type", "f")...); strings.Count(got, "\n") != 10 {
		b.t.Errorf("%s: %q", k.name, got)
	}
	if got := sh(b.t, ingot, b.args("ls", at("many"), "--json")...); strings.Count(got, "\n") != 300 {
		b.t.Errorf("%s: %q", k.name, got)
	}
	if got := sh(b.t, ingot, b.args("tree", at("deep"))...); !strings.HasSuffix(got, "└── bottom\n\n29 folders, 1 file\n") {
		b.t.Errorf("%s: %q", k.name, got)
	}
	if !k.unix {
		if got := sh(b.t, ingot, b.args("cat", at(`MANY\FILE 7`))...); got != strings.Repeat("file 7|", 49) {
			b.t.Errorf("%s: %q", k.name, got)
		}
	}
	if k.unix {
		if got := sh(b.t, ingot, b.args("cat", at("links/to folder/file 7"))...); got != strings.Repeat("file 7|", 49) {
			b.t.Errorf("%s: %q", k.name, got)
		}
	}
	if k.windows {
		if got := sh(b.t, ingot, b.args("cat", at("attr/file:a stream"))...); got != "of a file" {
			b.t.Errorf("%s: %q", k.name, got)
		}
	}
}

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
