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
// not needed.
func (m *mft) inFolder(dir record, want []uint16) (ref uint64, found bool, err error) {
	x, err := m.index(dir, folderIndex, checkName)
	if errors.Is(err, errNoAttribute) {
		return 0, false, nil // a file: nothing is in it
	}
	if err != nil {
		return 0, false, err
	}
	err = x.all(func(e indexEntry) {
		if !found && sameName(nameOf(e.key), want) {
			ref, found = binary.LittleEndian.Uint64(e.head), true
		}
	})
	if found {
		return ref, true, nil
	}
	return 0, false, err
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
