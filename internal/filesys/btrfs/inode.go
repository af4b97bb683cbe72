package btrfs

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"ingot/internal/block"
	"ingot/internal/fstree"
)

// Items of inodes (btrfs_tree.h, struct btrfs_inode_item and what follows it).
const (
	kindInode     = 1
	kindInodeRef  = 12
	kindXattr     = 24
	kindDirItem   = 84
	kindDirIndex  = 96
	kindExtentOf  = 108 // a piece of a file
	kindRootBack  = 144
	kindRootRef   = 156
	inodeItemSize = 160
	flagNoSums    = 1 // the contents have no checksums

	modeKind = 0xf000
	modeDir  = 0x4000
	modeFile = 0x8000
	modeLink = 0xa000
	modeChar = 0x2000
	modeBlk  = 0x6000
)

// inode is what an inode says of a file.
type inode struct {
	t                            *Tree
	tree                         root // the subvolume it is in
	number                       uint64
	mode                         uint16
	links                        uint32
	uid, gid                     uint32
	size                         int64 // bytes
	rdev, flags                  uint64
	access, change, mtime, birth time.Time
	missing                      uint64 // the subvolume that would be here, and is not in this snapshot
	in                           uint64 // the folder of such a one
}

func (i *inode) kind() uint16 { return i.mode & modeKind }

// inode reads an inode of a subvolume.
func (t *Tree) inode(tree root, number uint64) (*inode, error) {
	want := key{number, kindInode, 0}
	it, ok, err := t.cursor(tree).seek(want)
	if err == nil && (!ok || it.key != want) {
		err = fmt.Errorf("inode %d of tree %d is not there", number, tree.owner)
	}
	if err != nil {
		return nil, err
	}
	i, err := parseInode(it.data)
	if err != nil {
		return nil, fmt.Errorf("inode %d of tree %d: %w", number, tree.owner, err)
	}
	i.t, i.tree, i.number = t, tree, number
	return i, nil
}

// parseInode reads an inode item.
func parseInode(b []byte) (*inode, error) {
	if len(b) < inodeItemSize {
		return nil, fmt.Errorf("an item of %d bytes", len(b))
	}
	le := binary.LittleEndian
	at := func(off int) time.Time {
		return time.Unix(int64(le.Uint64(b[off:])), int64(le.Uint32(b[off+8:])))
	}
	i := &inode{
		size: int64(le.Uint64(b[16:])), links: le.Uint32(b[40:]), uid: le.Uint32(b[44:]), gid: le.Uint32(b[48:]), mode: uint16(le.Uint32(b[52:])),
		rdev: le.Uint64(b[56:]), flags: le.Uint64(b[64:]), access: at(112), change: at(124), mtime: at(136), birth: at(148),
	}
	if i.size < 0 {
		return nil, fmt.Errorf("its size at offset 16 is %d", uint64(i.size))
	}
	return i, nil
}

// Stat implements fstree.Inode.
func (i *inode) Stat() fstree.Stat {
	return fstree.Stat{Mode: fstree.Mode(i.mode), Size: i.size, ModTime: i.mtime}
}

// maxTarget is far above the length of a target: the kernel knows none of 4096
// bytes.
const maxTarget = 4096

// Target implements fstree.Inode.
func (i *inode) Target() (string, error) {
	if i.kind() != modeLink {
		return "", fs.ErrInvalid
	}
	if i.size > maxTarget {
		return "", fmt.Errorf("inode %d: a target of %d bytes", i.number, i.size)
	}
	b := make([]byte, i.size)
	if _, err := i.Contents().ReadAt(b, 0); err != nil {
		return "", err
	}
	return string(b), nil
}

// Node is what Sys of the fs.FileInfo of a file gives.
type Node struct{ i *inode }

// Node implements fstree.Inode.
func (i *inode) Node() any { return Node{i} }

// Inode is the number of the inode, as the kernel shows it. Each subvolume
// counts its own.
func (n Node) Inode() uint64 { return n.i.number }

// ID is the number of the inode in the top level; elsewhere that of the
// subvolume is in its upper bits.
func (n Node) ID() uint64 {
	const bits = 40
	tree, number := n.i.tree.owner, n.i.number
	switch {
	case n.i.missing != 0: // all of these have the same number
		return 1<<63 | mix(mix(tree, n.i.in), n.i.missing)>>1
	case tree == treeTop && number < 1<<bits:
		return number
	case tree < 1<<(62-bits) && number < 1<<bits:
		return tree<<bits | number
	}
	return 1<<63 | mix(tree, number)>>1
}

// mix scrambles two numbers into one (the finalizer of MurmurHash3).
func mix(a, b uint64) uint64 {
	h := (a ^ a>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33 ^ b) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Links is the number of names. Folders have one.
func (n Node) Links() int {
	if n.i.kind() == modeDir {
		return 1
	}
	return max(1, int(n.i.links))
}

// Owner is the Unix owner.
func (n Node) Owner() (uid, gid uint32) { return n.i.uid, n.i.gid }

// Times are the times beside that of the last change of the contents.
func (n Node) Times() (access, change, birth time.Time) {
	return n.i.access, n.i.change, n.i.birth
}

// Device is the number of a device file; zeros for all others.
func (n Node) Device() (major, minor uint32) {
	if n.i.kind() != modeChar && n.i.kind() != modeBlk {
		return 0, 0
	}
	return uint32(n.i.rdev >> 20), uint32(n.i.rdev & (1<<20 - 1))
}

// Entries is what a folder has in it, as ReadDir gives it.
func (n Node) Entries() ([]fs.DirEntry, error) { return n.i.t.List(n.i) }

// Extents are the bytes of the device that hold the contents, those of a
// compressed piece as they are stored, and where the volume keeps two copies
// of them on the device one piece behind the other. Small files are kept in
// metadata and have none. Files may share extents.
func (n Node) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		stopped, err := n.i.extents(func(e block.Extent) bool { return yield(e, nil) })
		if err != nil && !stopped {
			yield(block.Extent{}, fmt.Errorf("inode %d of tree %d: %w", n.i.number, n.i.tree.owner, err))
		}
	}
}

// maxAttributeBytes bounds the memory for the attributes of one file.
const maxAttributeBytes = 64 << 20

// Xattrs are the extended attributes as Linux gives them, by their full names.
func (n Node) Xattrs() (map[string][]byte, error) {
	out, sum := map[string][]byte{}, 0
	if n.i.missing != 0 {
		return out, nil
	}
	err := n.i.items(kindXattr, func(it item) error {
		return names(it.data, func(e dirItem) error {
			if sum += len(e.data) + len(e.name); sum > maxAttributeBytes {
				return fmt.Errorf("more than %d bytes", maxAttributeBytes)
			}
			out[e.name] = append([]byte{}, e.data...)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("attributes of inode %d of tree %d: %w", n.i.number, n.i.tree.owner, err)
	}
	return out, nil
}

// items calls do for all items of a kind that an inode has.
func (i *inode) items(kind uint8, do func(item) error) error {
	c := i.t.cursor(i.tree)
	it, ok, err := c.seek(key{i.number, kind, 0})
	for ; err == nil && ok && it.id == i.number && it.kind == kind; it, ok, err = c.next() {
		if err := do(it); err != nil {
			return err
		}
	}
	return err
}
