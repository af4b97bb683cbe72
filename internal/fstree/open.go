package fstree

import (
	"errors"
	"io"
	"io/fs"
)

// openFile is a regular file that is read.
type openFile struct {
	*io.SectionReader
	node fs.FileInfo
}

// Stat implements fs.File.
func (f openFile) Stat() (fs.FileInfo, error) { return f.node, nil }

// Close implements fs.File; there is nothing to give back.
func (f openFile) Close() error { return nil }

// openFolder is a folder that is listed.
type openFolder struct {
	node fs.FileInfo
	path string
	tree *FS
	read bool
	rest []fs.DirEntry
	err  error // comes behind the entries
}

// Stat implements fs.File.
func (d *openFolder) Stat() (fs.FileInfo, error) { return d.node, nil }

// Close implements fs.File.
func (d *openFolder) Close() error { return nil }

// Read implements fs.File.
func (d *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errors.New("is a directory")}
}

// ReadDir implements fs.ReadDirFile.
func (d *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.rest, d.err = d.tree.Entries(d.node)
		d.read = true
	}
	if n <= 0 {
		out, err := d.rest, d.err
		d.rest, d.err = nil, nil
		return out, err
	}
	if len(d.rest) == 0 {
		if err := d.err; err != nil {
			d.err = nil
			return nil, err
		}
		return nil, io.EOF
	}
	out := d.rest[:min(n, len(d.rest))]
	d.rest = d.rest[len(out):]
	return out, nil
}
