package btrfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"ingot/internal/block"
)

// Magic is what stands at MagicOffset of a volume.
const (
	Magic       = "_BHRfS_M"
	MagicOffset = superOffset + offMagic
)

// Places on the device (btrfs documentation, "Superblock").
const (
	superSize   = 4096
	superOffset = 64 << 10
	copyOffset1 = 64 << 20
	copyOffset2 = 256 << 30
	reserved    = 1 << 20 // bytes at the start that no chunk takes
)

// Offsets of fields of the superblock (btrfs_tree.h, struct btrfs_super_block).
const (
	offFSID          = 32
	offBytenr        = 48
	offFlags         = 56
	offMagic         = 64
	offGeneration    = 72
	offRoot          = 80
	offChunkRoot     = 88
	offLogRoot       = 96
	offTotalBytes    = 112
	offBytesUsed     = 120
	offDevices       = 136
	offSectorSize    = 144
	offNodeSize      = 148
	offArraySize     = 160
	offChunkGen      = 164
	offCompatRO      = 180
	offIncompat      = 188
	offSumKind       = 196
	offRootLevel     = 198
	offChunkLevel    = 199
	offDevItem       = 201
	offLabel         = 299
	offMetaUUID      = 571
	offArray         = 811
	arraySpace       = 2048
	labelSpace       = 256
	minSector        = 4096
	maxNode          = 64 << 10
	maxLevel         = 7 // of the root of a tree; leaves have 0
	devItemSize      = 98
	offDevItemUUID   = 66 // in a device item
	flagsKnown       = 3  // written, relocated
	incompatMetaUUID = 0x400
)

// The features that leave extents and chunks as they are read here. Of the
// read-only compatible ones: free space tree (and valid), verity, block group
// tree. Of the incompatible ones: mixed backrefs, default subvolume, mixed
// groups, LZO, zstd, big metadata, extended iref, RAID56, skinny metadata, no
// holes, metadata UUID, RAID1C34; not zoned, extent tree v2, RAID stripe tree,
// simple quotas. Those of RAID stay when a volume is converted to single: the
// profiles of its chunks tell.
const (
	knownCompatRO          = 0x0f
	knownIncompat          = 0xfff
	compatROBlockGroupTree = 0x08
)

// Super is what a superblock says. Sizes are bytes; addresses are logical.
type Super struct {
	FSID, MetaUUID       [16]byte // of the volume, and what its tree blocks carry
	Generation           uint64
	SectorSize, NodeSize int64
	BytesUsed            int64 // logical: copies do not count
	Devices              uint64
	Device               Device
	Label                string
	root, chunkRoot      root
	logRoot              uint64
	flags                uint64
	compatRO, incompat   uint64
	sumKind              uint16
	array                []byte // chunks of the chunk tree itself
}

// Device is what a device item says.
type Device struct {
	ID          uint64
	UUID        [16]byte
	Size, Chunk int64 // bytes, and those in chunks
}

// root is where a tree begins.
type root struct {
	owner, at, generation uint64
	level                 int
}

// ParseSuper reads the superblock b that stands at byte at of the device. Its
// errors name the field and its offset.
func ParseSuper(b []byte, at int64) (Super, error) {
	var s Super
	if len(b) < superSize {
		return s, fmt.Errorf("superblock of Btrfs at byte %d: %d bytes instead of %d", at, len(b), superSize)
	}
	b = b[:superSize]
	if string(b[offMagic:offMagic+8]) != Magic {
		return s, fmt.Errorf("superblock of Btrfs at byte %d: no mark %q at offset %d", at, Magic, offMagic)
	}
	s.read(b)
	if ok, err := summed(s.sumKind, b); err != nil {
		return s, fmt.Errorf("superblock of Btrfs at byte %d: %w at offset %d", at, err, offSumKind)
	} else if !ok {
		return s, fmt.Errorf("superblock of Btrfs at byte %d: the checksum at offset 0 is wrong", at)
	}
	if got := binary.LittleEndian.Uint64(b[offBytenr:]); got != uint64(at) {
		return s, fmt.Errorf("superblock of Btrfs at byte %d: it says at offset %d that it lies at %d", at, offBytenr, got)
	}
	if err := s.check(b); err != nil {
		return s, fmt.Errorf("superblock of Btrfs at byte %d: %w", at, err)
	}
	return s, nil
}

// read takes the fields as they are.
func (s *Super) read(b []byte) {
	le := binary.LittleEndian
	s.sumKind = le.Uint16(b[offSumKind:])
	s.flags, s.compatRO, s.incompat = le.Uint64(b[offFlags:]), le.Uint64(b[offCompatRO:]), le.Uint64(b[offIncompat:])
	copy(s.FSID[:], b[offFSID:])
	s.MetaUUID = s.FSID
	if s.incompat&incompatMetaUUID != 0 {
		copy(s.MetaUUID[:], b[offMetaUUID:])
	}
	s.Generation, s.Devices = le.Uint64(b[offGeneration:]), le.Uint64(b[offDevices:])
	s.SectorSize, s.NodeSize = int64(le.Uint32(b[offSectorSize:])), int64(le.Uint32(b[offNodeSize:]))
	s.root = root{treeRoot, le.Uint64(b[offRoot:]), s.Generation, int(b[offRootLevel])}
	s.chunkRoot = root{treeChunk, le.Uint64(b[offChunkRoot:]), le.Uint64(b[offChunkGen:]), int(b[offChunkLevel])}
	s.logRoot = le.Uint64(b[offLogRoot:])
	label, _, _ := strings.Cut(string(b[offLabel:offLabel+labelSpace]), "\x00")
	s.Label = label
}

// check looks at the fields that others rest on.
func (s *Super) check(b []byte) error {
	le := binary.LittleEndian
	n := le.Uint32(b[offArraySize:])
	switch {
	case s.SectorSize < minSector || s.SectorSize > maxNode || s.SectorSize&(s.SectorSize-1) != 0:
		return fmt.Errorf("sector size at offset %d is %d", offSectorSize, s.SectorSize)
	case s.NodeSize < s.SectorSize || s.NodeSize > maxNode || s.NodeSize&(s.NodeSize-1) != 0:
		return fmt.Errorf("node size at offset %d is %d", offNodeSize, s.NodeSize)
	case n > arraySpace:
		return fmt.Errorf("%d bytes of chunks at offset %d", n, offArraySize)
	case s.root.level > maxLevel || s.chunkRoot.level > maxLevel:
		return fmt.Errorf("the levels of trees at offset %d are %d and %d", offRootLevel, s.root.level, s.chunkRoot.level)
	}
	s.array = b[offArray : offArray+int(n)]
	used := le.Uint64(b[offBytesUsed:])
	if total := le.Uint64(b[offTotalBytes:]); used > total || total > 1<<62 {
		return fmt.Errorf("%d of %d bytes are used at offset %d", used, total, offBytesUsed)
	}
	s.BytesUsed = int64(used)
	d, err := parseDevice(b[offDevItem : offDevItem+devItemSize])
	s.Device = d
	return err
}

// parseDevice reads a device item (struct btrfs_dev_item).
func parseDevice(b []byte) (Device, error) {
	var d Device
	if len(b) < devItemSize {
		return d, fmt.Errorf("a device item of %d bytes", len(b))
	}
	le := binary.LittleEndian
	size, chunk := le.Uint64(b[8:]), le.Uint64(b[16:])
	if size > 1<<62 || chunk > size {
		return d, fmt.Errorf("a device of %d bytes, %d of them in chunks", size, chunk)
	}
	d = Device{ID: le.Uint64(b), Size: int64(size), Chunk: int64(chunk)}
	copy(d.UUID[:], b[offDevItemUUID:])
	return d, nil
}

// doubt gives the reason why the used map of this volume cannot be told, when
// there is one.
func (s *Super) doubt(size int64) error {
	switch {
	case s.Devices != 1:
		return fmt.Errorf("it lies on %d devices", s.Devices)
	case s.flags&^flagsKnown != 0:
		return fmt.Errorf("it has the flags %#x: it is a seed, a dump, in the middle of a change, or had errors", s.flags)
	case s.incompat&^knownIncompat != 0:
		return fmt.Errorf("it has incompatible features %#x, which are not read here", s.incompat&^knownIncompat)
	case s.compatRO&^knownCompatRO != 0:
		return fmt.Errorf("it has read-only compatible features %#x, which are not read here", s.compatRO&^knownCompatRO)
	case s.logRoot != 0:
		return errors.New("it was not unmounted, and its log tree holds what is in no other tree yet")
	case s.Device.Size > size:
		return fmt.Errorf("the file system says it has %d bytes, the partition has %d", s.Device.Size, size)
	}
	return nil
}

// unreadable gives the reason why files cannot be read, when there is one. Other
// devices are none, as far as what is to be read lies on this one; and simple
// quotas only count.
func (s *Super) unreadable() error {
	const simpleQuota = 0x10000
	const dumps = 0x3 << 33
	switch incompat := s.incompat &^ (knownIncompat | simpleQuota); {
	case incompat != 0:
		return fmt.Errorf("it has incompatible features %#x", incompat)
	case s.flags&dumps != 0:
		return errors.New("it is a dump of metadata")
	}
	return nil
}

// readSuper reads the superblock and compares it with its copies. Btrfs mounts
// by the first one only; a copy that is newer makes it one of doubt.
func readSuper(r block.Reader) (Super, error) {
	s, err := superAt(r, superOffset)
	for _, at := range []int64{copyOffset1, copyOffset2} {
		if at > r.Size()-superSize {
			break
		}
		c, copyErr := superAt(r, at)
		switch {
		case copyErr != nil:
		case err != nil:
			return s, fmt.Errorf("%w (its copy at byte %d is sound: btrfs rescue super-recover can use it)", err, at)
		case bytes.Equal(c.FSID[:], s.FSID[:]) && c.Generation > s.Generation:
			return s, fmt.Errorf("superblock of Btrfs at byte %d: its generation is %d, that of the copy at byte %d is %d", int64(superOffset), s.Generation, at, c.Generation)
		}
	}
	return s, err
}

func superAt(r block.Reader, at int64) (Super, error) {
	b := make([]byte, superSize)
	if n, err := r.ReadAt(b, at); n < len(b) {
		return Super{}, fmt.Errorf("read Btrfs superblock at byte %d: %w", at, err)
	}
	return ParseSuper(b, at)
}
