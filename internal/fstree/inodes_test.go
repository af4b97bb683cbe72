package fstree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// toyInodes is a file system in memory, by the numbers of its inodes.
type toyInodes map[uint64]*toyInode

type toyInode struct {
	mode    fs.FileMode
	text    string // contents, or target
	above   uint64
	entries []Entry
	damage  error
}

func (i *toyInode) Stat() Stat            { return Stat{Mode: i.mode, Size: int64(len(i.text))} }
func (i *toyInode) Node() any             { return i }
func (i *toyInode) Contents() io.ReaderAt { return strings.NewReader(i.text) }
func (i *toyInode) Target() (string, error) {
	if i.mode.Type() != fs.ModeSymlink {
		return "", fs.ErrInvalid
	}
	return i.text, nil
}

func (f toyInodes) Root() (Inode, error) { return f[1], nil }
func (f toyInodes) Entries(folder Inode, do func(Entry) error) error {
	for _, e := range folder.(*toyInode).entries {
		if err := do(e); err != nil {
			return err
		}
	}
	return folder.(*toyInode).damage
}

func (f toyInodes) Lookup(folder Inode, name string) (Entry, error) {
	for _, e := range folder.(*toyInode).entries {
		if e.Name == name {
			return e, nil
		}
	}
	return Entry{}, fs.ErrNotExist
}

func (f toyInodes) Child(folder Inode, e Entry) (Inode, error) {
	i := f[e.Ref.Number]
	if i == nil || i.mode.IsDir() && f[i.above] != folder {
		return nil, fmt.Errorf("inode %d is not there", e.Ref.Number)
	}
	return i, nil
}

func newInodes() toyInodes {
	return toyInodes{
		1: {mode: fs.ModeDir | 0o755, entries: []Entry{{"z", fs.ModeDir, Ref{0, 2}}, {"link", fs.ModeSymlink, Ref{0, 3}}, {"A", 0, Ref{0, 4}}}},
		2: {mode: fs.ModeDir | 0o755, above: 1, entries: []Entry{{"b", fs.ModeIrregular, Ref{0, 4}}, {"e", fs.ModeDir, Ref{0, 5}}}},
		3: {mode: fs.ModeSymlink | 0o777, text: "A"}, 4: {mode: 0o644, text: "contents"}, 5: {mode: fs.ModeDir | 0o700, above: 2},
	}
}

func TestUnix(t *testing.T) {
	tree := NewUnix(newInodes())
	if b, err := fs.ReadFile(tree, "z/b"); string(b) != "contents" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if target, err := tree.ReadLink("link"); target != "A" || err != nil {
		t.Errorf("%q, %v", target, err)
	}
	list, err := tree.ReadDir(".")
	if fmt.Sprint(list) != "[- A L link d z/]" || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := tree.ReadDir("z"); fmt.Sprint(list) != "[- b d e/]" || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	for path, want := range map[string]bool{`Z\B`: true, `\z\e`: true, "": true, "A": true, "a": true, "z/x": false, "a/b": false, "link/b": false} {
		if has, err := tree.Contains(path); has != want || err != nil {
			t.Errorf("%s: %v, %v", path, has, err)
		}
	}
	for path, want := range map[string]error{"none": fs.ErrNotExist, "A/x": fs.ErrNotExist, "a": fs.ErrNotExist, "": fs.ErrInvalid, "/z": fs.ErrInvalid, "z/..": fs.ErrInvalid} {
		_, err := tree.Open(path)
		var pe *fs.PathError
		if !errors.Is(err, want) || !errors.As(err, &pe) || pe.Path != path {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := tree.ReadLink("A"); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if err := fstest.TestFS(NewUnix(noLinks()), "z/b", "z/e"); err != nil {
		t.Error(err)
	}
}

// noLinks is the tree without its link, which cannot be opened to be read.
func noLinks() toyInodes {
	f := newInodes()
	f[1].entries = f[1].entries[:1]
	return f
}

// TestUnixDamage has entries that cannot be, and a folder that ends early.
func TestUnixDamage(t *testing.T) {
	f := newInodes()
	f[1].entries = append(f[1].entries, Entry{"bad/name", 0, Ref{0, 4}}, Entry{"again", fs.ModeDir, Ref{0, 2}}, Entry{"last", 0, Ref{0, 9}})
	f[2].damage = errors.New("the rest is gone")
	tree := NewUnix(f)
	list, err := tree.ReadDir(".")
	if fmt.Sprint(list) != "[- A - last L link d z/]" || err == nil || !strings.Contains(err.Error(), "bad/name") {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := tree.ReadDir("z"); len(list) != 2 || err == nil || !strings.Contains(err.Error(), "the rest") {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := tree.Lstat("last"); err == nil {
		t.Error("an inode that is not there")
	}
}

func TestModes(t *testing.T) {
	for mode, want := range map[uint16]fs.FileMode{
		0o100644: 0o644, 0o040755: fs.ModeDir | 0o755, 0o120777: fs.ModeSymlink | 0o777, 0o020600: fs.ModeDevice | fs.ModeCharDevice | 0o600, 0o060600: fs.ModeDevice | 0o600,
		0o010644: fs.ModeNamedPipe | 0o644, 0o140600: fs.ModeSocket | 0o600, 0o106755: fs.ModeSetuid | fs.ModeSetgid | 0o755, 0o041777: fs.ModeDir | fs.ModeSticky | 0o777, 0o030000: fs.ModeIrregular,
	} {
		if got := Mode(mode); got != want {
			t.Errorf("%#o: %v instead of %v", mode, got, want)
		}
	}
}

func TestCache(t *testing.T) {
	c, reads := Cache[int, string]{Most: 2}, 0
	get := func(k int, fail error) (string, error) {
		return c.Get(k, func() (string, error) { reads++; return fmt.Sprint(k), fail })
	}
	for _, step := range []struct{ key, reads int }{{1, 1}, {1, 1}, {2, 2}, {1, 2}, {3, 3}, {1, 4}, {3, 4}} {
		if v, err := get(step.key, nil); v != fmt.Sprint(step.key) || err != nil || reads != step.reads {
			t.Errorf("%+v: %q, %v, %d reads", step, v, err, reads)
		}
	}
	for range 2 {
		if _, err := get(9, io.ErrUnexpectedEOF); err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
	}
	if reads != 6 {
		t.Errorf("%d reads: a failure was kept", reads)
	}
}
