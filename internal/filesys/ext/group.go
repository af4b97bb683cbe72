package ext

import (
	"encoding/binary"
	"fmt"

	"ingot/internal/block"
)

// blockUninit says that a group's bitmap was never written: only metadata is
// in use there. It counts where descriptors have checksums.
const blockUninit = 0x2

// desc is a group descriptor: places in blocks, free in clusters.
type desc struct {
	bitmap, inodeBitmap, table int64
	free, freeInodes           int64
	uninit                     bool
	csum                       uint32 // of the block bitmap
}

func (s *super) groupStart(g int64) int64 { return s.first + g*s.blocksPerGroup }

// groupBlocks is the number of blocks of group g; the last one may be short.
func (s *super) groupBlocks(g int64) int64 { return min(s.blocksPerGroup, s.blocks-s.groupStart(g)) }

func (s *super) groupClusters(g int64) int64 {
	return (s.groupBlocks(g) + s.ratio() - 1) / s.ratio()
}

func (s *super) clusters() int64 { return (s.blocks + s.ratio() - 1) / s.ratio() }

func (s *super) descsPerBlock() int64 { return s.blockSize / s.descSize }

func (s *super) descBlocks() int64 { return (s.groups + s.descsPerBlock() - 1) / s.descsPerBlock() }

// tableBlocks is the size of the inode table of each group.
func (s *super) tableBlocks() int64 {
	return (s.inodesPerGroup*s.inodeSize + s.blockSize - 1) / s.blockSize
}

// hasSuper reports whether group g begins with a superblock: all of them, or
// with sparse_super 0, 1 and the powers of 3, 5 and 7, or with sparse_super2
// those that the superblock names.
func (s *super) hasSuper(g int64) bool {
	switch {
	case g == 0:
		return true
	case s.compat&compatSparseSuper2 != 0:
		return g == s.backupGroups[0] || g == s.backupGroups[1]
	case g == 1 || s.ro&roSparseSuper == 0:
		return true
	}
	return powerOf(g, 3) || powerOf(g, 5) || powerOf(g, 7)
}

func powerOf(n, base int64) bool {
	p := base
	for p < n {
		p *= base
	}
	return p == n
}

// bootBlocks is 1 where the superblock is in the second block of group 0: with
// blocks of 1 KiB and clusters that begin at block 0.
func (s *super) bootBlocks() int64 {
	if s.blockSize == 1024 && s.first == 0 {
		return 1
	}
	return 0
}

// baseBlocks is how many blocks at the start of group g hold a superblock,
// descriptors, and the blocks reserved for more descriptors. With meta_bg the
// descriptors of a row of groups that fills a block are in the first, second
// and last group of the row.
func (s *super) baseBlocks(g int64) int64 {
	var n int64
	if s.hasSuper(g) {
		n = 1
	}
	if g == 0 {
		n += s.bootBlocks()
	}
	per := s.descsPerBlock()
	if s.incompat&incompatMetaBG != 0 && g/per >= s.firstMetaBG {
		if in := g % per; in == 0 || in == 1 || in == per-1 {
			n++
		}
		return n
	}
	switch {
	case n == 0:
	case s.incompat&incompatMetaBG != 0:
		n += s.firstMetaBG
	default:
		n += s.descBlocks() + s.reservedGDT
	}
	return n
}

// descBlock is where the n-th block of descriptors is.
func (s *super) descBlock(n int64) int64 {
	if s.incompat&incompatMetaBG == 0 || n < s.firstMetaBG {
		return s.first + s.bootBlocks() + 1 + n
	}
	g := n * s.descsPerBlock()
	at := s.groupStart(g)
	if s.hasSuper(g) {
		at++
	}
	if g == 0 {
		at += s.bootBlocks()
	}
	return at
}

// parseDesc reads the descriptor of group g out of descSize bytes, and proves
// it by its checksum and by the places it names.
func (s *super) parseDesc(b []byte, g int64) (desc, error) {
	u16 := func(off int) int64 { return int64(binary.LittleEndian.Uint16(b[off:])) }
	u32 := func(off int) int64 { return int64(binary.LittleEndian.Uint32(b[off:])) }
	d := desc{bitmap: u32(0), inodeBitmap: u32(4), table: u32(8), free: u16(0xc), freeInodes: u16(0xe), csum: uint32(u16(0x18))}
	if s.descSize > oldDescSize {
		d.bitmap |= u32(0x20) << 32
		d.inodeBitmap |= u32(0x24) << 32
		d.table |= u32(0x28) << 32
		d.free |= u16(0x2c) << 16
		d.freeInodes |= u16(0x2e) << 16
		d.csum |= uint32(u16(0x38)) << 16
	}
	if s.groupCsum() {
		d.uninit = u16(0x12)&blockUninit != 0
		if got, want := s.descCsum(b, g), uint16(u16(0x1e)); got != want {
			return d, fmt.Errorf("descriptor of group %d: checksum at offset %#x is %#x, its contents have %#x", g, 0x1e, want, got)
		}
	}
	for _, f := range []struct {
		name  string
		at, n int64
	}{{"block bitmap", d.bitmap, 1}, {"inode bitmap", d.inodeBitmap, 1}, {"inode table", d.table, s.tableBlocks()}} {
		if !s.inside(f.at, f.n) {
			return d, fmt.Errorf("descriptor of group %d: %s of %d blocks at block %d of %d", g, f.name, f.n, f.at, s.blocks)
		}
	}
	return d, nil
}

// inside reports whether n blocks from block at on are blocks that may be
// given to something: not the boot block, nor block 0, which means none.
func (s *super) inside(at, n int64) bool {
	return at > 0 && at >= s.first && n >= 0 && n <= s.blocks && at <= s.blocks-n
}

// descCsum is the checksum of a descriptor, whose own two bytes it leaves out
// (gdt_csum) or takes as zeros (metadata_csum).
func (s *super) descCsum(b []byte, g int64) uint16 {
	if s.metadataCsum() {
		crc := crc32c(crc32cNumber(s.csumSeed, uint32(g)), b[:0x1e])
		return uint16(crc32c(crc32c(crc, []byte{0, 0}), b[0x20:]))
	}
	crc := crc16(crc16(0xffff, s.uuid[:]), binary.LittleEndian.AppendUint32(nil, uint32(g)))
	return crc16(crc16(crc, b[:0x1e]), b[0x20:])
}

// descs reads the descriptors in their n-th block and appends them to out.
func (s *super) descs(r block.Reader, n int64, buf []byte, out []desc) ([]desc, error) {
	if err := s.read(r, buf[:s.blockSize], s.descBlock(n)); err != nil {
		return out, fmt.Errorf("group descriptors: %w", err)
	}
	first := n * s.descsPerBlock()
	for i := range min(s.descsPerBlock(), s.groups-first) {
		d, err := s.parseDesc(buf[i*s.descSize:(i+1)*s.descSize], first+i)
		if err != nil {
			return out, err
		}
		out = append(out, d)
	}
	return out, nil
}

// read fills p from the start of a block.
func (s *super) read(r block.Reader, p []byte, at int64) error {
	if n, err := r.ReadAt(p, at*s.blockSize); n < len(p) {
		return fmt.Errorf("read %d bytes at block %d (byte %d): %w", len(p), at, at*s.blockSize, err)
	}
	return nil
}
