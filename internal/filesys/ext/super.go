package ext

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The superblock stands at byte 1024 of every ext file system, whatever its
// block size, and has 1024 bytes.
const (
	superOff  = 1024
	superSize = 1024
)

// Limits of the format: mke2fs makes blocks of 1 to 64 KiB, and a bigalloc
// cluster of at most 512 MiB.
const (
	maxLogBlock   = 6
	maxLogCluster = 19
	oldInodeSize  = 128 // of revision 0, and the part that larger inodes share with it
	oldDescSize   = 32
	maxDescSize   = 1024
)

// Bits of the three feature sets (Linux Documentation/filesystems/ext4, "Super
// Block"; e2fsprogs lib/ext2fs/ext2_fs.h).
const (
	compatHasJournal   = 0x4
	compatResizeInode  = 0x10
	compatDirIndex     = 0x20
	compatSparseSuper2 = 0x200
	compatOrphanFile   = 0x1000

	incompatFiletype   = 0x2
	incompatRecover    = 0x4
	incompatJournalDev = 0x8
	incompatMetaBG     = 0x10
	incompat64bit      = 0x80
	incompatMMP        = 0x100
	incompatEAInode    = 0x400
	incompatCsumSeed   = 0x2000
	incompatLargeDir   = 0x4000

	roSparseSuper  = 0x1
	roHugeFile     = 0x8
	roGDTCsum      = 0x10
	roBigalloc     = 0x200
	roMetadataCsum = 0x400
	roProject      = 0x2000
)

// The features that are understood here. Unknown bits of any set make a volume
// one to be copied whole: sparse_super2 moved metadata as a compatible feature,
// and bigalloc changed what a bitmap means as one for reading only.
const (
	// dir_prealloc, imagic, has_journal, ext_attr, resize_inode, dir_index,
	// sparse_super2, fast_commit, stable_inodes, orphan_file
	knownCompat = 0x1 | 0x2 | compatHasJournal | 0x8 | compatResizeInode | compatDirIndex | compatSparseSuper2 | 0x400 | 0x800 | compatOrphanFile
	// filetype, recover, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode,
	// dirdata, csum_seed, largedir, inline_data, encrypt, casefold
	knownIncompat = incompatFiletype | incompatRecover | incompatMetaBG | 0x40 | incompat64bit | incompatMMP | 0x200 |
		incompatEAInode | 0x1000 | incompatCsumSeed | incompatLargeDir | 0x8000 | 0x10000 | 0x20000
	// sparse_super, large_file, btree_dir, huge_file, gdt_csum, dir_nlink,
	// extra_isize, quota, bigalloc, metadata_csum, readonly, project,
	// shared_blocks, verity, orphan_present
	knownRO = roSparseSuper | 0x2 | 0x4 | roHugeFile | roGDTCsum | 0x20 | 0x40 | 0x100 | roBigalloc | roMetadataCsum |
		0x1000 | roProject | 0x4000 | 0x8000 | 0x10000
	// What the drivers of ext2 and ext3 can mount; more is ext4.
	ext2Incompat = incompatFiletype | incompatMetaBG
	ext2RO       = roSparseSuper | 0x2 | 0x4
)

// Bits of the state of a file system.
const (
	stateClean  = 0x1
	stateErrors = 0x2
)

// super is what the superblock says: sizes in bytes, places in blocks from the
// start of the volume.
type super struct {
	blockSize, clusterSize   int64
	blocks, freeBlocks       int64
	first                    int64 // block where group 0 begins
	groups                   int64
	blocksPerGroup           int64
	clustersPerGroup         int64
	inodes, inodesPerGroup   int64
	inodeSize, descSize      int64
	firstInode               uint32
	reservedGDT, firstMetaBG int64
	backupGroups             [2]int64 // sparse_super2
	compat, incompat, ro     uint32
	state                    uint16
	uuid                     [16]byte
	label                    string
	journalInode             uint32
	hidden                   [2]uint32 // further inodes without names, 0 if there is none
	mmp                      int64     // block, 0 if there is none
	journalUUID              [16]byte
	csumSeed                 uint32 // of all metadata checksums
	hashSeed                 [4]uint32
	unsignedHash             bool
}

// isSuper reports whether b, the first bytes of a superblock, may be one: the
// magic number EF53 at offset 56.
func isSuper(b []byte) bool { return len(b) >= 58 && b[56] == 0x53 && b[57] == 0xef }

// parseSuper reads a superblock of superSize bytes and proves that its fields
// go together. Its errors name the field and its offset.
func parseSuper(b []byte) (super, error) {
	var s super
	if len(b) < superSize || !isSuper(b) {
		return s, fmt.Errorf("ext superblock: no magic number at offset 56 of %d bytes", len(b))
	}
	u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	s.state = binary.LittleEndian.Uint16(b[0x3a:])
	s.firstInode, s.inodeSize, s.descSize = 11, oldInodeSize, oldDescSize
	if rev := u32(0x4c); rev > 1 {
		return s, fmt.Errorf("ext superblock: revision at offset %#x is %d", 0x4c, rev)
	} else if rev == 1 {
		s.firstInode, s.inodeSize = u32(0x54), int64(binary.LittleEndian.Uint16(b[0x58:]))
		s.compat, s.incompat, s.ro = u32(0x5c), u32(0x60), u32(0x64)
	}
	s.identity(b)
	if got, want := crc32c(^uint32(0), b[:0x3fc]), u32(0x3fc); s.metadataCsum() && got != want {
		return s, fmt.Errorf("ext superblock: checksum at offset %#x is %#x, its contents have %#x", 0x3fc, want, got)
	}
	if s.incompat&incompatJournalDev != 0 {
		return s, fmt.Errorf("ext superblock: this is the journal of another file system")
	}
	for _, parse := range []func([]byte) error{s.sizes, s.counts, s.descriptors} {
		if err := parse(b); err != nil {
			return s, fmt.Errorf("ext superblock: %w", err)
		}
	}
	return s, nil
}

// identity reads what does not bear on the map.
func (s *super) identity(b []byte) {
	copy(s.uuid[:], b[0x68:])
	copy(s.journalUUID[:], b[0xd0:])
	s.label, _, _ = strings.Cut(string(b[0x78:0x88]), "\x00")
	s.journalInode = binary.LittleEndian.Uint32(b[0xe0:])
	if s.compat&compatOrphanFile != 0 {
		s.hidden[0] = binary.LittleEndian.Uint32(b[0x280:])
	}
	if s.ro&roProject != 0 { // whose quotas have no inode of a fixed number
		s.hidden[1] = binary.LittleEndian.Uint32(b[0x26c:])
	}
	if s.incompat&incompatMMP != 0 {
		s.mmp = int64(binary.LittleEndian.Uint64(b[0x168:]))
	}
	for i := range s.hashSeed {
		s.hashSeed[i] = binary.LittleEndian.Uint32(b[0xec+4*i:])
	}
	s.unsignedHash = binary.LittleEndian.Uint32(b[0x160:])&2 != 0
	s.csumSeed = crc32c(^uint32(0), s.uuid[:])
	if s.incompat&incompatCsumSeed != 0 {
		s.csumSeed = binary.LittleEndian.Uint32(b[0x270:])
	}
}

// sizes reads the sizes of blocks, clusters and inodes.
func (s *super) sizes(b []byte) error {
	logBlock, logCluster := binary.LittleEndian.Uint32(b[0x18:]), binary.LittleEndian.Uint32(b[0x1c:])
	if logBlock > maxLogBlock {
		return fmt.Errorf("block size at offset %#x is 2^%d KiB", 0x18, logBlock)
	}
	if logCluster > maxLogCluster || logCluster < logBlock || logCluster != logBlock && s.ro&roBigalloc == 0 {
		return fmt.Errorf("cluster size at offset %#x is 2^%d KiB, of blocks it is 2^%d KiB", 0x1c, logCluster, logBlock)
	}
	s.blockSize, s.clusterSize = 1024<<logBlock, 1024<<logCluster
	if s.inodeSize < oldInodeSize || s.inodeSize > s.blockSize || !powerOfTwo(s.inodeSize) {
		return fmt.Errorf("inode size at offset %#x is %d", 0x58, s.inodeSize)
	}
	return nil
}

// counts reads how many blocks and inodes there are, and how groups share them.
func (s *super) counts(b []byte) error {
	u32 := func(off int) int64 { return int64(binary.LittleEndian.Uint32(b[off:])) }
	s.blocks, s.freeBlocks, s.first = u32(0x4), u32(0xc), u32(0x14)
	if s.incompat&incompat64bit != 0 {
		s.blocks |= u32(0x150) << 32
		s.freeBlocks |= u32(0x158) << 32
	}
	if s.first > 1 || s.first == 1 && s.blockSize != 1024 || s.first == 0 && s.blockSize == 1024 && s.ratio() == 1 {
		return fmt.Errorf("first data block at offset %#x is %d for blocks of %d bytes", 0x14, s.first, s.blockSize)
	}
	if s.blocks <= s.first || s.blocks > 1<<62/s.blockSize || s.freeBlocks < 0 || s.freeBlocks > s.blocks {
		return fmt.Errorf("block count at offset 4 is %d, %d of them free", s.blocks, s.freeBlocks)
	}
	s.blocksPerGroup, s.clustersPerGroup = u32(0x20), u32(0x20)
	if s.ro&roBigalloc != 0 {
		s.clustersPerGroup = u32(0x24)
	}
	if n := s.clustersPerGroup; n == 0 || n%8 != 0 || n > 8*s.blockSize || s.blocksPerGroup != n*s.ratio() {
		return fmt.Errorf("blocks per group at offset %#x is %d, clusters per group %d", 0x20, s.blocksPerGroup, n)
	}
	s.groups = (s.blocks - s.first + s.blocksPerGroup - 1) / s.blocksPerGroup
	s.inodes, s.inodesPerGroup = u32(0), u32(0x28)
	// 2^32 groups have more inodes than can be counted; the product cannot overflow.
	if n := s.inodesPerGroup; n == 0 || n > 8*s.blockSize || s.groups > 1<<32 || n*s.groups != s.inodes {
		return fmt.Errorf("inodes per group at offset %#x is %d, %d groups have %d inodes", 0x28, n, s.groups, s.inodes)
	}
	return nil
}

// descriptors reads what tells where the group descriptors are.
func (s *super) descriptors(b []byte) error {
	if s.incompat&incompat64bit != 0 {
		s.descSize = int64(binary.LittleEndian.Uint16(b[0xfe:]))
		if s.descSize < 2*oldDescSize || s.descSize > maxDescSize || !powerOfTwo(s.descSize) {
			return fmt.Errorf("group descriptor size at offset %#x is %d", 0xfe, s.descSize)
		}
	}
	s.reservedGDT = int64(binary.LittleEndian.Uint16(b[0xce:]))
	if s.reservedGDT > s.blockSize/4 {
		return fmt.Errorf("reserved descriptor blocks at offset %#x are %d", 0xce, s.reservedGDT)
	}
	if s.incompat&incompatMetaBG != 0 {
		s.firstMetaBG = int64(binary.LittleEndian.Uint32(b[0x104:]))
		if s.firstMetaBG > s.descBlocks() {
			return fmt.Errorf("first meta block group at offset %#x is %d of %d", 0x104, s.firstMetaBG, s.descBlocks())
		}
	}
	for i := range s.backupGroups {
		s.backupGroups[i] = int64(binary.LittleEndian.Uint32(b[0x24c+4*i:]))
	}
	return nil
}

// unknown names the feature bits that are not understood here, or gives "".
func (s *super) unknown() string {
	var out []string
	for _, f := range []struct {
		set        string
		have, know uint32
	}{{"incompatible", s.incompat, knownIncompat}, {"read-only compatible", s.ro, knownRO}, {"compatible", s.compat, knownCompat}} {
		if more := f.have &^ f.know; more != 0 {
			out = append(out, fmt.Sprintf("%s features %#x", f.set, more))
		}
	}
	return strings.Join(out, ", ")
}

// kind is the name of the oldest driver that could mount it: ext2, ext3 or ext4.
func (s *super) kind() string {
	switch {
	case s.incompat&^(ext2Incompat|incompatRecover) != 0 || s.ro&^ext2RO != 0:
		return "ext4"
	case s.compat&compatHasJournal != 0:
		return "ext3"
	}
	return "ext2"
}

func (s *super) metadataCsum() bool { return s.ro&roMetadataCsum != 0 }

// groupCsum says that descriptors have checksums, and with them flags.
func (s *super) groupCsum() bool { return s.ro&(roMetadataCsum|roGDTCsum) != 0 }

// ratio is the number of blocks in a cluster.
func (s *super) ratio() int64 { return s.clusterSize / s.blockSize }

func powerOfTwo(n int64) bool { return n > 0 && n&(n-1) == 0 }
