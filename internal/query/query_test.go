package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// world is the real program with images of the disk of its demo.
type world struct {
	dir     string
	program string
	image   string // of the demo, in plain; beside it a damaged copy of it
	locked  string // folder with an encrypted image
}

const password = "correct horse battery"

var made world

// TestMain builds the program once; as "fake" the test is a program that does
// not behave.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "fake" {
		fake(os.Args[2], os.Args[3:])
		os.Exit(0)
	}
	code, err := withWorld(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withWorld(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "ingot-query-*")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := made.make(dir); err != nil {
		return 1, err
	}
	return run(), nil
}

func (w *world) make(dir string) error {
	w.dir, w.program, w.locked = dir, filepath.Join(dir, "ingot"), filepath.Join(dir, "locked")
	if runtime.GOOS == "windows" {
		w.program += ".exe"
	}
	plain, secret := filepath.Join(dir, "plain"), filepath.Join(dir, "secret.txt")
	err := errors.Join(os.Mkdir(w.locked, 0o755), os.Mkdir(plain, 0o755), os.WriteFile(secret, []byte(password), 0o600))
	if err != nil {
		return err
	}
	disk := func() string {
		found, _ := filepath.Glob(filepath.Join(dir, "ingot-demo-*", "windows-disk.img"))
		return strings.Join(found, "")
	}
	for _, args := range []func() []string{
		func() []string { return []string{"go", "build", "-o", w.program, "ingot/cmd/ingot"} },
		func() []string { return []string{w.program, "demo", "--keep"} },
		func() []string { return []string{w.program, "image", disk(), "--to", plain, "--name", "pc"} },
		func() []string { return []string{w.program, "image", disk(), "--to", plain, "--name", "pc"} },
		func() []string {
			return []string{w.program, "image", disk(), "--to", w.locked, "--name", "pc", "--password-file", secret}
		},
	} {
		cmd := exec.Command(args()[0], args()[1:]...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir, "TMP="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
	}
	w.image = filepath.Join(plain, "pc-00-00.mrimgx")
	return nil
}

func real() *Tools { return &Tools{Program: []string{made.program}} }

// copyOf puts the images of the demo into a folder of that name.
func copyOf(t *testing.T, name string) (folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(folder, os.DirFS(filepath.Dir(made.image))); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestDisks(t *testing.T) {
	if _, err := real().Disks(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSetsAndShow(t *testing.T) {
	f, err := real().Sets(t.Context(), filepath.Dir(made.image))
	if err != nil || len(f.Sets) != 1 || len(f.Sets[0].Points) != 2 || f.Sets[0].Points[1].Number != 1 || len(f.Sets[0].Points[1].Files) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	v, err := real().Show(t.Context(), made.image)
	if err != nil || len(v.Disks) != 1 || len(v.Disks[0].Partitions) < 3 || v.Encryption != "none" {
		t.Errorf("%+v, %v", v, err)
	}
}

// What is wrong with a set is in the answer, and no failure of the question.
func TestSetsThatAreNotWhole(t *testing.T) {
	folder := copyOf(t, "images")
	if err := os.Remove(filepath.Join(folder, "pc-00-00.mrimgx")); err != nil {
		t.Fatal(err)
	}
	f, err := real().Sets(t.Context(), folder)
	if err != nil || len(f.Sets) != 1 || f.Sets[0].Points[0].Missing == "" {
		t.Errorf("%+v, %v", f, err)
	}
}

// A folder may be called anything.
func TestHostileNames(t *testing.T) {
	names := []string{"-x", "--json", "--password-file=x", "a b;$(touch x)`touch x`", "x@2026-01-01"}
	if runtime.GOOS != "windows" {
		names = append(names, "new\nline", "co:2", "\xff\x1b[31m")
	}
	for _, name := range names {
		folder := copyOf(t, name)
		t.Chdir(filepath.Dir(folder))
		for _, path := range []string{name, folder} {
			if f, err := real().Sets(t.Context(), path); err != nil || len(f.Sets) != 1 {
				t.Errorf("%q: %+v, %v", path, f, err)
			}
			image := filepath.Join(path, "pc-00-00.mrimgx")
			if parts, err := real().Partitions(t.Context(), image); err != nil || len(parts) < 3 {
				t.Errorf("%q: %+v, %v", image, parts, err)
			}
			if files, _, err := real().List(t.Context(), image, "3", "/Users", 0); err != nil || len(files) == 0 {
				t.Errorf("%q: %+v, %v", image, files, err)
			}
		}
		if left, _ := os.ReadDir("."); len(left) != 1 {
			t.Errorf("%q: %v", name, left)
		}
	}
	for _, name := range []string{"--help", "-h", "--version"} {
		if _, err := real().Sets(t.Context(), name); codeOf(err) != 1 || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFilesOfAnImage(t *testing.T) {
	ctx, q := t.Context(), real()
	parts, err := q.Partitions(ctx, made.image)
	if err != nil || len(parts) < 3 || parts[2].FileSystem != "NTFS" || !parts[2].Readable || parts[1].Readable {
		t.Fatalf("%+v, %v", parts, err)
	}
	const folder = "Users/Anna/Documents"
	files, more, err := q.List(ctx, made.image, parts[2].Partition, folder, 0)
	if err != nil || more || len(files) < 10 || files[0].Type != "file" || !strings.HasPrefix(files[0].Path, folder+"/") {
		t.Fatalf("%+v, %v, %v", files, more, err)
	}
	if few, more, err := q.List(ctx, made.image, "3", "/"+folder, 3); err != nil || !more || len(few) != 3 || few[2].Path != files[2].Path {
		t.Errorf("%+v, %v, %v", few, more, err)
	}
	f := files[0]
	got, err := q.Versions(ctx, filepath.Dir(made.image), "3", f.Path)
	if err != nil || len(got) != 1 || got[0].Size != f.Size || got[0].Points != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	ref, err := Ref(made.image, "3", f.Path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := exec.Command(made.program, "cat", ref).Output()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := readAll(ctx, q, ref); err != nil || !bytes.Equal(b, want) || int64(len(b)) != f.Size {
		t.Errorf("%d of %d bytes, %v", len(b), len(want), err)
	}
}

func readAll(ctx context.Context, q *Tools, ref string) ([]byte, error) {
	r, err := q.Read(ctx, ref)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// What fails says why, with the exit code of the program and what to do.
func TestFailures(t *testing.T) {
	ctx, q := t.Context(), real()
	garbage := filepath.Join(t.TempDir(), "x.mrimgx")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("no image "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		code int
		says string
		ask  func() error
	}{
		"no folder":    {1, "nowhere", func() error { _, err := q.Sets(ctx, "/nowhere"); return err }},
		"no image":     {3, "x.mrimgx", func() error { _, err := q.Show(ctx, garbage); return err }},
		"no partition": {2, "99", func() error { _, _, err := q.List(ctx, made.image, "99", "", 0); return err }},
		"no list":      {1, "Users:", func() error { _, err := q.Partitions(ctx, made.image+":3/Users"); return err }},
		"odd":          {2, "no partition", func() error { _, _, err := q.List(ctx, made.image, "3/Users", "", 0); return err }},
		"no file":      {1, "gone.txt", func() error { _, err := readAll(ctx, q, made.image+":3/gone.txt"); return err }},
		"a folder":     {2, "it has no contents", func() error { _, err := readAll(ctx, q, made.image+":3/Users"); return err }},
		"no version":   {1, "no point in time", func() error { _, err := q.Versions(ctx, filepath.Dir(made.image), "", "-gone"); return err }},
		"NUL":          {-1, "invalid argument", func() error { _, err := q.Sets(ctx, "a\x00b"); return err }},
		"no program":   {-1, "start the program", func() error { _, err := (&Tools{Program: []string{"/nowhere/ingot"}}).Disks(ctx); return err }},
		"no Program":   {-1, "nobody said", func() error { _, err := (&Tools{}).Disks(ctx); return err }},
	} {
		var e *Error
		if err := c.ask(); !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Text, c.says) {
			t.Errorf("%s: %+v", what, err)
		}
	}
}

func TestPassword(t *testing.T) {
	ctx, q := t.Context(), real()
	image := filepath.Join(made.locked, "pc-00-00.mrimgx")
	with := func(p string) *Tools {
		out, err := q.WithPassword([]byte(p))
		if err != nil {
			t.Fatal(err)
		}
		if s := fmt.Sprintf("%v %+v %#v", out, out, &out); strings.Contains(s, "horse") || strings.Contains(s, "99, 111, 114") {
			t.Errorf("the password is printed: %s", s)
		}
		return &out
	}
	var e *Error
	if _, err := q.Show(ctx, image); !errors.As(err, &e) || e.Code != CodePassword || e.Hint == "" {
		t.Errorf("without: %+v", err)
	}
	if _, err := with("wrong").Show(ctx, image); !errors.As(err, &e) || e.Code != CodePassword || !strings.Contains(e.Text, "wrong") {
		t.Errorf("wrong: %+v", err)
	}
	if _, err := readAll(ctx, with("wrong"), image+":3/Users"); codeOf(err) != CodePassword {
		t.Errorf("wrong: %+v", err)
	}
	right := with(password)
	if v, err := right.Show(ctx, image); err != nil || v.Encryption != "aes-256" {
		t.Errorf("%+v, %v", v, err)
	}
	files, _, err := right.List(ctx, image, "3", "Users/Anna/Documents", 1)
	if err != nil || len(files) != 1 {
		t.Fatalf("%+v, %v", files, err)
	}
	if b, err := readAll(ctx, right, image+":3/"+files[0].Path); err != nil || int64(len(b)) != files[0].Size {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	for _, bad := range []string{"", "two\nlines", "two\rlines", strings.Repeat("x", MaxPassword+1)} {
		if _, err := q.WithPassword([]byte(bad)); err == nil {
			t.Errorf("%d bytes: accepted", len(bad))
		}
	}
	if len(q.command("ls", nil)) != 2 {
		t.Error("the password stays with what was asked without")
	}
}

// Damage, bit after bit, ends with a failed question or a true answer, in time.
func TestDamagedImage(t *testing.T) {
	folder := copyOf(t, "images")
	name := filepath.Join(folder, "pc-00-00.mrimgx")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	q := real()
	q.Timeout = 30 * time.Second
	for i := range 12 {
		b := bytes.Clone(whole)
		b[len(b)-1-i*i*977%len(b)] ^= 1 << (i % 8)
		if i%4 == 3 {
			b = b[:len(b)*i/13]
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			second(q.Sets(t.Context(), folder)),
			second(q.Partitions(t.Context(), name)),
			second(readAll(t.Context(), q, name+":3/$MFT")),
		} {
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Code < 1 || e.Text == "") {
				t.Errorf("damage %d: %+v", i, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }
