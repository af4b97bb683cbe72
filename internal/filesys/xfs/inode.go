package xfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"ingot/internal/fstree"
)

// Inodes (xfs_format.h, struct xfs_dinode): a core, then the fork of the
// contents, then at a given place that of the attributes.
const (
	core2, core3 = 100, 176 // bytes of the core in version 4 and 5 volumes
	inodeCRC     = 100
	inodeNumber  = 152
	inodeUUID    = 160

	flagRealtime    = 0x01 // of di_flags
	flagReflink     = 0x02 // of di_flags2
	flagBigTime     = 0x08
	flagManyExtents = 0x10
	flagMetadata    = 0x20
)

// The ways in which a fork holds what it has (enum xfs_dinode_fmt).
const (
	formatDevice = iota
	formatLocal
	formatExtents
	formatBtree
)

const (
	modeKind = 0xf000
	modeDir  = 0x4000
	modeFile = 0x8000
	modeLink = 0xa000
	modeChar = 0x2000
	modeBlk  = 0x6000
)

// fork is one of the two parts of an inode: what is in its literal area.
type fork struct {
	format byte
	b      []byte
	count  int64 // extents
}

// inode is what an inode says of a file; birth is zero when not known.
type inode struct {
	t                            *Tree
	number                       uint64
	mode                         uint16
	links                        uint32
	uid, gid                     uint32
	flags                        uint16
	size                         int64 // bytes
	access, change, mtime, birth time.Time
	data, attrs                  fork // no attributes: an empty one
}

func (i *inode) kind() uint16 { return i.mode & modeKind }

// pageSize is how many bytes of inodes are read at once; it is a multiple of
// what any inode has.
const pageSize = 16 << 10

// inode reads an inode that is in use.
func (t *Tree) inode(number uint64) (*inode, error) {
	at, err := t.s.bytesAt(number)
	if err == nil && at+t.s.tree.inodeSize > t.r.Size() {
		err = fmt.Errorf("inode %d lies behind the end of the partition", number)
	}
	if err != nil {
		return nil, err
	}
	page, err := t.pages.Get(at/pageSize, func() ([]byte, error) {
		from := at / pageSize * pageSize
		b := make([]byte, min(pageSize, t.r.Size()-from))
		return b, t.read(b, from)
	})
	if err != nil {
		return nil, fmt.Errorf("inode %d at byte %d: %w", number, at, err)
	}
	i, err := t.s.parseInode(page[at%pageSize:][:t.s.tree.inodeSize], number)
	if err != nil {
		return nil, fmt.Errorf("inode %d at byte %d: %w", number, at, err)
	}
	i.t = t
	return i, nil
}

// parseInode reads the inode of a number out of inodeSize bytes.
func (s *Super) parseInode(b []byte, number uint64) (*inode, error) {
	be := binary.BigEndian
	i := &inode{
		number: number, mode: be.Uint16(b[2:]), uid: be.Uint32(b[8:]), gid: be.Uint32(b[12:]), links: be.Uint32(b[16:]),
		flags: be.Uint16(b[90:]), size: int64(be.Uint64(b[56:])),
	}
	core, flags2 := int64(core2), uint64(0)
	if s.Version == 5 {
		core, flags2 = core3, be.Uint64(b[120:])
	}
	switch version := b[4]; {
	case be.Uint16(b) != 0x494e:
		return nil, errors.New("no mark \"IN\" at offset 0")
	case s.Version == 5 && version != 3 || s.Version == 4 && version != 1 && version != 2:
		return nil, fmt.Errorf("version at offset 4 is %d", version)
	case s.Version == 5 && !checksum(b, inodeCRC):
		return nil, fmt.Errorf("the checksum at offset %d is wrong", inodeCRC)
	case s.Version == 5 && (be.Uint64(b[inodeNumber:]) != number || !bytes.Equal(b[inodeUUID:inodeUUID+16], s.MetaUUID[:])):
		return nil, errors.New("it says that it is another one, or of another volume")
	case i.mode == 0:
		return nil, errors.New("it is not in use")
	case i.size < 0:
		return nil, fmt.Errorf("size at offset 56 is %d", uint64(i.size))
	case version == 1:
		i.links = uint32(be.Uint16(b[6:]))
	}
	i.times(b, s.Version == 5, flags2&flagBigTime != 0)
	return i, i.forks(b, core, flags2&flagManyExtents != 0)
}

// forks cuts the area behind the core in two; the place of the second one is
// given in units of 8 bytes.
func (i *inode) forks(b []byte, core int64, many bool) error {
	be := binary.BigEndian
	area, cut := b[core:], int64(b[82])*8
	i.data = fork{b[5], area, int64(be.Uint32(b[76:]))}
	i.attrs = fork{b[83], nil, int64(be.Uint16(b[80:]))}
	if many {
		n := be.Uint64(b[24:])
		if n > 1<<48 {
			return fmt.Errorf("%d extents at offset 24", n)
		}
		i.data.count, i.attrs.count = int64(n), int64(be.Uint32(b[76:]))
	}
	switch {
	case cut > int64(len(area)):
		return fmt.Errorf("the attributes at offset 82 begin at byte %d of %d", cut, len(area))
	case cut > 0:
		i.data.b, i.attrs.b = area[:cut], area[cut:]
	}
	return nil
}

// times reads the times: seconds and nanoseconds of 32 bits each, or
// nanoseconds since the time that is the lowest of those.
func (i *inode) times(b []byte, v5, big bool) {
	be := binary.BigEndian
	at := func(off int) time.Time {
		if big {
			n := be.Uint64(b[off:])
			return time.Unix(int64(n/1e9)-1<<31, int64(n%1e9))
		}
		return time.Unix(int64(int32(be.Uint32(b[off:]))), int64(be.Uint32(b[off+4:])))
	}
	i.access, i.mtime, i.change = at(32), at(40), at(48)
	if v5 {
		i.birth = at(144)
	}
}

// device is the number of a device file: 14 bits and 18.
func (i *inode) device() (major, minor uint32) {
	if i.kind() != modeChar && i.kind() != modeBlk || i.data.format != formatDevice || len(i.data.b) < 4 {
		return 0, 0
	}
	n := binary.BigEndian.Uint32(i.data.b)
	return n >> 18, n & (1<<18 - 1)
}

// Stat implements fstree.Inode.
func (i *inode) Stat() fstree.Stat {
	return fstree.Stat{Mode: fstree.Mode(i.mode), Size: i.size, ModTime: i.mtime}
}

// local is what a fork has in the inode itself.
func (f *fork) local(n int64) ([]byte, error) {
	if n > int64(len(f.b)) {
		return nil, fmt.Errorf("%d bytes in a place for %d", n, len(f.b))
	}
	return f.b[:n], nil
}

// Target implements fstree.Inode: a target lies in the inode, or in blocks, in
// version 5 behind a header at the start of each extent.
func (i *inode) Target() (string, error) {
	if i.kind() != modeLink {
		return "", fs.ErrInvalid
	}
	b, err := i.target()
	if err != nil {
		return "", fmt.Errorf("target of inode %d: %w", i.number, err)
	}
	return string(b), nil
}

const (
	maxTarget    = 1024
	remoteHeader = 56
)

func (i *inode) target() ([]byte, error) {
	if i.size > maxTarget {
		return nil, fmt.Errorf("it has %d bytes", i.size)
	}
	if i.data.format == formatLocal {
		return i.data.local(i.size)
	}
	out := make([]byte, 0, i.size)
	for logical := int64(0); int64(len(out)) < i.size; {
		p, err := i.find(&i.data, logical)
		if err == nil && (p.hole || p.unwritten || p.n*i.t.s.BlockSize > 2*maxTarget+i.t.s.BlockSize) {
			err = fmt.Errorf("%d blocks at block %d of it", p.n, logical)
		}
		var b []byte
		if err == nil {
			b, err = i.remote(p, "XSLM", int64(len(out)))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b[:min(int64(len(b)), i.size-int64(len(out)))]...)
		logical += p.n
	}
	return out, nil
}

// remote reads the contents of blocks that hold a target or the value of an
// attribute, from byte done of it on (xfs_format.h, struct xfs_dsymlink_hdr,
// xfs_attr3_rmt_hdr).
func (i *inode) remote(p piece, mark string, done int64) ([]byte, error) {
	s, be := i.t.s, binary.BigEndian
	b := make([]byte, p.n*s.BlockSize)
	if err := i.t.read(b, p.at*s.BlockSize); err != nil || s.Version == 4 {
		return b, err
	}
	n := int64(be.Uint32(b[8:]))
	switch {
	case string(b[:4]) != mark:
		return nil, fmt.Errorf("block %d: no mark %q at offset 0", p.at, mark)
	case int64(be.Uint32(b[4:])) != done || n == 0 || n > int64(len(b))-remoteHeader:
		return nil, fmt.Errorf("block %d: it has %d bytes from byte %d on, not from %d", p.at, n, be.Uint32(b[4:]), done)
	}
	err := s.verify(b, blockHeader{crc: 12, uuid: 16, owner: 32, place: 40}, p.at*s.BlockSize, i.number)
	return b[remoteHeader : remoteHeader+n], err
}

// blockHeader is where a block of version 5 has what tells that it is the right
// one.
type blockHeader struct{ crc, uuid, owner, place int }

// verify checks a block of version 5 that lies at a byte of the volume and
// belongs to an inode.
func (s *Super) verify(b []byte, h blockHeader, at int64, owner uint64) error {
	be := binary.BigEndian
	switch {
	case s.Version == 4:
		return nil
	case !checksum(b, h.crc):
		return fmt.Errorf("block at byte %d: the checksum at offset %d is wrong", at, h.crc)
	case be.Uint64(b[h.place:]) != uint64(at/unit):
		return fmt.Errorf("block at byte %d: it says at offset %d that it lies in sector %d", at, h.place, be.Uint64(b[h.place:]))
	case !bytes.Equal(b[h.uuid:h.uuid+16], s.MetaUUID[:]):
		return fmt.Errorf("block at byte %d: it belongs to another volume", at)
	case be.Uint64(b[h.owner:]) != owner:
		return fmt.Errorf("block at byte %d: it belongs to inode %d at offset %d, not to %d", at, be.Uint64(b[h.owner:]), h.owner, owner)
	}
	return nil
}
