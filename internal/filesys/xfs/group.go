package xfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"ingot/internal/block"
)

// An allocation group begins with four sectors: superblock, AGF (free space),
// AGI (inodes), AGFL (blocks set aside for the trees). See xfs_format.h:
// struct xfs_agf, xfs_agi, xfs_agfl.
const (
	headerSectors     = 4
	groupVersion      = 1
	agfCRC, agfUUID   = 216, 64
	agiCRC, agiUUID   = 312, 296
	agflCRC, agflUUID = 32, 8
	agflHeader        = 36 // bytes, of version 5; version 4 has none
	rootBno, levelBno = 16, 28
	rootCnt, levelCnt = 20, 32
	rootInodes        = 20 // in the AGI
	maxLevels         = 9
)

// group is what the headers of an allocation group say. Blocks count from the
// group's first one.
type group struct {
	no, first, length int64 // first: block of the volume
	bno, cnt          tree
	free, longest     int64    // blocks in the trees, and in their longest extent
	btreeBlocks       int64    // that the trees have beside their roots
	inodes            int64    // root of the inode btree
	ring              [3]int64 // of blocks set aside: first and last place, count
	spare             []int64  // those blocks
}

// readGroup reads and checks the headers of group no.
func (v *Volume) readGroup(no int64) (*group, error) {
	s := &v.super
	g := &group{no: no, first: no * s.GroupBlocks, length: s.groupLen(no)}
	b := make([]byte, headerSectors*s.SectorSize)
	at := g.first * s.BlockSize
	if n, err := v.r.ReadAt(b, at); n < len(b) {
		return nil, fmt.Errorf("read the headers of allocation group %d at byte %d: %w", no, at, err)
	}
	sector := func(i int64) []byte { return b[i*s.SectorSize : (i+1)*s.SectorSize] }
	if no > 0 {
		c, err := ParseSuper(sector(0))
		if err == nil {
			err = s.sameGeometry(&c)
		}
		if err != nil {
			return nil, fmt.Errorf("copy of the superblock in allocation group %d at byte %d: %w", no, at, err)
		}
	}
	if err := g.agf(sector(1), s); err != nil {
		return nil, fmt.Errorf("AGF of allocation group %d at byte %d: %w", no, at+s.SectorSize, err)
	}
	if err := g.agi(sector(2), s); err != nil {
		return nil, fmt.Errorf("AGI of allocation group %d at byte %d: %w", no, at+2*s.SectorSize, err)
	}
	if err := g.agfl(sector(3), s); err != nil {
		return nil, fmt.Errorf("AGFL of allocation group %d at byte %d: %w", no, at+3*s.SectorSize, err)
	}
	return g, nil
}

// header checks what the sectors AGF and AGI have in common.
func (g *group) header(b []byte, magic string, crc, uuid int, s *Super) error {
	be := binary.BigEndian
	switch {
	case string(b[:4]) != magic:
		return fmt.Errorf("no mark %q at offset 0", magic)
	case s.Version == 5 && !checksum(b, crc):
		return fmt.Errorf("the checksum at offset %d is wrong", crc)
	case s.Version == 5 && !bytes.Equal(b[uuid:uuid+16], s.MetaUUID[:]):
		return errors.New("it belongs to another volume")
	case be.Uint32(b[4:]) != groupVersion:
		return fmt.Errorf("version at offset 4 is %d", be.Uint32(b[4:]))
	case int64(be.Uint32(b[8:])) != g.no:
		return fmt.Errorf("it says at offset 8 that it is of group %d", be.Uint32(b[8:]))
	case int64(be.Uint32(b[12:])) != g.length:
		return fmt.Errorf("the group has %d blocks at offset 12 instead of %d", be.Uint32(b[12:]), g.length)
	}
	return nil
}

// block takes a number of a block of the group that stands at an offset.
func (g *group) block(b []byte, off int) (int64, error) {
	n := int64(binary.BigEndian.Uint32(b[off:]))
	if n == 0 || n >= g.length {
		return 0, fmt.Errorf("block %d at offset %d is none of the %d of the group", n, off, g.length)
	}
	return n, nil
}

// agf reads the header of free space: roots and heights of the two trees, and
// the counts to check them with.
func (g *group) agf(b []byte, s *Super) (err error) {
	if err := g.header(b, "XAGF", agfCRC, agfUUID, s); err != nil {
		return err
	}
	be := binary.BigEndian
	for _, t := range []struct {
		to          *tree
		root, level int
		kind        func() kind
	}{{&g.bno, rootBno, levelBno, byNumber}, {&g.cnt, rootCnt, levelCnt, bySize}} {
		t.to.kind, t.to.levels = t.kind, int(be.Uint32(b[t.level:]))
		if be.Uint32(b[t.level:]) == 0 || be.Uint32(b[t.level:]) > maxLevels {
			return fmt.Errorf("the height of a tree at offset %d is %d", t.level, be.Uint32(b[t.level:]))
		}
		if t.to.root, err = g.block(b, t.root); err != nil {
			return err
		}
	}
	g.free, g.longest, g.btreeBlocks = int64(be.Uint32(b[52:])), int64(be.Uint32(b[56:])), int64(be.Uint32(b[60:]))
	g.ring = [3]int64{int64(be.Uint32(b[40:])), int64(be.Uint32(b[44:])), int64(be.Uint32(b[48:]))}
	if g.free > g.length || g.longest > g.free || g.btreeBlocks > g.length {
		return fmt.Errorf("%d free blocks at offset 52, the longest extent %d, %d of trees, in a group of %d", g.free, g.longest, g.btreeBlocks, g.length)
	}
	return nil
}

// agi checks the header of inodes, of which only the root of the tree matters:
// it is in use.
func (g *group) agi(b []byte, s *Super) (err error) {
	if err := g.header(b, "XAGI", agiCRC, agiUUID, s); err != nil {
		return err
	}
	g.inodes, err = g.block(b, rootInodes)
	return err
}

// agfl reads the ring of blocks that are set aside for the trees. They are in
// none of them, and in use for us. The AGF says which part of the ring counts.
func (g *group) agfl(b []byte, s *Super) error {
	be := binary.BigEndian
	if s.Version == 5 {
		switch {
		case string(b[:4]) != "XAFL":
			return errors.New("no mark \"XAFL\" at offset 0")
		case !checksum(b, agflCRC):
			return fmt.Errorf("the checksum at offset %d is wrong", agflCRC)
		case !bytes.Equal(b[agflUUID:agflUUID+16], s.MetaUUID[:]) || int64(be.Uint32(b[4:])) != g.no:
			return errors.New("it belongs to another group or volume")
		}
		b = b[agflHeader:]
	}
	first, last, count, size := g.ring[0], g.ring[1], g.ring[2], int64(len(b)/4)
	if first >= size || last >= size || count > size || count > 0 && (last-first+size)%size+1 != count {
		return fmt.Errorf("%d blocks from place %d to %d of %d", count, first, last, size)
	}
	for i := range count {
		n, err := g.block(b, int((first+i)%size*4))
		if err != nil {
			return err
		}
		g.spare = append(g.spare, n)
	}
	return nil
}

// inUse are the bytes of the volume that no tree of free space may hold: the
// headers, the roots, the blocks set aside, and the log if it lies here.
func (g *group) inUse(s *Super) block.Extents {
	size := s.BlockSize
	headers := (headerSectors*s.SectorSize + size - 1) / size
	all := []block.Extent{{Off: g.first * size, Len: headers * size}}
	for _, n := range append(g.spare, g.bno.root, g.cnt.root, g.inodes) {
		all = append(all, block.Extent{Off: (g.first + n) * size, Len: size})
	}
	if s.LogStart >= g.first && s.LogStart < g.first+g.length {
		all = append(all, block.Extent{Off: s.LogStart * size, Len: s.LogBlocks * size})
	}
	return block.NewExtents(all...)
}
