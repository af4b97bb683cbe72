package ext

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"
)

// rootInode is the number of the root folder's inode.
const rootInode = 2

// Flags of an inode.
const (
	flagEncrypted = 0x800
	flagIndex     = 0x1000
	flagHuge      = 0x40000
	flagExtents   = 0x80000
	flagVerity    = 0x100000
	flagEAInode   = 0x200000
	flagInline    = 0x10000000
	flagCasefold  = 0x40000000
)

// Kinds of files in a mode.
const (
	modeKind   = 0xf000
	modeFIFO   = 0x1000
	modeChar   = 0x2000
	modeDir    = 0x4000
	modeBlock  = 0x6000
	modeFile   = 0x8000
	modeLink   = 0xa000
	modeSocket = 0xc000
)

// inode is what an inode says of a file; acl is the block of its attributes,
// 0 if there is none; birth is zero when not known.
type inode struct {
	number                       uint32
	mode                         uint16
	links                        uint16
	uid, gid                     uint32
	flags                        uint32
	size                         int64 // bytes
	stored                       uint64
	acl                          int64
	access, change, mtime, birth time.Time
	block                        [60]byte // block map, root of the extents, inline data or link target
	attrs                        []byte   // the part that holds attributes
	seed                         uint32   // of the checksums of its blocks
}

func (i *inode) kind() uint16 { return i.mode & modeKind }

// inode reads an inode.
func (t *Tree) inode(number uint32) (*inode, error) {
	s := t.s
	if number == 0 || int64(number) > s.inodes {
		return nil, fmt.Errorf("inode %d of %d", number, s.inodes)
	}
	d, err := t.desc((int64(number) - 1) / s.inodesPerGroup)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	at := (int64(number) - 1) % s.inodesPerGroup * s.inodeSize
	b, err := t.block(d.table + at/s.blockSize)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	at %= s.blockSize
	i, err := s.parseInode(b[at:at+s.inodeSize], number)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	return i, nil
}

// desc reads the descriptor of a group.
func (t *Tree) desc(g int64) (desc, error) {
	s := t.s
	b, err := t.block(s.descBlock(g / s.descsPerBlock()))
	if err != nil {
		return desc{}, err
	}
	at := g % s.descsPerBlock() * s.descSize
	return s.parseDesc(b[at:at+s.descSize], g)
}

// parseInode reads an inode out of inodeSize bytes (Linux
// Documentation/filesystems/ext4, "Index Nodes").
func (s *super) parseInode(b []byte, number uint32) (*inode, error) {
	u16 := func(off int) uint16 { return binary.LittleEndian.Uint16(b[off:]) }
	u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	extra := 0 // bytes in use behind the part that all inodes have
	if len(b) > oldInodeSize {
		if extra = int(u16(0x80)); extra > len(b)-oldInodeSize || extra%4 != 0 {
			return nil, fmt.Errorf("size of further fields at offset %#x is %d", 0x80, extra)
		}
	}
	i := &inode{
		number: number, mode: u16(0), links: u16(0x1a), flags: u32(0x20),
		uid: uint32(u16(2)) | uint32(u16(0x78))<<16, gid: uint32(u16(0x18)) | uint32(u16(0x7a))<<16,
		size: int64(u32(4)), stored: uint64(u32(0x1c)), acl: int64(u32(0x68)),
		seed: crc32cNumber(crc32cNumber(s.csumSeed, number), u32(0x64)),
	}
	if err := s.inodeCsum(b, i.seed, extra); err != nil {
		return nil, err
	}
	copy(i.block[:], b[0x28:])
	if i.kind() == modeFile || s.incompat&incompatLargeDir != 0 {
		i.size |= int64(u32(0x6c)) << 32
	}
	if s.incompat&incompat64bit != 0 {
		i.acl |= int64(u16(0x76)) << 32
	}
	if s.ro&roHugeFile != 0 {
		i.stored |= uint64(u16(0x74)) << 32
	}
	// Blocks of a file are numbered by 32 bits.
	if i.size < 0 || i.size > 1<<32*s.blockSize {
		return nil, fmt.Errorf("size at offset 4 is %d", uint64(i.size))
	}
	i.times(b, extra)
	if extra > 0 {
		i.attrs = b[oldInodeSize+extra:]
	}
	return i, nil
}

// times reads the times: seconds of 32 bits, with two more bits and
// nanoseconds where the inode has room for them.
func (i *inode) times(b []byte, extra int) {
	at := func(off, more int) time.Time {
		sec, nsec := int64(int32(binary.LittleEndian.Uint32(b[off:]))), int64(0)
		if more+4 <= oldInodeSize+extra {
			x := binary.LittleEndian.Uint32(b[more:])
			sec += int64(x&3) << 32
			nsec = int64(x >> 2)
		}
		return time.Unix(sec, nsec)
	}
	i.access, i.change, i.mtime = at(0x8, 0x8c), at(0xc, 0x84), at(0x10, 0x88)
	if 0x94 <= oldInodeSize+extra {
		i.birth = at(0x90, 0x94)
	}
}

// inodeCsum checks an inode with extra bytes of further fields. Its checksum
// takes its own place as zeros.
func (s *super) inodeCsum(b []byte, seed uint32, extra int) error {
	if !s.metadataCsum() {
		return nil
	}
	want, mask := uint32(binary.LittleEndian.Uint16(b[0x7c:])), uint32(0xffff)
	got := crc32c(crc32c(crc32c(seed, b[:0x7c]), []byte{0, 0}), b[0x7e:oldInodeSize])
	if len(b) > oldInodeSize {
		got = crc32c(got, b[oldInodeSize:0x82])
		rest := b[0x82:]
		if extra >= 4 {
			want |= uint32(binary.LittleEndian.Uint16(rest)) << 16
			mask = ^uint32(0)
			got, rest = crc32c(got, []byte{0, 0}), rest[2:]
		}
		got = crc32c(got, rest)
	}
	if got&mask != want {
		return fmt.Errorf("checksum is %#x, its contents have %#x", want, got&mask)
	}
	return nil
}

// fastLink reports whether i is a symbolic link whose target is in the inode
// in place of a block map: it has no blocks but that of its attributes. With
// ea_inode there may be more of those, and the length of the target tells.
func (s *super) fastLink(i *inode) bool {
	if i.kind() != modeLink || i.flags&flagInline != 0 {
		return false
	}
	if s.incompat&incompatEAInode != 0 {
		return i.size > 0 && i.size < int64(len(i.block))
	}
	own := uint64(0)
	if i.acl != 0 {
		if own = uint64(s.clusterSize / 512); i.flags&flagHuge != 0 {
			own = uint64(s.ratio())
		}
	}
	return i.stored == own
}

// device is the number of a device file: in the first field as Linux once had
// it, or in the second.
func (i *inode) device() (major, minor uint32) {
	old, now := binary.LittleEndian.Uint32(i.block[:]), binary.LittleEndian.Uint32(i.block[4:])
	switch {
	case i.kind() != modeChar && i.kind() != modeBlock:
		return 0, 0
	case old != 0:
		return old >> 8 & 0xff, old & 0xff
	}
	return now >> 8 & 0xfff, now&0xff | now>>12&0xfff00
}

// fileMode turns a Unix mode into that of io/fs.
func fileMode(m uint16) fs.FileMode {
	out := fs.FileMode(m & 0o777)
	for bit, to := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			out |= to
		}
	}
	switch m & modeKind {
	case modeFile:
	case modeDir:
		out |= fs.ModeDir
	case modeLink:
		out |= fs.ModeSymlink
	case modeChar:
		out |= fs.ModeDevice | fs.ModeCharDevice
	case modeBlock:
		out |= fs.ModeDevice
	case modeFIFO:
		out |= fs.ModeNamedPipe
	case modeSocket:
		out |= fs.ModeSocket
	default:
		out |= fs.ModeIrregular
	}
	return out
}
