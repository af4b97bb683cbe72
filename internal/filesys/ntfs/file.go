package ntfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// contents is what a file's bytes are read from: ReadAt fills p or gives an
// error, and is never asked for more than there is.
type contents interface {
	ReadAt(p []byte, off int64) (int, error)
}

// file is an open file or stream: an io.ReaderAt, which several goroutines may
// use, and an io.Seeker.
type file struct {
	info fs.FileInfo
	path string
	from contents
	size int64
	off  int64
}

// open opens a stream of a file; "" is the name of its contents.
func (n *node) open(path, stream string) (*file, error) {
	from, size, err := n.contents(stream)
	if err != nil {
		return nil, err
	}
	return &file{info: n, path: path, from: from, size: size}, nil
}

// refused is the contents of a file that cannot be read here; it can be looked
// at nevertheless.
type refused struct{ err error }

func (r refused) ReadAt([]byte, int64) (int, error) { return 0, r.err }

// contents chooses how a stream is read.
func (n *node) contents(name string) (contents, int64, error) {
	if mode := n.Mode().Type(); name == "" && mode != 0 {
		return refused{fmt.Errorf("%s has no contents", TagName(n.point.tag))}, n.Size(), nil
	}
	s, err := n.t.m.open(n.rec, typeData, name)
	if errors.Is(err, errNoAttribute) && name == "" {
		return &stream{resident: []byte{}}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if name == "" && n.point.tag == tagWOF {
		from, err := n.compacted(s.size)
		return from, s.size, err
	}
	if err := n.elsewhere(); name == "" && err != nil {
		return refused{err}, s.size, nil
	}
	from, err := s.contents()
	return from, s.size, err
}

// contents is how the bytes of the stream itself are read.
func (s *stream) contents() (contents, error) {
	switch {
	case s.flags&flagEncrypted != 0:
		return refused{errors.New("encrypted (EFS): its contents can be read by the user who encrypted it, in Windows")}, nil
	case s.resident != nil || s.flags&flagCompressed == 0:
		return s, nil
	case s.flags&flagCompressed != 1:
		return refused{fmt.Errorf("compressed in an unknown way (flags %#x)", s.flags)}, nil
	}
	return newCompressed(s)
}

// Stat implements fs.File.
func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements fs.File.
func (f *file) Close() error { return nil }

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.path, Err: fs.ErrInvalid}
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= f.size {
		return 0, io.EOF
	}
	part := p[:min(int64(len(p)), f.size-off)]
	n, err := f.from.ReadAt(part, off)
	if err != nil {
		return n, &fs.PathError{Op: "read", Path: f.path, Err: err}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Read implements fs.File.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.off)
	f.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker.
func (f *file) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += f.off
	case io.SeekEnd:
		off += f.size
	}
	if off < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, &fs.PathError{Op: "seek", Path: f.path, Err: fs.ErrInvalid}
	}
	f.off = off
	return off, nil
}

// folder is an open folder.
type folder struct {
	n    *node
	path string
	rest []fs.DirEntry
	read bool
}

// Stat implements fs.File.
func (f *folder) Stat() (fs.FileInfo, error) { return f.n, nil }

// Close implements fs.File.
func (f *folder) Close() error { return nil }

// Read implements fs.File.
func (f *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.path, Err: errors.New("a folder has no contents")}
}

// ReadDir implements fs.ReadDirFile.
func (f *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if !f.read {
		var err error
		if f.rest, err = f.n.t.list(f.path, f.n.rec); err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: f.path, Err: err}
		}
		f.read = true
	}
	k := len(f.rest)
	if n > 0 {
		if k == 0 {
			return nil, io.EOF
		}
		k = min(k, n)
	}
	out := f.rest[:k:k]
	f.rest = f.rest[k:]
	return out, nil
}
