package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"ingot/internal/block"
)

// contents are the bytes of a file, readable at any offset.
type contents struct {
	t *Tree
	i *inode
}

func (t *Tree) contents(i *inode) contents { return contents{t, i} }

// ReadAt implements io.ReaderAt.
func (c contents) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if c.i.flags&flagEncrypted != 0 {
		return 0, errEncrypted(c.i)
	}
	var end error
	if left := max(0, c.i.size-off); int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	if c.i.flags&flagInline != 0 {
		b, err := c.i.inline()
		if err != nil {
			return 0, fmt.Errorf("inode %d: %w", c.i.number, err)
		}
		n := copy(p, b[min(off, int64(len(b))):])
		clear(p[n:]) // as Linux reads what is missing
		return len(p), end
	}
	for done := 0; done < len(p); {
		n, err := c.piece(p[done:], off+int64(done))
		if err != nil {
			return done, fmt.Errorf("inode %d at byte %d: %w", c.i.number, off+int64(done), err)
		}
		done += n
	}
	return len(p), end
}

// piece fills the front of p from the row of blocks that holds off.
func (c contents) piece(p []byte, off int64) (int, error) {
	size := c.t.s.blockSize
	row, err := c.t.find(c.i, off/size)
	if err != nil {
		return 0, err
	}
	in := off % size
	p = p[:min(int64(len(p)), row.n*size-in)]
	if row.at == hole || row.unwritten {
		clear(p)
		return len(p), nil
	}
	at := row.at*size + in
	if n, err := c.t.r.ReadAt(p, at); n < len(p) {
		return 0, fmt.Errorf("read %d bytes at byte %d: %w", len(p), at, err)
	}
	return len(p), nil
}

// inline gives the contents that are kept in the inode.
func (i *inode) inline() ([]byte, error) {
	front, rest, err := i.inlineParts()
	return append(append([]byte(nil), front...), rest...), err
}

// inlineParts gives the two places of inline data: that of the block map, and
// an attribute.
func (i *inode) inlineParts() (front, rest []byte, err error) {
	err = i.bodyAttrs(func(a attr) error {
		if a.index != attrSystem || a.name != "data" {
			return nil
		}
		if a.inode != 0 {
			return errors.New("inline data: in another inode")
		}
		rest = a.value
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return i.block[:], rest, nil
}

// info is what is known about a file; it is its Node as well.
type info struct {
	t    *Tree
	i    *inode
	name string
}

func (n info) Name() string       { return n.name }
func (n info) Size() int64        { return n.i.size }
func (n info) Mode() fs.FileMode  { return fileMode(n.i.mode) }
func (n info) ModTime() time.Time { return n.i.mtime }
func (n info) IsDir() bool        { return n.i.kind() == modeDir }
func (n info) Sys() any           { return Node{n.t, n.i} }
func (n info) String() string     { return fs.FormatFileInfo(n) }

// Node is what Sys of the fs.FileInfo of a file gives.
type Node struct {
	t *Tree
	i *inode
}

// ID is the number of the inode.
func (n Node) ID() uint64 { return uint64(n.i.number) }

// Links is the number of names. Folders have one, whatever their inodes count.
func (n Node) Links() int {
	if n.i.kind() == modeDir {
		return 1
	}
	return max(1, int(n.i.links))
}

// Owner is the Unix owner.
func (n Node) Owner() (uid, gid uint32) { return n.i.uid, n.i.gid }

// Times are the times beside that of the last change of the contents; birth is
// zero in inodes that have no room for it.
func (n Node) Times() (access, change, birth time.Time) {
	return n.i.access, n.i.change, n.i.birth
}

// Device is the number of a device file; zeros for all others.
func (n Node) Device() (major, minor uint32) { return n.i.device() }

// Extents are the clusters of the contents, also of what lies behind their end
// or is not written yet. Folders have theirs, too.
func (n Node) Extents() iter.Seq2[block.Extent, error] { return n.t.clusters(n.i) }

// Xattrs are the extended attributes as Linux gives them, by their full names.
func (n Node) Xattrs() (map[string][]byte, error) { return n.t.xattrs(n.i) }

// handle is an open file that cannot be read: a device, a link.
type handle struct {
	info info
	path string
}

func (h handle) Stat() (fs.FileInfo, error) { return h.info, nil }
func (h handle) Close() error               { return nil }
func (h handle) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: h.path, Err: errors.New("neither a file nor a folder")}
}

// file is an open regular file.
type file struct {
	handle
	*io.SectionReader
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.SectionReader.Read(p)
	return n, f.named(err)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.SectionReader.ReadAt(p, off)
	return n, f.named(err)
}

// named puts the path to an error.
func (f *file) named(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: "read", Path: f.path, Err: err}
}

// dir is an open folder.
type dir struct {
	handle
	list []fs.DirEntry
	read bool
	err  error
}

func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errors.New("is a folder")}
}

// ReadDir implements fs.ReadDirFile. It reads all of the folder at the first
// call, since the order of the names is not that of the volume.
func (d *dir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.read = true
		if d.list, d.err = d.info.t.list(d.info.i); d.err != nil {
			d.err = &fs.PathError{Op: "readdir", Path: d.path, Err: d.err}
		}
	}
	if n <= 0 || n > len(d.list) {
		end := d.err
		if n > 0 && end == nil && len(d.list) == 0 {
			end = io.EOF
		}
		out := d.list
		d.list = nil
		return out, end
	}
	out := d.list[:n:n]
	d.list = d.list[n:]
	return out, nil
}

// le16 and le32 read numbers of the format.
func le16(b []byte, off int) int    { return int(binary.LittleEndian.Uint16(b[off:])) }
func le32(b []byte, off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
