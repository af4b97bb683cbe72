package btrfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"ingot/internal/fstree"
)

// dirItem is a name of a folder, or an attribute (btrfs_tree.h, struct
// btrfs_dir_item): a key, a generation, two lengths and a type come before it.
type dirItem struct {
	location key
	kind     byte
	name     string
	data     []byte
}

const dirItemSize = 30

// names walks the names in an item: one, or those that have the same hash.
func names(b []byte, do func(dirItem) error) error {
	le := binary.LittleEndian
	for len(b) > 0 {
		if len(b) < dirItemSize {
			return fmt.Errorf("a name of %d bytes", len(b))
		}
		data, name := int(le.Uint16(b[25:])), int(le.Uint16(b[27:]))
		if name == 0 || dirItemSize+name+data > len(b) {
			return fmt.Errorf("a name of %d bytes with %d more in %d", name, data, len(b)-dirItemSize)
		}
		e := dirItem{location: parseKey(b), kind: b[29], name: string(b[dirItemSize : dirItemSize+name])}
		e.data = b[dirItemSize+name : dirItemSize+name+data]
		if err := do(e); err != nil {
			return err
		}
		b = b[dirItemSize+name+data:]
	}
	return nil
}

// entry is a name as the tree has it: a file of the same subvolume, or another
// subvolume.
func (i *inode) entry(e dirItem) (fstree.Entry, error) {
	out := fstree.Entry{Name: e.name, Type: fstree.Type(e.kind), Ref: fstree.Ref{Tree: i.tree.owner, Number: e.location.id}}
	switch {
	case e.location.kind == kindInode:
	case e.location.kind == kindRoot && isSubvolume(e.location.id) && e.location.id != treeTop:
		out.Ref = fstree.Ref{Tree: e.location.id, Number: firstFree}
	default:
		return out, fmt.Errorf("%q leads to %v", e.name, e.location)
	}
	return out, nil
}

// Entries implements fstree.Inodes.
func (t *Tree) Entries(folder fstree.Inode, do func(fstree.Entry) error) error {
	i := folder.(*inode)
	if i.missing != 0 {
		return nil
	}
	var damage error
	err := i.items(kindDirIndex, func(it item) error {
		var stop error
		err := names(it.data, func(d dirItem) error {
			e, err := i.entry(d)
			if err == nil {
				stop = do(e)
				err = stop
			}
			return err
		})
		if err != nil && stop == nil && damage == nil {
			damage = fmt.Errorf("index %d: %w", it.off, err)
		}
		return stop
	})
	if err == nil {
		err = damage
	}
	if err != nil {
		return fmt.Errorf("folder of inode %d of tree %d: %w", i.number, i.tree.owner, err)
	}
	return nil
}

// nameHash is the offset in the key of a name: CRC32C without the usual
// inversions, from a start that is not that of checksums.
func nameHash(name string) uint64 {
	return uint64(^crc32.Update(1, crc32.MakeTable(crc32.Castagnoli), []byte(name)))
}

// Lookup implements fstree.Inodes.
func (t *Tree) Lookup(folder fstree.Inode, name string) (fstree.Entry, error) {
	i := folder.(*inode)
	if i.missing != 0 {
		return fstree.Entry{}, fs.ErrNotExist
	}
	want := key{i.number, kindDirItem, nameHash(name)}
	it, ok, err := t.cursor(i.tree).seek(want)
	var found *dirItem
	if err == nil && ok && it.key == want {
		err = names(it.data, func(e dirItem) error {
			if e.name == name {
				found = &e
			}
			return nil
		})
	}
	switch {
	case found != nil:
		return i.entry(*found)
	case err != nil:
		return fstree.Entry{}, fmt.Errorf("folder of inode %d of tree %d: %w", i.number, i.tree.owner, err)
	}
	return fstree.Entry{}, fs.ErrNotExist
}

// Child implements fstree.Inodes.
func (t *Tree) Child(folder fstree.Inode, e fstree.Entry) (fstree.Inode, error) {
	in := folder.(*inode)
	if e.Ref.Tree != in.tree.owner {
		return asInode(t.subvolume(in, e))
	}
	i, err := t.inode(in.tree, e.Ref.Number)
	if err != nil {
		return nil, err
	}
	isDir := i.kind() == modeDir
	if e.Type.IsDir() != isDir {
		return nil, fmt.Errorf("inode %d of tree %d has mode %#o, its entry in the folder says something else", i.number, i.tree.owner, i.mode)
	}
	if isDir {
		err = i.within(in)
	}
	if err != nil {
		return nil, err
	}
	return i, nil
}

// asInode keeps a nil inode from becoming an Inode that is none.
func asInode(i *inode, err error) (fstree.Inode, error) {
	if err != nil {
		return nil, err
	}
	return i, nil
}

// within fails unless a folder says that it is in another one. It has one item
// that does so; the root of a subvolume names itself.
func (i *inode) within(in *inode) error {
	it, ok, err := i.t.cursor(i.tree).seek(key{i.number, kindInodeRef, 0})
	if err != nil {
		return err
	}
	if !ok || it.id != i.number || it.kind != kindInodeRef {
		return fmt.Errorf("the folder of inode %d of tree %d is in none", i.number, i.tree.owner)
	}
	if it.off != in.number || i.number == firstFree {
		return fmt.Errorf("the folder of inode %d of tree %d belongs into that of inode %d, and is in that of inode %d", i.number, i.tree.owner, it.off, in.number)
	}
	return nil
}

// subvolume gives the root of a subvolume that an entry of a folder leads to.
// The root tree says where it belongs, once from above and once from below; a
// snapshot of the folder that it is in has an empty folder in its place, as the
// kernel shows it.
func (t *Tree) subvolume(in *inode, e fstree.Entry) (*inode, error) {
	if !e.Type.IsDir() {
		return nil, fmt.Errorf("subvolume %d has an entry that is no folder", e.Ref.Tree)
	}
	down, err := t.rootRef(key{in.tree.owner, kindRootRef, e.Ref.Tree}, in.number, e.Name)
	if err != nil {
		return nil, err
	}
	if !down {
		i := *in
		// As the kernel makes it, but for the times, which are those of now there.
		i.number, i.mode, i.size, i.missing, i.in = emptyFolder, modeDir|0o755, 0, e.Ref.Tree, in.number
		return &i, nil
	}
	it, ok, err := t.cursor(t.super.root).seek(key{e.Ref.Tree, kindRootBack, 0})
	if err == nil && (!ok || it.id != e.Ref.Tree || it.kind != kindRootBack || it.off != in.tree.owner) {
		err = errors.New("it belongs elsewhere")
	}
	if err == nil {
		var up bool
		if up, err = t.rootRef(it.key, in.number, e.Name); err == nil && !up {
			err = errors.New("it belongs elsewhere")
		}
	}
	var r root
	if err == nil {
		r, err = t.findRoot(e.Ref.Tree)
	}
	if err != nil {
		return nil, fmt.Errorf("subvolume %d in the folder of inode %d of tree %d: %w", e.Ref.Tree, in.number, in.tree.owner, err)
	}
	i, err := t.inode(r, firstFree)
	if err == nil && i.kind() != modeDir {
		err = fmt.Errorf("the root of subvolume %d is no folder", e.Ref.Tree)
	}
	return i, err
}

// emptyFolder is the number that Linux shows for subvolumes that are not there.
const emptyFolder = 2

// rootRef says whether the root tree has a reference of a subvolume for a name
// in a folder (struct btrfs_root_ref).
func (t *Tree) rootRef(k key, folder uint64, name string) (bool, error) {
	const size = 18
	it, ok, err := t.cursor(t.super.root).seek(k)
	if err != nil || !ok || it.key != k || len(it.data) < size {
		return false, err
	}
	le := binary.LittleEndian
	return le.Uint64(it.data) == folder && int(le.Uint16(it.data[16:])) == len(it.data)-size && string(it.data[size:]) == name, nil
}
