package btrfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes and offsets of tree blocks (btrfs_tree.h, struct btrfs_header,
// btrfs_item, btrfs_key_ptr).
const (
	nodeHeader  = 101
	keySize     = 17
	itemSize    = keySize + 8
	pointerSize = keySize + 16

	offNodeFSID       = 32
	offNodeBytenr     = 48
	offNodeGeneration = 80
	offNodeOwner      = 88
	offNodeItems      = 96
	offNodeLevel      = 100
)

// Ids of trees and other objects, and kinds of items (btrfs_tree.h).
const (
	treeRoot, treeExtent, treeChunk, treeDevice, treeBlockGroup = 1, 2, 3, 4, 11
	treeTop, treeSums                                           = 5, 7

	firstFree = 256 // first id of what users make: subvolumes, inodes

	idDevices, idChunks = 1, 256

	kindRoot         = 132
	kindExtent       = 168
	kindMetadata     = 169
	kindBlockGroup   = 192
	kindDeviceExtent = 204
	kindDevice       = 216
	kindChunk        = 228
	blockGroupSize   = 24
	extentHeaderSize = 24
)

// key is the name of an item, by which the items of a tree are in order.
type key struct {
	id   uint64
	kind uint8
	off  uint64
}

func parseKey(b []byte) key {
	return key{binary.LittleEndian.Uint64(b), b[8], binary.LittleEndian.Uint64(b[9:])}
}

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.id, o.id), cmp.Compare(k.kind, o.kind), cmp.Compare(k.off, o.off))
}

// String prints a key as btrfs inspect-internal does.
func (k key) String() string { return fmt.Sprintf("(%d %d %d)", k.id, k.kind, k.off) }

// node is a tree block that was checked.
type node struct {
	b     []byte
	count int
	level int
}

// key is that of item or pointer i.
func (n *node) key(i int) key {
	size := itemSize
	if n.level > 0 {
		size = pointerSize
	}
	return parseKey(n.b[nodeHeader+i*size:])
}

// data is the contents of item i of a leaf.
func (n *node) data(i int) []byte {
	b := n.b[nodeHeader+i*itemSize+keySize:]
	off, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	return n.b[nodeHeader+int(off) : nodeHeader+int(off)+int(size)]
}

// child is where pointer i of a node leads.
func (n *node) child(i int, owner uint64) root {
	b := n.b[nodeHeader+i*pointerSize+keySize:]
	return root{owner, binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), n.level - 1}
}

// search is the first item or pointer whose key is not below k, and whether it
// has that key.
func (n *node) search(k key) (int, bool) {
	lo, hi := 0, n.count
	for lo < hi {
		mid := (lo + hi) / 2
		if n.key(mid).compare(k) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < n.count && n.key(lo) == k
}

// parseNode checks a tree block: that it is the one that want tells, of this
// volume, and that all in it lies inside of it and in order.
func parseNode(b []byte, want root, s *Super) (*node, error) {
	le := binary.LittleEndian
	n := &node{b: b, count: int(le.Uint32(b[offNodeItems:])), level: int(b[offNodeLevel])}
	ok, err := summed(s.sumKind, b)
	size := itemSize
	if want.level > 0 {
		size = pointerSize
	}
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errors.New("its checksum is wrong")
	case le.Uint64(b[offNodeBytenr:]) != want.at:
		return nil, fmt.Errorf("it says at offset %d that it lies at %d", offNodeBytenr, le.Uint64(b[offNodeBytenr:]))
	case !bytes.Equal(b[offNodeFSID:offNodeFSID+16], s.MetaUUID[:]):
		return nil, errors.New("it belongs to another volume")
	case le.Uint64(b[offNodeGeneration:]) != want.generation || want.generation > s.Generation:
		return nil, fmt.Errorf("its generation at offset %d is %d instead of %d", offNodeGeneration, le.Uint64(b[offNodeGeneration:]), want.generation)
	case !sameOwner(le.Uint64(b[offNodeOwner:]), want.owner):
		return nil, fmt.Errorf("it belongs to tree %d at offset %d instead of %d", le.Uint64(b[offNodeOwner:]), offNodeOwner, want.owner)
	case n.level != want.level:
		return nil, fmt.Errorf("its level at offset %d is %d instead of %d", offNodeLevel, n.level, want.level)
	case n.count > (len(b)-nodeHeader)/size:
		return nil, fmt.Errorf("%d items at offset %d do not fit into it", n.count, offNodeItems)
	case n.count == 0 && n.level > 0:
		return nil, errors.New("a node without children")
	}
	return n, n.checkItems()
}

// sameOwner says whether a block that says it is of tree got may be one of tree
// want: subvolumes share blocks with their snapshots.
func sameOwner(got, want uint64) bool {
	return got == want || isSubvolume(got) && isSubvolume(want)
}

// isSubvolume says whether a tree is one of files. Numbers above are those of
// the file system's own, and of quota groups.
func isSubvolume(id uint64) bool { return id == treeTop || id >= firstFree && id < 1<<48 }

// checkItems looks at the order of keys and the places of contents.
func (n *node) checkItems() error {
	room := uint64(len(n.b) - nodeHeader)
	for i := range n.count {
		if i > 0 && n.key(i).compare(n.key(i-1)) <= 0 {
			return fmt.Errorf("the key %v does not come after %v", n.key(i), n.key(i-1))
		}
		if n.level > 0 {
			continue
		}
		b := n.b[nodeHeader+i*itemSize+keySize:]
		off, size := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
		if off < uint64(n.count*itemSize) || off+size > room {
			return fmt.Errorf("the contents of item %v are %d bytes at %d of %d", n.key(i), size, off, room)
		}
	}
	return nil
}
