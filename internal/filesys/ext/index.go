package ext

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"
)

// The index of a folder is a tree of hashes of names. Its root is the first
// block of the folder, behind "." and ".."; its leaves are blocks of names
// (Linux Documentation/filesystems/ext4, "Hash Tree Directories").

// indexNode is a block of the index: entries of 8 bytes, hash and block, the
// first of which has no hash but the counts.
type indexNode struct {
	entries []byte
	start   int // of the entries in the block
	limit   int // entries that there is room for
	version byte
	levels  int // of nodes below the root
}

func (n indexNode) len() int          { return len(n.entries) / 8 }
func (n indexNode) hash(k int) uint32 { return le32(n.entries, 8*k) }
func (n indexNode) block(k int) int64 { return int64(le32(n.entries, 8*k+4) & 0x0fffffff) }
func (n indexNode) find(h uint32) int {
	return sort.Search(n.len()-1, func(k int) bool { return n.hash(k+1) > h })
}

// parseIndex reads a block of the index.
func (s *super) parseIndex(b []byte, root bool) (indexNode, error) {
	n := indexNode{start: 8}
	if root {
		// "." with 12 bytes, ".." with the rest, in which the root hides.
		if le16(b, 4) != 12 || s.recordLen(le16(b, 16)) != len(b)-12 || le32(b, 24) != 0 || b[29] != 8 {
			return n, errors.New("index: no root")
		}
		n.start, n.version, n.levels = 32, b[28], int(b[30])
	}
	if n.levels > 2 {
		return n, fmt.Errorf("index: %d levels", n.levels)
	}
	n.limit = le16(b, n.start)
	count := le16(b, n.start+2)
	if count == 0 || count > n.limit || n.start+8*n.limit > len(b) {
		return n, fmt.Errorf("index: %d entries of %d", count, n.limit)
	}
	n.entries = b[n.start : n.start+8*count]
	return n, nil
}

// csum checks the checksum behind the room for entries.
func (n indexNode) csum(b []byte, seed uint32) error {
	at := n.start + 8*n.limit
	if at+8 > len(b) {
		return errors.New("index: no place for a checksum")
	}
	got := crc32c(crc32c(seed, b[:n.start+len(n.entries)]), b[at:at+4])
	if got = crc32c(got, []byte{0, 0, 0, 0}); got != le32(b, at+4) {
		return fmt.Errorf("index: checksum is %#x, its contents have %#x", le32(b, at+4), got)
	}
	return nil
}

// step is a place on the way down the index.
type step struct {
	node indexNode
	at   int
}

// lookupIndex seeks a name by the index of a folder. It fails with
// fs.ErrNotExist when the name is not there, with another error when the index
// cannot be used.
func (t *Tree) lookupIndex(i *inode, name string) (entry, error) {
	root, err := t.indexBlock(i, 0)
	if err != nil {
		return entry{}, err
	}
	h, err := t.s.hash(root.version, []byte(name))
	if err != nil {
		return entry{}, err
	}
	way := []step{{root, root.find(h)}}
	if way, err = t.descend(i, way, root.levels, func(n indexNode) int { return n.find(h) }); err != nil {
		return entry{}, err
	}
	// Names of one hash may go on in the next leaf, whose hash has its lowest
	// bit set then.
	for range i.size / t.s.blockSize {
		last := way[len(way)-1]
		e, err := t.scanLeaf(i, last.node.block(last.at), name)
		if err != nil || e.inode != 0 {
			return e, err
		}
		if way = next(way); way == nil {
			break
		}
		if last = way[len(way)-1]; last.node.hash(last.at) != h|1 {
			break
		}
		if way, err = t.descend(i, way, root.levels, func(indexNode) int { return 0 }); err != nil {
			return entry{}, err
		}
	}
	return entry{}, fs.ErrNotExist
}

// descend goes down from the end of way to the node above the leaves.
func (t *Tree) descend(i *inode, way []step, levels int, choose func(indexNode) int) ([]step, error) {
	for len(way) <= levels {
		last := way[len(way)-1]
		k := last.node.block(last.at)
		if k == 0 {
			return nil, errors.New("index: in a circle")
		}
		n, err := t.indexBlock(i, k)
		if err != nil {
			return nil, err
		}
		way = append(way, step{n, choose(n)})
	}
	return way, nil
}

// next moves to the entry behind the last of way, up where a node ends; nil at
// the end of the index.
func next(way []step) []step {
	for n := len(way); n > 0; n-- {
		if s := &way[n-1]; s.at+1 < s.node.len() {
			s.at++
			return way[:n]
		}
	}
	return nil
}

// indexBlock reads block k of a folder, which must be of the index.
func (t *Tree) indexBlock(i *inode, k int64) (indexNode, error) {
	b, err := t.dirBlock(i, k)
	if err != nil {
		return indexNode{}, err
	}
	n, err := t.s.parseIndex(b, k == 0)
	if err == nil && k != 0 && t.s.recordLen(le16(b, 4)) != len(b) {
		err = errors.New("index: a block of names in it")
	}
	return n, err
}

// dirBlock reads one block of a folder.
func (t *Tree) dirBlock(i *inode, k int64) ([]byte, error) {
	if k >= i.size/t.s.blockSize {
		return nil, fmt.Errorf("folder of inode %d: no block %d", i.number, k)
	}
	p, err := t.find(i, k)
	if err != nil {
		return nil, err
	}
	if p.at == hole || p.unwritten {
		return nil, fmt.Errorf("folder of inode %d: no block %d", i.number, k)
	}
	b, err := t.block(p.at)
	if err == nil {
		err = t.dirCsum(i, k, b)
	}
	return b, err
}

// scanLeaf seeks a name in one block of a folder; an entry without an inode
// tells that it is not there.
func (t *Tree) scanLeaf(i *inode, k int64, name string) (found entry, err error) {
	b, err := t.dirBlock(i, k)
	if err != nil {
		return found, err
	}
	err = t.s.scanBlock(b, func(e entry) error {
		if string(e.name) == name {
			found = entry{inode: e.inode, kind: e.kind}
			return errStop
		}
		return nil
	})
	if err == errStop {
		err = nil
	}
	return found, err
}
