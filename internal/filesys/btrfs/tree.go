package btrfs

import (
	"sync/atomic"

	"ingot/internal/block"
	"ingot/internal/fstree"
)

// Tree is the tree of files of a volume, as io/fs has one, from the top level on
// (subvolume 5), with subvolumes and snapshots as folders in it, whichever the
// volume is to be mounted with. Its methods may be called from several
// goroutines.
type Tree struct {
	*fstree.Unix
	forest
	top     root
	sumRoot root
	packed  fstree.Cache[packKey, []byte]
}

// cacheBytes is about how much each cache of a tree holds.
const cacheBytes = 4 << 20

// readTree finds the trees of files and checksums.
func readTree(r block.Reader, s *Super) (*Tree, error) {
	t := &Tree{forest: forest{r: r, super: s, second: new(atomic.Int64)}}
	t.cache = &fstree.Cache[root, *node]{Most: int(cacheBytes / s.NodeSize)}
	t.packed.Most = 32
	t.Unix = fstree.NewUnix(t)
	var err error
	if t.space, err = readSpace(t.forest); err != nil {
		return nil, err
	}
	if t.top, err = t.findRoot(treeTop); err != nil {
		return nil, err
	}
	if t.sumRoot, err = t.findRoot(treeSums); err != nil {
		return nil, err
	}
	return t, nil
}

// Files is the tree of files; nil when it cannot be read, or has features that
// are not understood here.
func (v *Volume) Files() *Tree { return v.files }

// Contains reports whether a file or folder exists: see fstree.Unix. It is false
// where the files cannot be read.
func (v *Volume) Contains(path string) (bool, error) {
	if v.files == nil {
		return false, nil
	}
	return v.files.Contains(path)
}

// Root implements fstree.Inodes.
func (t *Tree) Root() (fstree.Inode, error) { return asInode(t.inode(t.top, firstFree)) }
