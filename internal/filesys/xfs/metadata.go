package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"ingot/internal/block"
)

// Trees of a group beside those of free space, by where the AGF and AGI have
// their roots and heights (xfs_format.h): records and keys have other sizes.
type groupTree struct {
	name, magic4, magic5 string
	inAGI                bool
	root, levels         int // offsets in the header
	key                  int // bytes of what stands for a child in a node, beside its pointer
}

func groupTrees() []groupTree {
	return []groupTree{
		{"bnobt", "ABTB", "AB3B", false, rootBno, levelBno, 8},
		{"cntbt", "ABTC", "AB3C", false, rootCnt, levelCnt, 8},
		{"rmapbt", "", "RMB3", false, 24, 36, 40}, // lowest and highest key
		{"refcountbt", "", "R3FC", false, 88, 92, 4},
		{"finobt", "FIBT", "FIB3", true, 328, 332, 4},
		inodeTree(),
	}
}

func inodeTree() groupTree { return groupTree{"inobt", "IABT", "IAB3", true, rootInodes, 24, 4} }

// Metadata gives the bytes of the file system's own: headers of groups, their
// trees, the blocks set aside for those, the log, all inodes with the trees of
// their extents and their attributes, and the contents of inodes that have no
// names. It reads all inodes. Some bytes may be given more than once.
func (t *Tree) Metadata() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		m := metadata{t: t, j: joiner{yield: yield}}
		var err error
		for no := int64(0); no < t.s.Groups && err == nil; no++ {
			if err = m.group(no); err != nil && err != errStop {
				err = fmt.Errorf("allocation group %d: %w", no, err)
			}
		}
		if err == nil {
			err = m.j.flush()
		}
		if err != nil && err != errStop {
			yield(block.Extent{}, err)
		}
	}
}

// metadata is one walk over the file system's own.
type metadata struct {
	t    *Tree
	j    joiner
	left int64 // blocks that the trees of a group may still have
	last int64 // block of the inode that was given last
}

// add gives n blocks of the volume.
func (m *metadata) add(at, n int64) error {
	size := m.t.s.BlockSize
	return m.j.add(at*size, n*size)
}

func (m *metadata) group(no int64) error {
	v := &Volume{r: m.t.r, super: *m.t.s}
	g, err := v.readGroup(no)
	if err != nil {
		return err
	}
	for _, e := range g.inUse(m.t.s) {
		if err := m.j.add(e.Off, e.Len); err != nil {
			return err
		}
	}
	headers := make([]byte, headerSectors*m.t.s.SectorSize)
	if err := m.t.read(headers, g.first*m.t.s.BlockSize); err != nil {
		return err
	}
	for _, k := range groupTrees() {
		root, levels := m.rootOf(headers, k)
		if levels == 0 && k.name != inodeTree().name {
			continue // the volume has none
		}
		m.left = g.length
		if err := m.tree(g, k, root, levels); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// rootOf reads where a tree begins; levels is 0 for one that is not there.
func (m *metadata) rootOf(headers []byte, k groupTree) (root int64, levels int) {
	sector := 1
	if k.inAGI {
		sector = 2
	}
	b := headers[int64(sector)*m.t.s.SectorSize:]
	if m.t.s.Version == 4 && k.magic4 == "" || k.name == "finobt" && m.t.s.Version == 4 {
		return 0, 0
	}
	return int64(binary.BigEndian.Uint32(b[k.root:])), int(binary.BigEndian.Uint32(b[k.levels:]))
}

// tree gives the blocks of a tree from block at of a group on down, which has
// levels levels.
func (m *metadata) tree(g *group, k groupTree, at int64, levels int) error {
	if m.left--; m.left < 0 || levels > maxLevels || at <= 0 || at >= g.length {
		return fmt.Errorf("block %d of %d, %d levels", at, g.length, levels)
	}
	if err := m.add(g.first+at, 1); err != nil || levels == 1 && k.name != inodeTree().name {
		return err
	}
	b := make([]byte, m.t.s.BlockSize)
	if err := m.t.read(b, (g.first+at)*m.t.s.BlockSize); err != nil {
		return err
	}
	n, err := parseNode(b, kind{name: k.name, magic4: k.magic4, magic5: k.magic5}, m.t.s, levels-1)
	if err == nil && m.t.s.Version == 5 {
		err = owned(b, m.t.s, g.no, (g.first+at)*m.t.s.BlockSize)
	}
	if err != nil {
		return fmt.Errorf("block %d: %w", at, err)
	}
	if levels == 1 {
		return m.inodes(g, n)
	}
	room := len(n.body) / (k.key + pointerSize)
	if n.count > room {
		return fmt.Errorf("block %d: %d entries of %d", at, n.count, room)
	}
	for i := range n.count {
		child := int64(binary.BigEndian.Uint32(n.body[room*k.key+i*pointerSize:]))
		if err := m.tree(g, k, child, levels-1); err != nil {
			return err
		}
	}
	return nil
}

// chunkInodes is how many inodes a record of the inode btree is of: a bit says
// whether one is free, and in volumes with sparse chunks another, for four of
// them, that there are none.
const (
	chunkInodes = 64
	chunkSize   = 16
)

// inodes walks the inodes in a leaf of the inode btree.
func (m *metadata) inodes(g *group, leaf node) error {
	be := binary.BigEndian
	if leaf.count > len(leaf.body)/chunkSize {
		return errors.New("its records do not fit into it")
	}
	for k := range leaf.count {
		b := leaf.body[k*chunkSize:]
		holes := uint16(0)
		if most := be.Uint32(b[4:]); most > chunkInodes { // no plain count of free ones
			holes = be.Uint16(b[4:])
		}
		first, free := uint64(be.Uint32(b)), be.Uint64(b[8:])
		for i := range uint64(chunkInodes) {
			if holes>>(i/4)&1 != 0 {
				continue
			}
			number := uint64(g.no)<<(m.t.s.tree.groupBits+m.t.s.tree.inodeBits) | first + i
			if err := m.inode(number, free>>i&1 == 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// inode takes the place of an inode and, if it is in use, what belongs to it
// and not to the contents of a file that has a name.
func (m *metadata) inode(number uint64, inUse bool) error {
	s := m.t.s
	at, err := s.bytesAt(number)
	if err == nil && at/s.BlockSize != m.last {
		m.last = at / s.BlockSize
		err = m.add(m.last, 1)
	}
	if err != nil || !inUse {
		return err
	}
	i, err := m.t.inode(number)
	if err != nil {
		return err
	}
	hidden := i.links == 0 || slices.Contains(s.tree.hidden, number)
	for _, f := range []*fork{&i.data, &i.attrs} {
		err := i.walk(f, func(p piece) error {
			if hidden || p.table || f == &i.attrs {
				return m.add(p.at, p.n)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
