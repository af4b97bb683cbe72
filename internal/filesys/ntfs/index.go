package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// maxIndexSize bounds the time of one look-up: a folder of ten million files
// has an index of about one GiB.
const maxIndexSize = 4 << 30

// folderIndex is the name of the attributes that hold a folder's entries.
const folderIndex = "$I30"

// Contains reports whether a file or folder exists. Path parts are divided by
// \ or /, counted from the root folder, and compared without regard to case,
// with long and short (8.3) names alike. Reparse points are not followed. It
// fails when the folders on the way cannot be read.
func (v *Volume) Contains(path string) (bool, error) {
	if v.mft == nil {
		return false, fmt.Errorf("look up %q: %s", path, v.facts.WholeReason)
	}
	_, found, err := v.lookup(path)
	if err != nil {
		return false, fmt.Errorf("look up %q: %w", path, err)
	}
	return found, nil
}

// lookup walks from the root folder to the file reference of a path.
func (v *Volume) lookup(path string) (ref uint64, found bool, err error) {
	ref, found = recRoot, true
	root := true
	for part := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '\\' || c == '/' }) {
		var dir record
		if root {
			dir, err = v.mft.record(recRoot)
		} else {
			dir, err = v.mft.byReference(ref)
		}
		if err != nil {
			return 0, false, err
		}
		root = false
		if ref, found, err = v.mft.inFolder(dir, upper(utf16.Encode([]rune(part)))); !found || err != nil {
			return 0, false, err
		}
	}
	return ref, found, nil
}

// inFolder seeks a name in all entries of a folder, root and blocks. The order
// of the tree is not relied upon, so that the volume's own upper-case table is
// not needed; a block is looked at when its bit in the index's bitmap is set.
func (m *mft) inFolder(dir record, want []uint16) (ref uint64, found bool, err error) {
	root, err := m.open(dir, typeIndexRoot, folderIndex)
	if errors.Is(err, errNoAttribute) {
		return 0, false, nil // a file: nothing is in it
	}
	if err != nil {
		return 0, false, err
	}
	b := root.resident
	if len(b) < 32 {
		return 0, false, fmt.Errorf("index root of MFT record %d: %d bytes", dir.number, len(b))
	}
	if ref, found, err = scanEntries(b[16:], want); found || err != nil {
		return ref, found, where(err, "index root of MFT record %d", dir.number)
	}
	if b[28]&1 == 0 {
		return 0, false, nil // small enough to be in the record alone
	}
	size := int64(binary.LittleEndian.Uint32(b[8:]))
	if size < fixupStride || size > maxRecordSize || !powerOfTwo(size) {
		return 0, false, fmt.Errorf("index root of MFT record %d: block size at offset 8 is %d", dir.number, size)
	}
	return m.inBlocks(dir, size, want)
}

// inBlocks seeks a name in the index blocks of a folder, of size bytes each.
func (m *mft) inBlocks(dir record, size int64, want []uint16) (ref uint64, found bool, err error) {
	data, err := m.open(dir, typeIndexAllocation, folderIndex)
	if err != nil {
		return 0, false, err
	}
	if err := data.plain(); err != nil {
		return 0, false, fmt.Errorf("index of MFT record %d: %w", dir.number, err)
	}
	if data.size > maxIndexSize || data.size > m.boot.bytes() {
		return 0, false, fmt.Errorf("index of MFT record %d: %d bytes", dir.number, data.size)
	}
	inUse, err := m.indexBits(dir, folderIndex, data.size/size)
	if err != nil {
		return 0, false, err
	}
	b := make([]byte, size)
	for i := range data.size / size {
		if inUse[i/8]>>(i%8)&1 == 0 {
			continue
		}
		_, err := data.ReadAt(b, i*size)
		if err == nil {
			err = fixup(b, "INDX")
		}
		if err == nil {
			ref, found, err = scanEntries(b[24:], want)
		}
		if found || err != nil {
			return ref, found, where(err, "index block %d of MFT record %d", i, dir.number)
		}
	}
	return 0, false, nil
}

// indexBits reads which of the n blocks of an index are in use.
func (m *mft) indexBits(dir record, name string, n int64) ([]byte, error) {
	s, err := m.open(dir, typeBitmap, name)
	if err != nil {
		return nil, err
	}
	if s.size < (n+7)/8 {
		return nil, fmt.Errorf("index bitmap of MFT record %d: %d bytes for %d blocks", dir.number, s.size, n)
	}
	b := make([]byte, (n+7)/8)
	_, err = s.ReadAt(b, 0)
	return b, where(err, "index bitmap of MFT record %d", dir.number)
}

// where puts the place before an error, if there is one.
func where(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// scanEntries seeks a name in the entries behind an index header (ntfs-3g
// layout.h, INDEX_HEADER and INDEX_ENTRY with a FILE_NAME key).
func scanEntries(b []byte, want []uint16) (ref uint64, found bool, err error) {
	if len(b) < 16 {
		return 0, false, fmt.Errorf("index header of %d bytes", len(b))
	}
	off, end := int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[4:]))
	if off < 16 || end > int64(len(b)) || off > end {
		return 0, false, fmt.Errorf("index header: entries [%d,%d) of %d bytes", off, end, len(b))
	}
	for off+16 <= end {
		e := b[off:end]
		n := int64(binary.LittleEndian.Uint16(e[8:]))
		if n < 16 || n > int64(len(e)) {
			return 0, false, fmt.Errorf("index entry at offset %d: length %d of %d", off, n, len(e))
		}
		if binary.LittleEndian.Uint16(e[12:])&2 != 0 {
			return 0, false, nil
		}
		if n < 16+66 {
			return 0, false, fmt.Errorf("index entry at offset %d: length %d has no room for a name", off, n)
		}
		name, err := slice(e[:n], 16+66, 2*int(e[16+64]), "name")
		if err != nil {
			return 0, false, fmt.Errorf("index entry at offset %d: %w", off, err)
		}
		if sameName(name, want) {
			return binary.LittleEndian.Uint64(e), true, nil
		}
		off += n
	}
	return 0, false, errors.New("index entries without an end mark")
}

// sameName compares a name on the volume with one in upper case.
func sameName(name []byte, want []uint16) bool {
	if len(name) != 2*len(want) {
		return false
	}
	for i, w := range want {
		if upperUnit(binary.LittleEndian.Uint16(name[2*i:])) != w {
			return false
		}
	}
	return true
}

func upper(u []uint16) []uint16 {
	for i := range u {
		u[i] = upperUnit(u[i])
	}
	return u
}

// upperUnit is the upper case of one UTF-16 unit; NTFS leaves surrogates as
// they are.
func upperUnit(u uint16) uint16 {
	if u < 0x80 {
		if 'a' <= u && u <= 'z' {
			u -= 'a' - 'A'
		}
		return u
	}
	if up := unicode.ToUpper(rune(u)); up <= 0xffff && !utf16.IsSurrogate(rune(u)) {
		return uint16(up)
	}
	return u
}
