package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"ingot/internal/block"
)

// FILE_ATTRIBUTE_ bits ([MS-FSCC] 2.6), and the bit that marks a folder in the
// indexes of folders.
const (
	attrReadOnly     = 0x1
	attrDirectory    = 0x10
	attrReparse      = 0x400
	attrOffline      = 0x1000
	attrRecallOpen   = 0x40000
	attrRecallAccess = 0x400000
	folderBit        = 0x10000000
)

// node is a file or folder: an fs.FileInfo whose Sys is itself, with all that
// package filesys has for a Node of Windows.
type node struct {
	t        *Tree
	name     string
	rec      record
	attrs    uint32
	security uint32 // id in $Secure; 0: none, or kept in the file itself
	times    [4]time.Time
	size     int64 // of the unnamed stream
	point    reparse
}

// Places in node.times, in the order of $STANDARD_INFORMATION.
const (
	timeBirth = iota
	timeWrite
	timeChange
	timeAccess
)

// node reads what is known of a file without its contents.
func (t *Tree) node(name string, rec record) (*node, error) {
	n := &node{t: t, name: name, rec: rec}
	if err := n.standard(); err != nil {
		return nil, err
	}
	a, err := t.m.head(rec, typeData, "")
	switch {
	case errors.Is(err, errNoAttribute): // folders
	case err != nil:
		return nil, err
	case a.resident:
		n.size = int64(len(a.value))
	default:
		n.size = a.size
	}
	if n.attrs&attrReparse != 0 {
		if n.point, err = t.m.reparse(rec); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// standard reads $STANDARD_INFORMATION (ntfs-3g layout.h).
func (n *node) standard() error {
	a, err := n.t.m.head(n.rec, typeStandard, "")
	if err == nil && len(a.value) < 36 {
		err = fmt.Errorf("%d bytes", len(a.value))
	}
	if err != nil {
		return fmt.Errorf("standard information of MFT record %d: %w", n.rec.number, err)
	}
	for i := range n.times {
		n.times[i] = fileTime(binary.LittleEndian.Uint64(a.value[8*i:]))
	}
	n.attrs = binary.LittleEndian.Uint32(a.value[32:])
	if n.rec.folder {
		n.attrs |= attrDirectory
	}
	if len(a.value) >= 56 {
		n.security = binary.LittleEndian.Uint32(a.value[52:])
	}
	return nil
}

// fileTime is a time in 100 ns since 1601; 0 is no time.
func fileTime(v uint64) time.Time {
	const perSecond, from1601 = 10000000, 11644473600
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(int64(v/perSecond)-from1601, int64(v%perSecond)*100).UTC()
}

// typeBits are the type bits of a file, by what its folder also knows of it.
func typeBits(isFolder bool, attrs, tag uint32) fs.FileMode {
	if attrs&attrReparse != 0 {
		if mode, ok := tagMode(tag); ok {
			return mode
		}
	}
	if isFolder {
		return fs.ModeDir
	}
	return 0
}

// Name implements fs.FileInfo: as it is on the volume.
func (n *node) Name() string { return n.name }

// IsDir implements fs.FileInfo.
func (n *node) IsDir() bool { return n.Mode().IsDir() }

// Sys implements fs.FileInfo.
func (n *node) Sys() any { return n }

// ModTime implements fs.FileInfo.
func (n *node) ModTime() time.Time { return n.times[timeWrite] }

// Size implements fs.FileInfo: of the unnamed stream, or of a link's target.
func (n *node) Size() int64 {
	if n.Mode().Type() == fs.ModeSymlink {
		target, _ := n.point.target()
		return int64(len(target))
	}
	return n.size
}

// Mode implements fs.FileInfo. The permission bits are those that Go gives on
// Windows: the read-only attribute alone.
func (n *node) Mode() fs.FileMode {
	mode := typeBits(n.rec.folder, n.attrs, n.point.tag)
	perm := fs.FileMode(0o666)
	if n.attrs&attrReadOnly != 0 {
		perm = 0o444
	}
	if mode.IsDir() {
		perm |= 0o111
	}
	return mode | perm
}

// ID is the number of the MFT record.
func (n *node) ID() uint64 { return uint64(n.rec.number) }

// Attributes are the FILE_ATTRIBUTE_ bits.
func (n *node) Attributes() uint32 { return n.attrs }

// Times are the times beside that of the last write.
func (n *node) Times() (access, change, birth time.Time) {
	return n.times[timeAccess], n.times[timeChange], n.times[timeBirth]
}

// ReparsePoint is the tag and the data of the file's reparse point; the tag is
// 0 when it has none.
func (n *node) ReparsePoint() (tag uint32, data []byte) {
	return n.point.tag, slices.Clone(n.point.data)
}

// Links is the number of names without DOS names; 1 when they cannot be read.
func (n *node) Links() int {
	names, _ := n.t.m.links(n.rec)
	return max(1, names)
}

// Extents gives the clusters of all streams: the unnamed one first, then the
// others by name.
func (n *node) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		names, err := n.dataNames()
		if err != nil {
			yield(block.Extent{}, err)
			return
		}
		for _, name := range names {
			s, err := n.t.m.open(n.rec, typeData, name)
			if err != nil {
				yield(block.Extent{}, err)
				return
			}
			for _, e := range s.extents() {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// dataNames are the names of all streams, in order; that of the contents is "".
func (n *node) dataNames() ([]string, error) {
	set := map[string]bool{}
	err := n.t.m.names(n.rec, typeData, func(name string) { set[name] = true })
	out := make([]string, 0, len(set))
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, err
}
