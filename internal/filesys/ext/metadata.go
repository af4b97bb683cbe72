package ext

import (
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"ingot/internal/block"
)

// Attributes are those bits of Windows that say that the contents of a file are
// not what is stored: FILE_ATTRIBUTE_ENCRYPTED, and for fs-verity, which checks
// them against a hash, FILE_ATTRIBUTE_INTEGRITY_STREAM.
func (n Node) Attributes() (bits uint32) {
	if n.i.flags&flagEncrypted != 0 {
		bits |= 0x4000
	}
	if n.i.flags&flagVerity != 0 {
		bits |= 0x8000
	}
	return bits
}

// Entries is what a folder has in it, as ReadDir gives it.
func (n Node) Entries() ([]fs.DirEntry, error) { return n.t.list(n.i) }

// Metadata gives the bytes of the file system's own: superblocks, descriptors,
// bitmaps, inode tables, the contents of the files that have no names (journal,
// quotas), and for all files the blocks of their maps and attributes. It reads
// all inodes that are in use. A block of attributes that many files share may
// be given more than once.
func (t *Tree) Metadata() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		m := metadata{t: t, j: joiner{yield: yield}, shared: map[int64]bool{}}
		err := m.groups()
		if err == nil && t.s.inside(t.s.mmp, 1) {
			err = m.add(t.s.mmp, 1)
		}
		if err == nil {
			err = m.j.flush()
		}
		if err != nil && err != errStop {
			yield(block.Extent{}, err)
		}
	}
}

// maxShared is how many blocks of attributes are remembered, which files share.
const maxShared = 1 << 16

// metadata is one walk over the file system's own.
type metadata struct {
	t      *Tree
	j      joiner
	shared map[int64]bool
}

func (m *metadata) add(at, n int64) error {
	s := m.t.s
	return m.j.add(s.whole(piece{at: at, n: n}, block.Extent{}))
}

func (m *metadata) groups() error {
	s := m.t.s
	buf := make([]byte, s.blockSize)
	var ds []desc
	for n := range s.descBlocks() {
		var err error
		if ds, err = s.descs(m.t.r, n, buf, ds[:0]); err != nil {
			return err
		}
		for k, d := range ds {
			g := n*s.descsPerBlock() + int64(k)
			err := m.add(s.groupStart(g), min(s.baseBlocks(g), s.groupBlocks(g)))
			for _, e := range [...]span{{d.bitmap, 1}, {d.inodeBitmap, 1}, {d.table, s.tableBlocks()}} {
				if err == nil {
					err = m.add(e.at, e.n)
				}
			}
			if err == nil {
				err = m.t.inodes(g, d, m.inode)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// inode takes what belongs to an inode and not to the contents of a file that
// has a name.
func (m *metadata) inode(i *inode) error {
	if i.acl != 0 && !m.shared[i.acl] {
		if !m.t.s.inside(i.acl, 1) {
			return fmt.Errorf("attributes at block %d of %d", i.acl, m.t.s.blocks)
		}
		if len(m.shared) < maxShared {
			m.shared[i.acl] = true
		}
		if err := m.add(i.acl, 1); err != nil {
			return err
		}
	}
	s := m.t.s
	hidden := i.number < s.firstInode && i.number != rootInode || i.flags&flagEAInode != 0 || slices.Contains(s.hidden[:], i.number)
	return m.t.walk(i, func(p piece) error {
		if hidden || p.table {
			return m.add(p.at, p.n)
		}
		return nil
	})
}
