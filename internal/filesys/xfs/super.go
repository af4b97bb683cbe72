package xfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// Magic is what a volume begins with.
const Magic = "XFSB"

// Limits of the format (kernel fs/xfs/libxfs/xfs_types.h and xfs_fs.h).
const (
	minSector, maxSector = 512, 32 << 10
	minBlock, maxBlock   = 512, 64 << 10
	minGroupBlocks       = 64
	maxGroupBytes        = 1 << 40
)

// Flags of sb_versionnum and sb_features2.
const (
	versionMask   = 0x000f
	versionMore   = 0x8000
	features2Lazy = 0x0002
	superCRC      = 224 // where version 5 has its checksum
)

// Super is what a superblock says. Sizes are bytes, the other numbers blocks.
type Super struct {
	Version               int // 4 or 5
	SectorSize, BlockSize int64
	Blocks, FreeBlocks    int64 // of the data device
	GroupBlocks, Groups   int64
	LogStart, LogBlocks   int64 // LogStart counts from the start of the volume, 0 when the log lies elsewhere
	UUID, MetaUUID        [16]byte
	Label                 string
	lazy                  bool // btree blocks count as free in FreeBlocks
	doubt                 error
	tree                  treeSuper
}

// IsSuper reports whether b begins as an XFS superblock does.
func IsSuper(b []byte) bool { return bytes.HasPrefix(b, []byte(Magic)) }

// sectorSize reads the one field that says how long a superblock is.
func sectorSize(b []byte) (int64, error) {
	if len(b) < minSector {
		return 0, fmt.Errorf("XFS superblock: %d bytes instead of %d", len(b), minSector)
	}
	if !IsSuper(b) {
		return 0, errors.New("XFS superblock: no mark \"XFSB\" at offset 0")
	}
	n := int64(binary.BigEndian.Uint16(b[102:]))
	if n < minSector || n > maxSector || n&(n-1) != 0 {
		return 0, fmt.Errorf("XFS superblock: sector size at offset 102 is %d", n)
	}
	return n, nil
}

// ParseSuper reads a superblock, which fills the sector b. Its errors name the
// field and its offset.
func ParseSuper(b []byte) (Super, error) {
	var s Super
	n, err := sectorSize(b)
	if err != nil {
		return s, err
	}
	if int64(len(b)) < n {
		return s, fmt.Errorf("XFS superblock: %d bytes instead of %d", len(b), n)
	}
	s.SectorSize = n
	s.Version = int(binary.BigEndian.Uint16(b[100:]) & versionMask)
	switch s.Version {
	case 4:
	case 5:
		if !checksum(b[:n], superCRC) {
			return s, errors.New("XFS superblock: the checksum at offset 224 is wrong")
		}
	default:
		return s, fmt.Errorf("XFS superblock: version at offset 100 is %d", s.Version)
	}
	copy(s.UUID[:], b[32:])
	s.MetaUUID = s.UUID
	if s.Version == 5 && binary.BigEndian.Uint32(b[offIncompat:])&incompatMetaUUID != 0 {
		copy(s.MetaUUID[:], b[offMetaUUID:])
	}
	s.Label = strings.TrimRight(string(b[108:120]), "\x00 ")
	if err := s.geometry(b); err != nil {
		return s, err
	}
	s.doubt = s.features(b)
	s.tree.read(b, &s)
	return s, nil
}

// geometry reads how the volume is cut into groups and blocks.
func (s *Super) geometry(b []byte) error {
	be := binary.BigEndian
	s.BlockSize = int64(be.Uint32(b[4:]))
	if s.BlockSize < max(minBlock, s.SectorSize) || s.BlockSize > maxBlock || s.BlockSize&(s.BlockSize-1) != 0 {
		return fmt.Errorf("XFS superblock: block size at offset 4 is %d", s.BlockSize)
	}
	s.GroupBlocks, s.Groups = int64(be.Uint32(b[84:])), int64(be.Uint32(b[88:]))
	if s.GroupBlocks < minGroupBlocks || s.GroupBlocks > maxGroupBytes/s.BlockSize {
		return fmt.Errorf("XFS superblock: allocation group size at offset 84 is %d blocks", s.GroupBlocks)
	}
	blocks := be.Uint64(b[8:])
	if s.Groups == 0 || blocks > uint64(s.Groups*s.GroupBlocks) || blocks < uint64((s.Groups-1)*s.GroupBlocks+minGroupBlocks) {
		return fmt.Errorf("XFS superblock: %d blocks at offset 8 do not make %d allocation groups of %d", blocks, s.Groups, s.GroupBlocks)
	}
	s.Blocks = int64(blocks)
	if log := uint(b[124]); log > 31 || 1<<log < s.GroupBlocks || 1<<log >= 2*s.GroupBlocks {
		return fmt.Errorf("XFS superblock: logarithm of the allocation group size at offset 124 is %d", b[124])
	}
	s.FreeBlocks = int64(min(be.Uint64(b[144:]), 1<<62)) // copies need not be up to date
	return s.log(b)
}

// log reads where the log lies: its first block is given as a group number
// with the block in the group below it.
func (s *Super) log(b []byte) error {
	start := binary.BigEndian.Uint64(b[48:])
	s.LogBlocks = int64(binary.BigEndian.Uint32(b[96:]))
	if start == 0 {
		return nil
	}
	shift := uint(b[124])
	group, block := start>>shift, int64(start&(1<<shift-1))
	if group >= uint64(s.Groups) || block+s.LogBlocks > s.groupLen(int64(group)) || s.LogBlocks == 0 || block == 0 {
		return fmt.Errorf("XFS superblock: a log of %d blocks at %#x (offset 48) lies in no allocation group", s.LogBlocks, start)
	}
	s.LogStart = int64(group)*s.GroupBlocks + block
	return nil
}

// groupLen is the number of blocks of a group; the last one may be shorter.
func (s *Super) groupLen(group int64) int64 {
	return min(s.GroupBlocks, s.Blocks-group*s.GroupBlocks)
}

// The features of version 5 that leave the free-space btrees as they are. Of
// the read-only compatible ones: finobt, rmapbt, reflink, inobtcount. Of the
// incompatible ones: ftype, sparse inodes, meta_uuid, bigtime, (needsrepair),
// nrext64, exchange-range, parent pointers. Of those for the log: xattrs.
const (
	knownROCompat    = 0x0f
	knownIncompat    = 0xff
	incompatMetaUUID = 0x04
	incompatNeedsFix = 0x10
	incompatMetaDir  = 0x100
	incompatZoned    = 0x200
	knownLogIncompat = 0x01
	offROCompat      = 212
	offIncompat      = 216
	offLogIncompat   = 220
	offMetaUUID      = 248
)

// features gives the reason why the used map of this volume cannot be told,
// when there is one.
func (s *Super) features(b []byte) error {
	be := binary.BigEndian
	version := be.Uint16(b[100:])
	s.lazy = s.Version == 5 || version&versionMore != 0 && be.Uint32(b[200:])&features2Lazy != 0
	switch {
	case b[126] != 0:
		return errors.New("it was not finished by mkfs.xfs (in progress)")
	case s.LogStart == 0:
		return errors.New("its log lies on another device")
	case be.Uint64(b[16:]) != 0 || be.Uint64(b[24:]) != 0:
		return errors.New("it has a realtime device")
	case s.Version == 4:
		return nil
	}
	incompat := be.Uint32(b[offIncompat:])
	switch ro, log := be.Uint32(b[offROCompat:])&^knownROCompat, be.Uint32(b[offLogIncompat:])&^knownLogIncompat; {
	case incompat&incompatNeedsFix != 0:
		return errors.New("it is marked as needing repair: run xfs_repair")
	case incompat&(incompatMetaDir|incompatZoned) != 0:
		return fmt.Errorf("it has a metadata directory or zones (incompatible features %#x)", incompat)
	case incompat&^knownIncompat != 0:
		return fmt.Errorf("it has unknown incompatible features %#x", incompat&^knownIncompat)
	case ro != 0:
		return fmt.Errorf("it has unknown read-only compatible features %#x", ro)
	case log != 0:
		return fmt.Errorf("it has unknown features %#x of the log", log)
	}
	return nil
}

// sameGeometry compares a superblock with the copy in another group.
func (s *Super) sameGeometry(c *Super) error {
	for _, f := range []struct {
		name      string
		ours, its int64
	}{
		{"version", int64(s.Version), int64(c.Version)}, {"sector size", s.SectorSize, c.SectorSize},
		{"block size", s.BlockSize, c.BlockSize}, {"number of blocks", s.Blocks, c.Blocks},
		{"allocation group size", s.GroupBlocks, c.GroupBlocks}, {"number of allocation groups", s.Groups, c.Groups},
		{"start of the log", s.LogStart, c.LogStart}, {"length of the log", s.LogBlocks, c.LogBlocks},
	} {
		if f.ours != f.its {
			return fmt.Errorf("its %s is %d, that of the first one is %d", f.name, f.its, f.ours)
		}
	}
	if s.MetaUUID != c.MetaUUID {
		return errors.New("it belongs to another volume")
	}
	return nil
}

// checksum reports whether the CRC32C of b, with zeros in its own place, is
// what stands at off in little-endian order.
func checksum(b []byte, off int) bool {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:off])
	sum = crc32.Update(sum, table, make([]byte, 4))
	sum = crc32.Update(sum, table, b[off+4:])
	return sum == binary.LittleEndian.Uint32(b[off:])
}
