package browse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ingot/internal/job"
)

// box is a folder to copy into, beside one that must stay as it is.
type box struct {
	t        *testing.T
	in, out  string
	warnings []string
}

func newBox(t *testing.T) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}
	for _, d := range []string{b.in, b.out} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.write(filepath.Join(b.out, "secret"), "untouched")
	return b
}

func (b *box) write(path, text string) {
	b.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// copy copies all of a volume into the box.
func (b *box) copy(ctx context.Context, v *Volume, o CopyOptions) (*CopyReport, error) {
	o.Log = job.NewLog(func(e job.Event) {
		if e.Kind == job.Warning {
			b.warnings = append(b.warnings, e.Text)
		}
	})
	return Copy(ctx, []Item{rootOf(v)}, b.in, o)
}

// rootOf is an item with all of a volume.
func rootOf(v *Volume) Item {
	info, _ := v.Files.Lstat(".")
	return Item{Volume: v, Path: ".", Info: info, Name: "."}
}

// files are what lies in the box; nothing else may have come about.
func (b *box) files() []string {
	b.t.Helper()
	if list, _ := os.ReadDir(b.out); len(list) != 1 {
		b.t.Errorf("outside there is %v", list)
	}
	if got, err := os.ReadFile(filepath.Join(b.out, "secret")); string(got) != "untouched" {
		b.t.Errorf("the file outside holds %q, %v", got, err)
	}
	if list, _ := os.ReadDir(filepath.Dir(b.in)); len(list) != 2 {
		b.t.Errorf("beside there is %v", list)
	}
	var out []string
	_ = filepath.WalkDir(b.in, func(p string, d fs.DirEntry, err error) error {
		if err == nil && p != b.in {
			rel, _ := filepath.Rel(b.in, p)
			out = append(out, rel)
		}
		return err
	})
	return out
}

func TestCopyHostileNames(t *testing.T) {
	b := newBox(t)
	v := volumeOf("ext4",
		fileOf("..", "x"), fileOf(".", "x"), fileOf("", "x"), fileOf("../out/secret", "x"), fileOf("/etc/passwd-ingot", "x"), fileOf("nul\x00", "x"),
		linkTo("../out/link", "x"), folderOf("..", fileOf("secret", "x")), folderOf("../out", fileOf("new", "x")), folderOf("a/b"),
		fileOf("good", "yes"), fileOf("good", "two"),
		folderOf("sub", fileOf("../good", "x"), fileOf("fine", "yes")))
	r, err := b.copy(t.Context(), v, CopyOptions{})
	if err != nil || r.Failed != 12 || r.Files != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := b.files(); !slices.Equal(got, []string{"good", "sub", "sub/fine"}) {
		t.Errorf("%q", got)
	}
	if got, _ := os.ReadFile(filepath.Join(b.in, "sub/fine")); string(got) != "yes" {
		t.Errorf("%q", got)
	}
}

// TestCopyThroughLinks has an image that makes a link first and then writes
// through it, and a target that holds links.
func TestCopyThroughLinks(t *testing.T) {
	for _, force := range []bool{false, true} {
		b := newBox(t)
		abs := b.out
		v := volumeOf("ext4",
			linkTo("d", "../out"), folderOf("d", fileOf("new", "x")), fileOf("d", "x"),
			linkTo("e", abs), folderOf("e", folderOf("deep", fileOf("new", "x"))),
			linkTo("f", abs+"/secret"), fileOf("f", "x"), linkTo("self", "self"), fileOf("self", "x"),
			folderOf("g", linkTo("up", "../../out"), folderOf("up", fileOf("secret", "x"))))
		_, err := b.copy(t.Context(), v, CopyOptions{Force: force})
		if err != nil {
			t.Error(err)
		}
		b.files()
		if to, _ := os.Readlink(filepath.Join(b.in, "g", "up")); to != "../../out" {
			t.Errorf("the link leads to %q", to)
		}
	}
	b := newBox(t)
	for name, to := range map[string]string{"d": b.out, "f": filepath.Join(b.out, "secret"), "e": "real", "real/x": "/dev/null"} {
		_ = os.Mkdir(filepath.Join(b.in, "real"), 0o700)
		if err := os.Symlink(to, filepath.Join(b.in, name)); err != nil {
			t.Fatal(err)
		}
	}
	v := volumeOf("ext4", folderOf("d", fileOf("secret", "x")), fileOf("f", "new"), folderOf("e", fileOf("astray", "x")))
	if _, err := b.copy(t.Context(), v, CopyOptions{}); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if r, err := b.copy(t.Context(), v, CopyOptions{Force: true}); err != nil || r.Failed != 2 || r.Files != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := b.files(); !slices.Equal(got, []string{"d", "e", "f", "real", "real/x"}) {
		t.Errorf("%q", got)
	}
	if got, err := os.ReadFile(filepath.Join(b.in, "f")); string(got) != "new" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCopyHostileStreams has streams whose names would lead elsewhere.
func TestCopyHostileStreams(t *testing.T) {
	b := newBox(t)
	f := fileOf("f", "main")
	f.streams = map[string]string{"/../../out/secret": "x", "good": "stream", "\x00": "x"}
	r, err := b.copy(t.Context(), volumeOf("NTFS", f), CopyOptions{Streams: StreamsFiles})
	if err != nil || r.Failed != 2 || r.Files != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := b.files(); !slices.Equal(got, []string{"f", "f:good"}) {
		t.Errorf("%q", got)
	}
	b = newBox(t)
	f.streams = map[string]string{"good": "stream", "large": strings.Repeat("x", maxXattr+1)}
	r, err = b.copy(t.Context(), volumeOf("NTFS", f), CopyOptions{})
	if err != nil || r.Failed != 1 || !strings.Contains(b.warnings[0], "--streams files") {
		t.Errorf("%+v, %v, %q", r, err, b.warnings)
	}
	var got [10]byte
	if n, err := unix.Getxattr(filepath.Join(b.in, "f"), "user.good", got[:]); err != nil || string(got[:n]) != "stream" {
		t.Errorf("%q, %v", got[:max(n, 0)], err)
	}
}

func TestCopyGoesOn(t *testing.T) {
	b := newBox(t)
	bad, cloud := fileOf("bad", strings.Repeat("x", 100)), fileOf("zbad", strings.Repeat("x", 5<<20))
	bad.readErr = errors.New("its MD5 is wrong")
	cloud.readErr = errors.New("in a cloud")
	short := fileOf("short", "x")
	short.size = -1
	r, err := b.copy(t.Context(), volumeOf("ext4", fileOf("a", "1"), bad, cloud, folderOf("d", bad, fileOf("z", "2"))), CopyOptions{})
	if err != nil || r.Failed != 3 || r.Files != 2 || r.Folders != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := b.files(); !slices.Equal(got, []string{"a", "d", "d/z"}) {
		t.Errorf("%q", got)
	}
	slices.Sort(b.warnings)
	want := []string{"not copied: bad: its MD5 is wrong", "not copied: d/bad: its MD5 is wrong", "not copied: zbad: in a cloud"}
	if !slices.Equal(b.warnings, want) {
		t.Errorf("%q", b.warnings)
	}
}

// TestCopyInterrupted leaves whole files only.
func TestCopyInterrupted(t *testing.T) {
	for _, size := range []int{100, 3 << 20, 20 << 20} {
		b := newBox(t)
		ctx, cancel := context.WithCancel(t.Context())
		f := fileOf("m", strings.Repeat("x", size))
		f.reading = func(off int64) {
			if off >= int64(size/2)&^(copyPiece-1) {
				cancel()
			}
		}
		r, err := b.copy(ctx, volumeOf("ext4", fileOf("a", "1"), folderOf("d", f), folderOf("e", fileOf("z", "2"))), CopyOptions{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes: %+v, %v", size, r, err)
		}
		got := b.files()
		if !slices.Equal(got, []string{"a", "d"}) && !slices.Equal(got, []string{"a", "d", "d/m"}) {
			t.Errorf("%d bytes: %q", size, got)
		}
		if st, err := os.Stat(filepath.Join(b.in, "d/m")); err == nil && st.Size() != int64(size) {
			t.Errorf("a half file of %d bytes", st.Size())
		}
	}
}

func TestCopyOverwritesNothing(t *testing.T) {
	b := newBox(t)
	b.write(filepath.Join(b.in, "b"), "mine")
	v := volumeOf("ext4", fileOf("a", "1"), fileOf("b", "2"), folderOf("c"))
	if _, err := b.copy(t.Context(), v, CopyOptions{}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "b in") {
		t.Error(err)
	}
	if got := b.files(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%q", got)
	}
	if r, err := b.copy(t.Context(), v, CopyOptions{Force: true, DryRun: true}); err != nil || r.Files != 2 || r.Bytes != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := b.files(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%q", got)
	}
	for range 2 {
		if r, err := b.copy(t.Context(), v, CopyOptions{Force: true}); err != nil || r.Failed != 0 || r.Files != 2 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(b.in, "b")); string(got) != "2" {
		t.Errorf("%q", got)
	}
}

// TestCopyEndless has a folder in itself, and one with very many files.
func TestCopyEndless(t *testing.T) {
	b := newBox(t)
	loop := &fake{name: "d", mode: fs.ModeDir | 0o755}
	loop.entries = func() []*fake { return []*fake{loop} }
	r, err := b.copy(t.Context(), volumeOf("ext4", loop, fileOf("z", "1")), CopyOptions{})
	if err != nil || r.Failed == 0 || r.Folders > maxDepth+1 || r.Files != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCopyHolesAndLinks(t *testing.T) {
	b := newBox(t)
	rng := rand.New(rand.NewPCG(3, 3))
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	data := strings.Repeat("\x00", 3<<20+100) + string(noise) + strings.Repeat("\x00", 9<<20+11)
	holes, full, empty := fileOf("holes", data), fileOf("full", data), fileOf("empty", "")
	holes.stored = 8192
	empty.size, empty.stored = 50<<20, 1
	one := fileOf("one", "linked")
	one.id, one.links = 7, 3
	again, third := *one, *one
	again.name, third.name = "two", "three"
	large := fileOf("large", string(noise)+strings.Repeat("y", 12<<20))
	r, err := b.copy(t.Context(), volumeOf("ext4", holes, full, empty, one, large, folderOf("d", &again, folderOf("e", &third))), CopyOptions{})
	if err != nil || r.Failed != 0 {
		t.Fatalf("%+v, %v, %q", r, err, b.warnings)
	}
	var at [2]syscall.Stat_t
	for i, name := range []string{"one", "d/e/three"} {
		if err := syscall.Stat(filepath.Join(b.in, name), &at[i]); err != nil {
			t.Fatal(err)
		}
	}
	if at[0].Ino != at[1].Ino || at[0].Nlink != 3 {
		t.Errorf("%+v", at)
	}
	for name, want := range map[string]struct {
		data   string
		blocks int64
	}{"holes": {data, 64}, "full": {data, 1 << 30}, "empty": {strings.Repeat("\x00", 50<<20), 8}, "large": {large.data, 1 << 30}} {
		got, err := os.ReadFile(filepath.Join(b.in, name))
		if string(got) != want.data || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		var st syscall.Stat_t
		if _ = syscall.Stat(filepath.Join(b.in, name), &st); st.Blocks > want.blocks || want.blocks == 1<<30 && st.Blocks*512 < int64(len(want.data)) {
			t.Errorf("%s takes %d sectors", name, st.Blocks)
		}
	}
}

// TestCopyFull ends when the target is full, and says so once.
func TestCopyFull(t *testing.T) {
	b := newBox(t)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", b.in).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", b.in).Run() })
	var all []*fake
	for i := range 50 {
		all = append(all, fileOf(fmt.Sprint(i), strings.Repeat("x", 100_000)))
	}
	r, err := b.copy(t.Context(), volumeOf("ext4", all...), CopyOptions{})
	if !errors.Is(err, syscall.ENOSPC) || len(b.warnings) != 0 || r.Files > 21 || r.Files < 10 {
		t.Errorf("%+v, %v, %q", r, err, b.warnings)
	}
	for _, name := range b.files() {
		if st, err := os.Stat(filepath.Join(b.in, name)); err != nil || st.Size() != 100_000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
