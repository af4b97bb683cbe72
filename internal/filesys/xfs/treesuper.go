package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Flags of sb_versionnum, sb_features2 and sb_features_incompat that say how
// files are kept.
const (
	versionCI      = 0x4000 // names are compared without regard to the case of A to Z
	versionDirs2   = 0x2000
	features2Types = 0x0200 // entries of folders have types; incompatTypes in version 5
	incompatTypes  = 0x01

	minInode, maxInode = 256, 2048
	maxDirBlock        = 64 << 10
)

// treeSuper is what a superblock says of inodes and folders. An inode's number
// is its group, then inodeBits+groupBits for its block in it and the place in
// that.
type treeSuper struct {
	inodeSize  int64 // bytes
	dirBlock   int64 // bytes of a block of a folder: one or several of the volume's
	inodeBits  uint  // of the place in a block
	groupBits  uint  // of a block's number in a group
	root       uint64
	hidden     []uint64 // inodes of quotas and the realtime device, which have no names
	types, ci  bool
	damaged    bool  // it is marked so
	unreadable error // why files cannot be read
}

// read takes the fields at which xfs_format.h, struct xfs_dsb, has them.
func (t *treeSuper) read(b []byte, s *Super) {
	be := binary.BigEndian
	version := be.Uint16(b[100:])
	t.inodeSize, t.root = int64(be.Uint16(b[104:])), be.Uint64(b[56:])
	t.inodeBits, t.groupBits = uint(b[123]), uint(b[124])
	t.ci = version&versionCI != 0
	t.types = s.Version == 5 && be.Uint32(b[offIncompat:])&incompatTypes != 0 || s.Version == 4 && version&versionMore != 0 && be.Uint32(b[200:])&features2Types != 0
	t.damaged = s.Version == 5 && be.Uint32(b[offIncompat:])&incompatNeedsFix != 0
	offs := []int{64, 72, 160, 168, 232} // realtime bitmap and summary, quotas of users, groups, projects
	if s.Version == 4 {
		offs = offs[:4]
	}
	for _, off := range offs {
		if n := be.Uint64(b[off:]); n != 0 && n != 1<<64-1 {
			t.hidden = append(t.hidden, n)
		}
	}
	t.unreadable = t.check(b, s, version)
}

func (t *treeSuper) check(b []byte, s *Super, version uint16) error {
	be := binary.BigEndian
	if n := t.inodeSize; n < minInode || n > min(maxInode, s.BlockSize) || n&(n-1) != 0 || t.inodeBits != uint(bits.Len64(uint64(s.BlockSize/n))-1) {
		return fmt.Errorf("XFS superblock: inodes at offset 104 have %d bytes, 2^%d to a block", n, b[123])
	}
	if b[192] > 7 || s.BlockSize<<b[192] > maxDirBlock {
		return fmt.Errorf("XFS superblock: the blocks of folders at offset 192 are 2^%d blocks", b[192])
	}
	t.dirBlock = s.BlockSize << b[192]
	switch {
	case b[126] != 0:
		return s.doubt
	case s.Version == 4 && version&versionDirs2 == 0:
		return errors.New("its folders are of version 1")
	case s.Version == 5 && be.Uint32(b[offIncompat:])&^(knownIncompat) != 0:
		return s.doubt
	}
	return nil
}

// bytesAt is where the inode of a number is on the volume.
func (s *Super) bytesAt(number uint64) (int64, error) {
	t := &s.tree
	group, in := number>>(t.groupBits+t.inodeBits), int64(number&(1<<(t.groupBits+t.inodeBits)-1))
	at := in >> t.inodeBits
	if group >= uint64(s.Groups) || at == 0 || at >= s.groupLen(int64(group)) {
		return 0, fmt.Errorf("inode %d lies in no allocation group", number)
	}
	return (int64(group)*s.GroupBlocks+at)*s.BlockSize + (in&(1<<t.inodeBits-1))*t.inodeSize, nil
}

// linear is the block of the volume that a number means, which is made of the
// number of a group and of a block in it; all n blocks from it on must lie in
// that group.
func (s *Super) linear(number uint64, n int64) (int64, error) {
	group, at := number>>s.tree.groupBits, int64(number&(1<<s.tree.groupBits-1))
	if group >= uint64(s.Groups) || at == 0 || at+n > s.groupLen(int64(group)) {
		return 0, fmt.Errorf("%d blocks from %#x on lie in no allocation group", n, number)
	}
	return int64(group)*s.GroupBlocks + at, nil
}
