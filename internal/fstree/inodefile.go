package fstree

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

// inodeInfo is an inode under one of its names.
type inodeInfo struct {
	name string
	i    Inode
	stat Stat
}

func (n inodeInfo) Name() string       { return n.name }
func (n inodeInfo) Size() int64        { return n.stat.Size }
func (n inodeInfo) Mode() fs.FileMode  { return n.stat.Mode }
func (n inodeInfo) ModTime() time.Time { return n.stat.ModTime }
func (n inodeInfo) IsDir() bool        { return n.stat.Mode.IsDir() }
func (n inodeInfo) Sys() any           { return n.i.Node() }
func (n inodeInfo) String() string     { return fs.FormatFileInfo(n) }

// handle is an open file that cannot be read: a device, a link.
type handle struct {
	info inodeInfo
	path string
}

func (h handle) Stat() (fs.FileInfo, error) { return h.info, nil }
func (h handle) Close() error               { return nil }
func (h handle) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: h.path, Err: errors.New("neither a file nor a folder")}
}

// unixFile is an open regular file.
type unixFile struct {
	handle
	*io.SectionReader
}

func (f *unixFile) Read(p []byte) (int, error) {
	n, err := f.SectionReader.Read(p)
	return n, f.named(err)
}

func (f *unixFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.SectionReader.ReadAt(p, off)
	return n, f.named(err)
}

// named puts the path to an error.
func (f *unixFile) named(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: "read", Path: f.path, Err: err}
}

// unixFolder is an open folder.
type unixFolder struct {
	handle
	tree *Unix
	list []fs.DirEntry
	read bool
	err  error // comes behind the entries
}

func (d *unixFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errors.New("is a folder")}
}

// ReadDir implements fs.ReadDirFile. It reads all of the folder at the first
// call, since the order of the names is not that of the volume.
func (d *unixFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.read = true
		if d.list, d.err = d.tree.List(d.info.i); d.err != nil {
			d.err = &fs.PathError{Op: "readdir", Path: d.path, Err: d.err}
		}
	}
	if n > 0 && len(d.list) > 0 {
		out := d.list[:min(n, len(d.list))]
		d.list = d.list[len(out):]
		return out, nil
	}
	out, err := d.list, d.err
	d.list, d.err = nil, nil
	if n > 0 && err == nil {
		err = io.EOF
	}
	return out, err
}

// Mode turns a mode of Unix, as inodes hold it, into that of io/fs.
func Mode(m uint16) fs.FileMode {
	out := fs.FileMode(m & 0o777)
	for k, to := range [...]fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if m>>(9+k)&1 != 0 {
			out |= to
		}
	}
	return out | Type([16]byte{0x1: 5, 0x2: 3, 0x4: 2, 0x6: 4, 0x8: 1, 0xa: 7, 0xc: 6}[m>>12])
}

// Type is the type of a file that an entry of a folder states by a number, the
// same one in ext, XFS and Btrfs (Linux include/linux/fs_types.h); fs.ModeIrregular
// for a number that is none.
func Type(kind byte) fs.FileMode {
	switch kind {
	case 1:
		return 0
	case 2:
		return fs.ModeDir
	case 3:
		return fs.ModeDevice | fs.ModeCharDevice
	case 4:
		return fs.ModeDevice
	case 5:
		return fs.ModeNamedPipe
	case 6:
		return fs.ModeSocket
	case 7:
		return fs.ModeSymlink
	}
	return fs.ModeIrregular
}
