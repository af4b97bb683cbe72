package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"sort"

	"ingot/internal/fstree"
)

// The index of a folder (xfs_da_format.h) is a tree by the hashes of the names.
// Its nodes have a hash and the block below it, 8 bytes; its leaves have a hash
// and the place of the entry in units of 8 bytes, 8 bytes, too. All begin with
// the numbers of their siblings.
const (
	daHeader4, daHeader5 = 16, 64
	daMark               = 8
	daCRC                = 12
	daPlace              = 16
	daUUID               = 32
	daOwner              = 48
	daCount4, daCount5   = 12, 56

	markNode4, markNode5   = 0xfebe, 0x3ebe
	markLeaf4, markLeaf5   = 0xd2f1, 0x3df1 // the only one
	markLeafN4, markLeafN5 = 0xd2ff, 0x3dff
	markAttr4, markAttr5   = 0xfbee, 0x3bee

	maxIndexLevels = 5 // kernel: XFS_DA_NODE_MAXDEPTH
	maxSameHash    = 1 << 10
)

// daBlock is a block of a tree by hashes: of a folder, or of attributes.
type daBlock struct {
	mark, count, level int
	forward            int64
	b                  []byte // all of the block
	header             int
}

func (d *daBlock) hash(k int) uint32 { return binary.BigEndian.Uint32(d.b[d.header+8*k:]) }

// value is the block below, or the place of a name.
func (d *daBlock) value(k int) int64 {
	return int64(binary.BigEndian.Uint32(d.b[d.header+8*k+4:]))
}

// first is the entry with the lowest hash that is not below h.
func (d *daBlock) first(h uint32) int {
	return sort.Search(d.count, func(k int) bool { return d.hash(k) >= h })
}

// parseDA reads what nodes and leaves of folders and attributes have in common;
// at is the byte of the volume, owner the inode.
func (s *Super) parseDA(b []byte, at int64, owner uint64) (*daBlock, error) {
	be := binary.BigEndian
	d := &daBlock{forward: int64(be.Uint32(b)), mark: int(be.Uint16(b[daMark:])), b: b, header: daHeader4}
	counts, node := daCount4, markNode4
	if s.Version == 5 {
		d.header, counts, node = daHeader5, daCount5, markNode5
	}
	d.count = int(be.Uint16(b[counts:]))
	if d.mark == node {
		d.level = int(be.Uint16(b[counts+2:]))
	}
	if err := s.verify(b, blockHeader{daCRC, daUUID, daOwner, daPlace}, at, owner); err != nil {
		return nil, err
	}
	switch {
	case d.count > (len(b)-d.header)/8:
		return nil, fmt.Errorf("block at byte %d: %d entries at offset %d do not fit into it", at, d.count, counts)
	case d.mark == node && (d.level == 0 || d.level > maxIndexLevels || d.count == 0):
		return nil, fmt.Errorf("block at byte %d: level %d with %d entries", at, d.level, d.count)
	}
	return d, nil
}

// index reads a block of the index of a folder.
func (i *inode) index(logical int64) (*daBlock, error) {
	return i.t.indexes.Get(mapKey{i.number, logical}, func() (*daBlock, error) {
		if logical < indexStart/i.t.s.BlockSize || logical > 1<<32 {
			return nil, fmt.Errorf("block %d is none of the index", logical)
		}
		b, at, err := i.folderBytes(logical)
		if err != nil {
			return nil, err
		}
		return i.t.s.parseDA(b, at, i.number)
	})
}

// leafOf goes down to the leaf where a hash stands first.
func (i *inode) leafOf(h uint32) (*daBlock, error) {
	node, leaf, leafN := markNode4, markLeaf4, markLeafN4
	if i.t.s.Version == 5 {
		node, leaf, leafN = markNode5, markLeaf5, markLeafN5
	}
	d, err := i.index(indexStart / i.t.s.BlockSize)
	for level := 0; err == nil; {
		switch {
		case d.mark == leaf && level == 0 || d.mark == leafN && level <= 1:
			return d, nil
		case d.mark != node || level > 0 && d.level != level-1:
			return nil, fmt.Errorf("a block of the index with mark %#x and level %d", d.mark, d.level)
		}
		level = d.level
		d, err = i.index(d.value(min(d.first(h), d.count-1)))
	}
	return nil, err
}

// Lookup implements fstree.Inodes: by the index of the folder if it has one that
// is sound, else by looking at all names.
func (t *Tree) Lookup(folder fstree.Inode, name string) (fstree.Entry, error) {
	i := folder.(*inode)
	if i.data.format != formatLocal {
		first, err := i.dirBlock(0)
		if err == nil && !first.only {
			if e, err := i.lookupIndex(name); err == nil || errors.Is(err, fs.ErrNotExist) {
				return e, err
			}
		}
	}
	want := t.key(name)
	var found *fstree.Entry
	err := t.Entries(i, func(e fstree.Entry) error {
		if t.key(e.Name) == want {
			found = &e
			return errStop
		}
		return nil
	})
	switch {
	case found != nil:
		return *found, nil
	case err != nil:
		return fstree.Entry{}, err
	}
	return fstree.Entry{}, fs.ErrNotExist
}

// lookupIndex seeks a name by its hash. Names of the same hash follow each
// other, also in further leaves.
func (i *inode) lookupIndex(name string) (fstree.Entry, error) {
	t := i.t
	h := t.hash(name)
	d, err := i.leafOf(h)
	if err != nil {
		return fstree.Entry{}, err
	}
	want := t.key(name)
	for k, seen := d.first(h), 0; ; k++ {
		if k == d.count {
			if d.forward == 0 {
				return fstree.Entry{}, fs.ErrNotExist
			}
			if d, err = i.index(d.forward); err != nil {
				return fstree.Entry{}, err
			}
			if d.count == 0 {
				return fstree.Entry{}, errors.New("an empty leaf of the index")
			}
			k = 0
		}
		if d.hash(k) != h {
			return fstree.Entry{}, fs.ErrNotExist
		}
		if d.value(k) != 0 { // an entry that is gone
			if e, err := i.at(d.value(k)); err != nil || t.key(e.Name) == want {
				return e, err
			}
		}
		if seen++; seen > maxSameHash {
			return fstree.Entry{}, errors.New("too many names with the same hash")
		}
	}
}

// at is the entry at a place of the index.
func (i *inode) at(place int64) (fstree.Entry, error) {
	s := i.t.s
	off := place * entryAlignment
	b, err := i.dirBlock(off / s.tree.dirBlock * (s.tree.dirBlock / s.BlockSize))
	if err != nil {
		return fstree.Entry{}, err
	}
	in := int(off % s.tree.dirBlock)
	if in < b.from || in >= b.to {
		return fstree.Entry{}, errors.New("the index leads to no entry")
	}
	e, _, err := b.entry(in)
	if err == nil && e.Name == "" {
		err = errors.New("the index leads to no entry")
	}
	return e, err
}

// lower is a byte as volumes that do not regard case take it: A to Z and their
// like in Latin-1 are lower case (kernel: xfs_ascii_ci_xfrm).
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' || c >= 0xc0 && c <= 0xde && c != 0xd7 {
		return c + 'a' - 'A'
	}
	return c
}

// key is the same for names that are one.
func (t *Tree) key(name string) string {
	if !t.s.tree.ci {
		return name
	}
	b := []byte(name)
	for k := range b {
		b[k] = lower(b[k])
	}
	return string(b)
}

// hash is that of a name in the index.
func (t *Tree) hash(name string) uint32 {
	var h uint32
	for k := range len(name) {
		c := name[k]
		if t.s.tree.ci {
			c = lower(c)
		}
		// The kernel takes four bytes at once (xfs_da_hashname), which is the same.
		h = uint32(c) ^ bits.RotateLeft32(h, 7)
	}
	return h
}
