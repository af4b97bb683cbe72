package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Reparse tags ([MS-FSCC] 2.1.2.1).
const (
	tagMountPoint = 0xa0000003
	tagSymlink    = 0xa000000c
	tagLXSymlink  = 0xa000001d
	tagUnix       = 0x80000023
	tagFIFO       = 0x80000024
	tagChar       = 0x80000025
	tagBlock      = 0x80000026
	tagWOF        = 0x80000017
	tagDedup      = 0x80000013
	tagHSM        = 0xc0000004
	tagHSM2       = 0x80000006
	tagSIS        = 0x80000007
	tagWIM        = 0x80000008
	tagCloud      = 0x9000001a // and fifteen more, by the digit before 01a
	tagProjFS     = 0x9000001c
	tagAppExec    = 0x8000001b

	// maxReparse is what Windows lets the data of a reparse point grow to,
	// with its header (MAXIMUM_REPARSE_DATA_BUFFER_SIZE).
	maxReparse = 16 << 10
)

// TagName is what a reparse tag is known by.
func TagName(tag uint32) string {
	if tag&0xffff0fff == tagCloud {
		return "a cloud file (OneDrive and the like)"
	}
	name := map[uint32]string{
		tagMountPoint: "a junction or mount point", tagSymlink: "a symbolic link", tagLXSymlink: "a symbolic link of Linux",
		tagUnix: "a socket", tagFIFO: "a named pipe of Linux", tagChar: "a character device of Linux", tagBlock: "a block device of Linux",
		tagWOF: "a file compressed by Windows (Compact OS)", tagDedup: "a deduplicated file (Data Deduplication)",
		tagHSM: "a file moved to other storage", tagHSM2: "a file moved to other storage", tagSIS: "a file of Single Instance Storage",
		tagWIM: "a file kept in a WIM", tagProjFS: "a file of a projected file system", tagAppExec: "an app's execution alias",
	}[tag]
	if name == "" {
		return fmt.Sprintf("a reparse point with tag %#08x", tag)
	}
	return name
}

// tagMode is the type of the files whose tag says it; false for those that are
// files or folders as ever.
func tagMode(tag uint32) (fs.FileMode, bool) {
	switch tag {
	case tagMountPoint, tagSymlink, tagLXSymlink:
		return fs.ModeSymlink, true
	case tagUnix:
		return fs.ModeSocket, true
	case tagFIFO:
		return fs.ModeNamedPipe, true
	case tagChar:
		return fs.ModeDevice | fs.ModeCharDevice, true
	case tagBlock:
		return fs.ModeDevice, true
	}
	return 0, false
}

// reparse is a reparse point: what stands behind the header of its data.
type reparse struct {
	tag  uint32
	data []byte
}

// reparse reads the reparse point of a file that is marked to have one.
func (m *mft) reparse(rec record) (reparse, error) {
	s, err := m.open(rec, typeReparse, "")
	if err == nil && (s.size < 8 || s.size > maxReparse) {
		err = fmt.Errorf("%d bytes", s.size)
	}
	if err != nil {
		return reparse{}, fmt.Errorf("reparse point of MFT record %d: %w", rec.number, err)
	}
	b := make([]byte, s.size)
	if _, err := s.ReadAt(b, 0); err != nil {
		return reparse{}, fmt.Errorf("reparse point of MFT record %d: %w", rec.number, err)
	}
	return parseReparse(b), nil
}

// parseReparse reads a REPARSE_DATA_BUFFER ([MS-FSCC] 2.1.2.2). Tags that are
// not Microsoft's have a GUID behind the header, which data begins with then.
func parseReparse(b []byte) reparse {
	data := b[8:]
	n := int(binary.LittleEndian.Uint16(b[4:]))
	tag := binary.LittleEndian.Uint32(b)
	if tag&0x80000000 == 0 {
		n += 16
	}
	return reparse{tag, data[:min(n, len(data))]}
}

// target is where a link leads to.
func (p reparse) target() (string, error) {
	head := 0
	switch p.tag {
	case tagLXSymlink:
		if len(p.data) < 4 || binary.LittleEndian.Uint32(p.data) != 2 {
			return "", errors.New("a symbolic link of Linux of an unknown version")
		}
		return string(p.data[4:]), nil
	case tagMountPoint:
		head = 8
	case tagSymlink:
		head = 12
	default:
		return "", fmt.Errorf("%s has no target", TagName(p.tag))
	}
	if len(p.data) < head {
		return "", fmt.Errorf("%s of %d bytes", TagName(p.tag), len(p.data))
	}
	text := func(at int) ([]byte, error) {
		off, n := int(binary.LittleEndian.Uint16(p.data[at:])), int(binary.LittleEndian.Uint16(p.data[at+2:]))
		return slice(p.data[head:], off, n, "name of the target")
	}
	name, err := text(0)
	if err == nil && len(name) == 0 {
		name, err = text(4) // the name to be shown
	}
	return cleanTarget(wtf8(name)), err
}

// cleanTarget takes the prefix of the kernel's names off a name: what is left
// can be given to Windows.
func cleanTarget(s string) string {
	rest, ok := strings.CutPrefix(s, `\??\`)
	switch {
	case !ok:
		return s
	case strings.HasPrefix(rest, `UNC\`):
		return `\` + rest[3:]
	case len(rest) >= 2 && rest[1] == ':':
		return rest
	}
	return `\\?\` + rest
}

// elsewhere is the error of reading the contents of a file whose reparse point
// says that they are not in its clusters; nil when they are.
func (n *node) elsewhere() error {
	tag := n.point.tag
	if tag == 0 || n.size == 0 {
		return nil
	}
	if tag&0xffff0fff == tagCloud && n.attrs&(attrOffline|attrRecallOpen|attrRecallAccess) == 0 {
		return nil // it was fetched
	}
	return fmt.Errorf("the contents of %s are not on this volume as they are read", TagName(tag))
}
