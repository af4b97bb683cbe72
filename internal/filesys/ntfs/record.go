package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// Attribute types used here (ntfs-3g layout.h, ATTR_TYPES).
const (
	typeStandard        = 0x10
	typeAttributeList   = 0x20
	typeFileName        = 0x30
	typeSecurity        = 0x50
	typeVolumeName      = 0x60
	typeVolumeInfo      = 0x70
	typeData            = 0x80
	typeIndexRoot       = 0x90
	typeIndexAllocation = 0xa0
	typeBitmap          = 0xb0
	typeReparse         = 0xc0
	typeEnd             = 0xffffffff
)

// Attribute flags: contents that are not simply in the clusters.
const (
	flagCompressed = 0x00ff
	flagEncrypted  = 0x4000
)

// record is an MFT record with its fixups undone.
type record struct {
	number int64
	seq    uint16
	folder bool   // it has an index of names
	base   uint64 // file reference of the base record, 0 in a base record
	attrs  []attribute
}

// attribute is one attribute of a record, or one piece of it when its run list
// goes on in other records.
type attribute struct {
	typ      uint32
	name     string
	id       uint16
	flags    uint16
	unit     uint8 // of a compressed attribute: the power of two of clusters compressed at once
	resident bool
	value    []byte // resident
	low      int64  // first VCN of this piece
	pairs    []byte // mapping pairs of this piece
	size     int64  // bytes of the whole attribute; only in the piece with low 0
	valid    int64  // bytes of it that were ever written
}

// fixup checks and undoes the update sequence of a FILE or INDX block in
// place: the last two bytes of each 512 hold a number that tells torn writes,
// and what belongs there is kept in an array at the block's start.
func fixup(b []byte, magic string) error {
	if len(b) < fixupStride || len(b)%fixupStride != 0 {
		return fmt.Errorf("a block of %d bytes is not a multiple of %d", len(b), fixupStride)
	}
	if string(b[:4]) != magic {
		return fmt.Errorf("no signature %q at offset 0 but %q", magic, b[:4])
	}
	off, n := int(binary.LittleEndian.Uint16(b[4:])), int(binary.LittleEndian.Uint16(b[6:]))
	if n != len(b)/fixupStride+1 || off < 8 || off+2*n > fixupStride-2 {
		return fmt.Errorf("update sequence at offset 4: %d numbers at %d in a block of %d bytes", n, off, len(b))
	}
	usn := binary.LittleEndian.Uint16(b[off:])
	for i := 1; i < n; i++ {
		end := i*fixupStride - 2
		if got := binary.LittleEndian.Uint16(b[end:]); got != usn {
			return fmt.Errorf("torn write: update sequence number %#x at offset %d instead of %#x", got, end, usn)
		}
		copy(b[end:end+2], b[off+2*i:])
	}
	return nil
}

// parseRecord reads an MFT record in use out of its bytes, which it changes
// and keeps.
func parseRecord(b []byte, number int64) (record, error) {
	r := record{number: number}
	if err := fixup(b, "FILE"); err != nil {
		return r, err
	}
	if binary.LittleEndian.Uint16(b[22:])&1 == 0 {
		return r, errors.New("flags at offset 22: the record is not in use")
	}
	r.seq, r.folder = binary.LittleEndian.Uint16(b[16:]), binary.LittleEndian.Uint16(b[22:])&2 != 0
	r.base = binary.LittleEndian.Uint64(b[32:])
	used := int64(binary.LittleEndian.Uint32(b[24:]))
	if used > int64(len(b)) {
		return r, fmt.Errorf("bytes in use at offset 24: %d of %d", used, len(b))
	}
	for off := int64(binary.LittleEndian.Uint16(b[20:])); ; {
		if off+4 > used {
			return r, fmt.Errorf("attributes: no end mark before offset %d", used)
		}
		if binary.LittleEndian.Uint32(b[off:]) == typeEnd {
			return r, nil
		}
		a, n, err := parseAttribute(b[off:used])
		if err != nil {
			return r, fmt.Errorf("attribute at offset %d: %w", off, err)
		}
		r.attrs = append(r.attrs, a)
		off += n
	}
}

// parseAttribute reads the attribute at the start of b and gives its length.
func parseAttribute(b []byte) (attribute, int64, error) {
	var a attribute
	if len(b) < 24 {
		return a, 0, fmt.Errorf("cut off after %d bytes", len(b))
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n < 24 || n > int64(len(b)) || n%8 != 0 {
		return a, 0, fmt.Errorf("length at offset 4 is %d of %d", n, len(b))
	}
	b = b[:n]
	a.typ = binary.LittleEndian.Uint32(b)
	a.resident = b[8] == 0
	a.flags = binary.LittleEndian.Uint16(b[12:])
	a.id = binary.LittleEndian.Uint16(b[14:])
	name, err := slice(b, int(binary.LittleEndian.Uint16(b[10:])), 2*int(b[9]), "name at offset 9")
	if err != nil {
		return a, 0, err
	}
	a.name = wtf8(name)
	if a.resident {
		size := int64(binary.LittleEndian.Uint32(b[16:]))
		if size > n {
			return a, 0, fmt.Errorf("value length at offset 16 is %d of %d", size, n)
		}
		a.value, err = slice(b, int(binary.LittleEndian.Uint16(b[20:])), int(size), "value at offset 20")
		return a, n, err
	}
	return a, n, a.nonResident(b)
}

// nonResident reads the header of an attribute whose contents are in clusters.
func (a *attribute) nonResident(b []byte) error {
	if len(b) < 64 {
		return fmt.Errorf("length at offset 4 is %d, too short for a run list", len(b))
	}
	a.unit = b[34]
	a.low = int64(binary.LittleEndian.Uint64(b[16:]))
	if a.low < 0 {
		return fmt.Errorf("lowest VCN at offset 16 is %d", a.low)
	}
	a.size = int64(binary.LittleEndian.Uint64(b[48:]))
	a.valid = int64(binary.LittleEndian.Uint64(b[56:]))
	if a.size < 0 || a.valid < 0 || a.low == 0 && a.valid > a.size {
		return fmt.Errorf("sizes at offset 48: %d bytes, %d of them valid", a.size, a.valid)
	}
	off := int(binary.LittleEndian.Uint16(b[32:]))
	if off < 64 || off > len(b) {
		return fmt.Errorf("mapping pairs at offset 32 begin at %d of %d", off, len(b))
	}
	a.pairs = b[off:]
	return nil
}

// slice is b[off:off+n], checked.
func slice(b []byte, off, n int, what string) ([]byte, error) {
	if off < 0 || n < 0 || off > len(b) || n > len(b)-off {
		return nil, fmt.Errorf("%s: [%d,+%d) of %d bytes", what, off, n, len(b))
	}
	return b[off : off+n], nil
}

// utf16Text decodes little-endian UTF-16.
func utf16Text(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}
