package browse

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"

	"ingot/internal/block"
	"ingot/internal/filesys"
)

// fake is a file or folder of a volume that a test makes up. Names may
// be anything, and the same twice; a path then leads to the last folder of them.
type fake struct {
	name    string
	mode    fs.FileMode
	data    string
	to      string
	id      uint64
	links   int
	readErr error
	reading func(off int64)
	size    int64
	stored  int64
	entries func() []*fake
	streams map[string]string
}

func (f *fake) Name() string       { return f.name }
func (f *fake) Mode() fs.FileMode  { return f.mode }
func (f *fake) Type() fs.FileMode  { return f.mode.Type() }
func (f *fake) IsDir() bool        { return f.mode.IsDir() }
func (f *fake) ModTime() time.Time { return time.Unix(1e9, 5e8) }
func (f *fake) Sys() any           { return f }
func (f *fake) ID() uint64         { return f.id }
func (f *fake) Links() int         { return max(f.links, 1) }
func (f *fake) Size() int64        { return max(f.size, int64(len(f.data))) }

func (f *fake) Info() (fs.FileInfo, error) { return f, nil }
func (f *fake) Stat() (fs.FileInfo, error) { return f, nil }
func (f *fake) Close() error               { return nil }
func (f *fake) Read([]byte) (int, error)   { return 0, errors.New("not used") }

func (f *fake) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		n := f.Size()
		if f.stored > 0 {
			n = f.stored
		}
		yield(block.Extent{Len: n}, nil)
	}
}

func (f *fake) ReadAt(p []byte, off int64) (int, error) {
	if f.reading != nil {
		f.reading(off)
	}
	if f.readErr != nil {
		return 0, f.readErr
	}
	clear(p)
	if off < int64(len(f.data)) {
		copy(p, f.data[off:])
	}
	if n := f.Size() - off; n < int64(len(p)) {
		return int(n), io.EOF
	}
	return len(p), nil
}

func (f *fake) Streams() (out []string, err error) {
	for name := range f.streams {
		out = append(out, name)
	}
	return out, nil
}

func (f *fake) OpenStream(name string) (fs.File, error) {
	return &fake{name: name, data: f.streams[name]}, nil
}

func (f *fake) list() []*fake {
	if f.entries == nil {
		return nil
	}
	return f.entries()
}

// fakeTree is the tree with a root.
type fakeTree struct{ root *fake }

func (t fakeTree) find(path string) (*fake, error) {
	at := t.root
	if path == "." {
		return at, nil
	}
	for name := range strings.SplitSeq(path, "/") {
		var next *fake
		for _, e := range at.list() {
			if e.name == name && (next == nil || e.entries != nil) {
				next = e
			}
		}
		if at = next; at == nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
	}
	return at, nil
}

func (t fakeTree) Open(path string) (fs.File, error)      { return t.find(path) }
func (t fakeTree) Lstat(path string) (fs.FileInfo, error) { return t.find(path) }
func (t fakeTree) ReadLink(path string) (string, error) {
	folder, name := ".", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		folder, name = path[:i], path[i+1:]
	}
	f, err := t.find(folder)
	if err != nil {
		return "", err
	}
	for _, e := range f.list() {
		if e.name == name && e.mode&fs.ModeSymlink != 0 {
			return e.to, nil
		}
	}
	return "", &fs.PathError{Op: "readlink", Path: path, Err: fs.ErrInvalid}
}

func (t fakeTree) ReadDir(path string) (out []fs.DirEntry, err error) {
	f, err := t.find(path)
	if err != nil {
		return nil, err
	}
	for _, e := range f.list() {
		out = append(out, e)
	}
	return out, nil
}

// folderOf, fileOf and linkTo make entries.
func folderOf(name string, entries ...*fake) *fake {
	return &fake{name: name, mode: fs.ModeDir | 0o755, entries: func() []*fake { return entries }}
}
func fileOf(name, data string) *fake { return &fake{name: name, mode: 0o644, data: data} }
func linkTo(name, to string) *fake   { return &fake{name: name, mode: fs.ModeSymlink | 0o777, to: to} }

// volumeOf is a volume with these entries in its root.
func volumeOf(kind string, entries ...*fake) *Volume {
	return &Volume{Partition: &Partition{}, Info: filesys.Info{Type: kind}, Files: fakeTree{folderOf(".", entries...)}}
}
