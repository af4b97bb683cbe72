package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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
	browseSet(t, lookedAtKinds(), 4, 10)
}

// TestBrowseMore is TestBrowse for file systems whose volumes are large.
func TestBrowseMore(t *testing.T) {
	needRoot(t)
	browseSet(t, []lookedAt{
		{volumeKind{"XFS", []string{"mkfs.xfs", "-q"}, nil, []string{"mount"}}, 320, true, false, 1},
		{volumeKind{"Btrfs", []string{"mkfs.btrfs", "-q"}, nil, []string{"mount", "-o", "compress=zstd"}}, 128, true, false, 1},
	}, 4, 10)
}

// browseSet makes a set of a full and the increments up to number last, and looks
// into two of its points in time.
func browseSet(t *testing.T, kinds []lookedAt, middle, last int) {
	b := newBrowsed(t, kinds)
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
		if k.unix {
			b.asNobody(i, points[last])
		}
	}
}

// asNobody copies files as somebody who cannot give them away: those that run as
// their owner must not run as another one then.
func (b *browsed) asNobody(i int, point string) {
	b.t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ingot-nobody-")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	sh(b.t, "cp", ingot, b.key, dir)
	sh(b.t, "cp", "-r", filepath.Dir(point), filepath.Join(dir, "images"))
	sh(b.t, "chown", "-R", "65534:65534", dir)
	run := func(args ...string) string {
		return sh(b.t, "setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", filepath.Join(dir, "ingot")}, append(args, "--password-file", filepath.Join(dir, "key"))...)...)
	}
	ref := fmt.Sprintf("%s:%d/", filepath.Join(dir, "images", filepath.Base(point)), i+1)
	text := run("cp", ref+"modes", ref+"attr", ref+"names", ref+"special-pipe", dir)
	for _, want := range []string{"the extended attributes (security) of a file could not be kept", "the extended attributes (trusted) of "} {
		if !strings.Contains(text, want) {
			b.t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for name, want := range map[string]os.FileMode{
		"modes/4755": 0o755, "modes/2711": 0o711, "modes/1777": 0o777 | os.ModeSticky, "modes/0": 0, "modes/444": 0o444,
		"modes/folder 2775": 0o775 | os.ModeDir, "modes/folder 0555/inside": 0o644, "special-pipe": 0o640 | os.ModeNamedPipe,
	} {
		st, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || st.Mode() != want {
			b.t.Errorf("%s: %v, %v", name, st, err)
			continue
		}
		if sys := st.Sys().(*syscall.Stat_t); sys.Uid != 65534 {
			b.t.Errorf("%s belongs to %d", name, sys.Uid)
		}
	}
	fails(b.t, 6, "made by root only", b.args("cp", "--no-owner", fmt.Sprintf("%s:%d/special-char", point, i+1), filepath.Join(dir, "char"))...)
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
}

func newBrowsed(t *testing.T, kinds []lookedAt) *browsed {
	dir := t.TempDir()
	b := &browsed{t: t, kinds: kinds, disk: filepath.Join(dir, "disk.img"), out: filepath.Join(dir, "out"), key: filepath.Join(dir, "key"), fat: filepath.Join(dir, "fat")}
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
		"new 1":        {"absent 0 1 0", "present 1 2 3", fmt.Sprintf("absent 0 %d 0", last-2)},
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
