package fstree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// toy is a file system in memory. Names are compared in lower case.
type toy struct {
	root   *item
	listed map[string]int
}

type item struct {
	name, alias, text string
	entries           []*item // nil: a file
	damage            error
}

func (i *item) Name() string       { return i.name }
func (i *item) Alias() string      { return i.alias }
func (i *item) Size() int64        { return int64(len(i.text)) }
func (i *item) ModTime() time.Time { return time.Time{} }
func (i *item) IsDir() bool        { return i.entries != nil }
func (i *item) Sys() any           { return i }
func (i *item) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

func (f *toy) Root() fs.FileInfo                     { return f.root }
func (f *toy) Key(name string) string                { return strings.ToLower(name) }
func (f *toy) Contents(file fs.FileInfo) io.ReaderAt { return strings.NewReader(file.(*item).text) }
func (f *toy) List(d fs.FileInfo) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		dir := d.(*item)
		f.listed[dir.name]++
		if dir.damage != nil && !yield(nil, dir.damage) {
			return
		}
		for _, e := range dir.entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func newToy(entries ...*item) (*toy, *FS) {
	f := &toy{&item{name: ".", entries: entries}, map[string]int{}}
	return f, New(f)
}

func folderOf(name string, entries ...*item) *item {
	return &item{name: name, entries: append([]*item{}, entries...)}
}

func TestTree(t *testing.T) {
	format, tree := newToy(
		folderOf("Dir", &item{name: "b", text: "two"}, &item{name: "A long name", alias: "ALONGN~1", text: "one"}, folderOf("empty")),
		&item{name: "file", text: "contents"},
		&item{name: "\xed\xa0\xbd", text: "no UTF-8"},
	)
	if b, err := fs.ReadFile(tree, "dir/alongn~1"); string(b) != "one" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	for range 100 {
		if info, err := tree.Lstat("DIR/B"); err != nil || info.Name() != "b" {
			t.Errorf("%v, %v", info, err)
		}
	}
	if n := format.listed["Dir"]; n != 1 {
		t.Errorf("a folder was read %d times", n)
	}
	if b, err := fs.ReadFile(tree, "\xed\xa0\xbd"); string(b) != "no UTF-8" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	for path, want := range map[string]error{
		"none": fs.ErrNotExist, "file/x": fs.ErrNotExist, "dir/none": fs.ErrNotExist, "": fs.ErrInvalid, "/dir": fs.ErrInvalid,
		"dir/": fs.ErrInvalid, "dir/../file": fs.ErrInvalid, "./file": fs.ErrInvalid, "dir//b": fs.ErrInvalid,
	} {
		_, err := tree.Open(path)
		var pe *fs.PathError
		if !errors.Is(err, want) || !errors.As(err, &pe) || pe.Path != path {
			t.Errorf("%q: %v", path, err)
		}
		if _, err := tree.ReadLink(path); !errors.Is(err, want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := tree.ReadLink("file"); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if _, err := tree.ReadDir("file"); err == nil {
		t.Error("a file was listed")
	}
}

// TestStandard runs the standard library's test.
func TestStandard(t *testing.T) {
	_, tree := newToy(folderOf("Dir", &item{name: "b", text: "two"}, &item{name: "A"}, folderOf("empty")), &item{name: "file", text: "contents"})
	if err := fstest.TestFS(tree, "Dir/b", "Dir/A", "Dir/empty", "file"); err != nil {
		t.Error(err)
	}
}

// TestDamage lists and finds what is good of a damaged folder.
func TestDamage(t *testing.T) {
	bad := errors.New("bad sector")
	dir := folderOf("dir", &item{name: "z"}, &item{name: ".."}, &item{name: "a/b"}, &item{name: ""}, &item{name: "nul\x00"}, &item{name: "a"})
	_, tree := newToy(dir)
	list, err := tree.ReadDir("dir")
	if len(list) != 2 || list[0].Name() != "a" || err == nil || !strings.Contains(err.Error(), "cannot be part of a path") {
		t.Errorf("%v, %v", list, err)
	}
	dir.entries, dir.damage = []*item{{name: "z"}}, bad
	_, tree = newToy(dir)
	f, err := tree.Open("dir")
	if err != nil {
		t.Fatal(err)
	}
	d := f.(fs.ReadDirFile)
	if list, err := d.ReadDir(5); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := d.ReadDir(5); len(list) != 0 || !errors.Is(err, bad) {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := d.ReadDir(5); err != io.EOF {
		t.Error(err)
	}
	if _, err := tree.Stat("dir/z"); err != nil {
		t.Error(err)
	}
	if _, err := tree.Stat("dir/none"); !errors.Is(err, bad) {
		t.Error("what cannot be known was said not to exist")
	}
}

// TestManyFolders keeps no more than it should, and still finds all.
func TestManyFolders(t *testing.T) {
	var dirs []*item
	for i := range 3 * maxFolders {
		dirs = append(dirs, folderOf(fmt.Sprint("d", i), &item{name: "x"}))
	}
	large := folderOf("large")
	for i := range maxNames + 10 {
		large.entries = append(large.entries, &item{name: fmt.Sprint(i)})
	}
	_, tree := newToy(append(dirs, large)...)
	for range 2 {
		for i := range dirs {
			if _, err := tree.Stat(fmt.Sprintf("d%d/x", i)); err != nil {
				t.Error(err)
			}
		}
		for _, i := range []int{0, maxNames + 9} {
			if _, err := tree.Stat(fmt.Sprintf("large/%d", i)); err != nil {
				t.Error(err)
			}
		}
		if _, err := tree.Stat("large/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	if len(tree.kept) > maxFolders || tree.names > maxNames {
		t.Errorf("%d folders with %d names are kept", len(tree.kept), tree.names)
	}
}
