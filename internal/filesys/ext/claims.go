package ext

import "fmt"

// inodes calls do for the inodes of a group that are in use, as the group's
// bitmap and its count say, and that have names.
func (t *Tree) inodes(g int64, d desc, do func(*inode) error) error {
	s := t.s
	if d.freeInodes == s.inodesPerGroup { // its bitmap need not be written
		return nil
	}
	bits := make([]byte, s.blockSize)
	err := s.read(t.r, bits, d.inodeBitmap)
	used := int64(0)
	if err == nil {
		err = setRuns(bits, s.inodesPerGroup, func(first, n int64) error {
			used += n
			return t.inodeRun(g, d, first, n, do)
		})
	}
	if free := s.inodesPerGroup - used; err == nil && free != d.freeInodes {
		err = fmt.Errorf("%d inodes are free there, the group's descriptor says %d", free, d.freeInodes)
	}
	if err != nil && err != errStop {
		return fmt.Errorf("inodes of group %d: %w", g, err)
	}
	return err
}

// inodeRun takes n inodes from the first one on.
func (t *Tree) inodeRun(g int64, d desc, first, n int64, do func(*inode) error) error {
	s := t.s
	buf := make([]byte, max(min(readAhead, n*s.inodeSize), s.inodeSize))
	for ; n > 0; n -= int64(len(buf)) / s.inodeSize {
		b := buf[:min(int64(len(buf)), n*s.inodeSize)]
		at := d.table*s.blockSize + first*s.inodeSize
		if got, err := t.r.ReadAt(b, at); got < len(b) {
			return fmt.Errorf("read %d bytes at byte %d: %w", len(b), at, err)
		}
		for ; len(b) > 0; b = b[s.inodeSize:] {
			first++                 // inodes are counted from 1
			if le16(b, 0x1a) == 0 { // reserved ones, and what is being deleted
				continue
			}
			number := uint32(g*s.inodesPerGroup + first)
			i, err := s.parseInode(b[:s.inodeSize], number)
			if err == nil {
				err = do(i)
			}
			if err != nil {
				return fmt.Errorf("inode %d: %w", number, err)
			}
		}
	}
	return nil
}

// claims proves of all inodes that what they themselves point to is in use: the
// first blocks of a file, or of its map, and its attributes. Where inodes have
// checksums damage of them shows when they are read; where they have none it
// would lead to blocks that are not in the map.
func (t *Tree) claims() error {
	s := t.s
	buf := make([]byte, s.blockSize)
	var ds []desc
	for n := range s.descBlocks() {
		var err error
		if ds, err = s.descs(t.r, n, buf, ds[:0]); err != nil {
			return err
		}
		for k, d := range ds {
			if err := t.inodes(n*s.descsPerBlock()+int64(k), d, t.claim); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim proves that what an inode points to is in use.
func (t *Tree) claim(i *inode) error {
	if i.acl != 0 {
		if err := t.inUse(piece{at: i.acl, n: 1}); err != nil {
			return fmt.Errorf("attributes: %w", err)
		}
	}
	switch {
	case i.flags&flagInline != 0 || t.s.fastLink(i):
		return nil
	case i.kind() != modeFile && i.kind() != modeDir && i.kind() != modeLink:
		return nil
	case i.flags&flagExtents == 0:
		for k := range int64(len(i.block) / 4) {
			if at := pointer(i.block[:], k); at != hole {
				if err := t.inUse(piece{at: at, n: 1}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	n, err := t.s.parseExtents(i.block[:], -1, 0, maxLogical)
	for k := 0; err == nil && k < n.len(); k++ {
		p := piece{at: n.child(k), n: 1}
		if n.depth == 0 {
			p = n.extent(k)
		}
		err = t.inUse(p)
	}
	return err
}

// inUse proves that the blocks of p are marked as used in the bitmaps.
func (t *Tree) inUse(p piece) error {
	s := t.s
	if !s.inside(p.at, p.n) {
		return fmt.Errorf("%d blocks at block %d of %d", p.n, p.at, s.blocks)
	}
	for at, end := p.at, p.at+p.n; at < end; {
		g := (at - s.first) / s.blocksPerGroup
		b, err := t.bitmap(g)
		if err != nil {
			return err
		}
		from := at - s.groupStart(g)
		to := min(end-s.groupStart(g), s.blocksPerGroup)
		if !allSet(b, from/s.ratio(), (to-1)/s.ratio()+1) {
			return fmt.Errorf("blocks from %d on belong to it and are not marked as used", at)
		}
		at += to - from
	}
	return nil
}

// bitmap gives the block bitmap of a group, which the caller must not change.
func (t *Tree) bitmap(g int64) ([]byte, error) {
	d, err := t.desc(g)
	if err != nil {
		return nil, err
	}
	if !d.uninit {
		return t.block(d.bitmap)
	}
	b := make([]byte, t.s.blockSize)
	t.s.computed(b, g, d)
	return b, nil
}
