package xfs

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"ingot/internal/block"
	"ingot/internal/fstree"
)

// Tree is the tree of files of a volume, as io/fs has one. Its methods may be
// called from several goroutines.
type Tree struct {
	*fstree.Unix
	r       block.Reader
	s       *Super
	pages   fstree.Cache[int64, []byte]
	maps    fstree.Cache[mapKey, *mapNode]
	indexes fstree.Cache[mapKey, *daBlock]
}

// cacheBytes is about how much each cache of a tree holds.
const cacheBytes = 2 << 20

func newTree(r block.Reader, s *Super) *Tree {
	t := &Tree{r: r, s: s}
	t.pages.Most = cacheBytes / pageSize
	t.maps.Most = int(cacheBytes / s.BlockSize)
	t.indexes.Most = int(cacheBytes / s.tree.dirBlock)
	t.Unix = fstree.NewUnix(t)
	return t
}

// Files is the tree of files; nil when the volume has features that are not
// understood here.
func (v *Volume) Files() *Tree { return v.files }

// Contains reports whether a file or folder exists: see fstree.Unix. It is false
// where features are not understood here.
func (v *Volume) Contains(path string) (bool, error) {
	if v.files == nil {
		return false, nil
	}
	return v.files.Contains(path)
}

// Root implements fstree.Inodes.
func (t *Tree) Root() (fstree.Inode, error) { return asInode(t.inode(t.s.tree.root)) }

// asInode keeps a nil inode from becoming an Inode that is none.
func asInode(i *inode, err error) (fstree.Inode, error) {
	if err != nil {
		return nil, err
	}
	return i, nil
}

// read fills b from a byte of the volume.
func (t *Tree) read(b []byte, at int64) error {
	if n, err := t.r.ReadAt(b, at); n < len(b) {
		return fmt.Errorf("read %d bytes at byte %d: %w", len(b), at, err)
	}
	return nil
}

// contents are the bytes of a file, readable at any offset.
type contents struct{ i *inode }

// Contents implements fstree.Inode.
func (i *inode) Contents() io.ReaderAt { return contents{i} }

// ReadAt implements io.ReaderAt.
func (c contents) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	var end error
	if left := max(0, c.i.size-off); int64(len(p)) > left {
		p, end = p[:left], io.EOF
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
	if err := c.i.elsewhere(); err != nil {
		return 0, err
	}
	size := c.i.t.s.BlockSize
	row, err := c.i.find(&c.i.data, off/size)
	if err != nil {
		return 0, err
	}
	in := off % size
	if row.n < int64(len(p))/size+2 {
		p = p[:min(int64(len(p)), row.n*size-in)]
	}
	if row.hole || row.unwritten {
		clear(p)
		return len(p), nil
	}
	return len(p), c.i.t.read(p, row.at*size+in)
}

// elsewhere fails for files whose contents are on the realtime device.
func (i *inode) elsewhere() error {
	if i.kind() == modeFile && i.flags&flagRealtime != 0 {
		return fmt.Errorf("inode %d: its contents are on the realtime device, which is another one", i.number)
	}
	return nil
}

// Node is what Sys of the fs.FileInfo of a file gives.
type Node struct{ i *inode }

// Node implements fstree.Inode.
func (i *inode) Node() any { return Node{i} }

// ID is the number of the inode.
func (n Node) ID() uint64 { return n.i.number }

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
// zero in volumes of version 4.
func (n Node) Times() (access, change, birth time.Time) {
	return n.i.access, n.i.change, n.i.birth
}

// Device is the number of a device file; zeros for all others.
func (n Node) Device() (major, minor uint32) { return n.i.device() }

// Entries is what a folder has in it, as ReadDir gives it.
func (n Node) Entries() ([]fs.DirEntry, error) { return n.i.t.List(n.i) }

// Extents are the blocks of the contents, also of what lies behind their end or
// is not written yet. Folders and targets of links have theirs, too. Several
// files may share blocks, and a file may have some twice.
func (n Node) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		j, size := joiner{yield: yield}, n.i.t.s.BlockSize
		err := n.i.elsewhere()
		if err == nil {
			err = n.i.walk(&n.i.data, func(p piece) error {
				if p.table {
					return nil
				}
				return j.add(p.at*size, p.n*size)
			})
		}
		if err == nil {
			err = j.flush()
		}
		if err != nil && err != errStop {
			yield(block.Extent{}, err)
		}
	}
}
