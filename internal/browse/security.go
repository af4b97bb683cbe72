package browse

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// validDescriptor says whether the parts of a self-relative security descriptor
// lie within it: owner, group, and the two lists with their entries ([MS-DTYP]
// 2.4.5 and 2.4.6).
func validDescriptor(b []byte) bool {
	const selfRelative = 0x8000
	if len(b) < 20 || b[0] != 1 || binary.LittleEndian.Uint16(b[2:])&selfRelative == 0 {
		return false
	}
	for i, at := range []int{4, 8, 12, 16} {
		off := int64(binary.LittleEndian.Uint32(b[at:]))
		switch {
		case off == 0:
		case off < 20 || off > int64(len(b)), i < 2 && sid(b[off:]) == "", i >= 2 && !validACL(b[off:]):
			return false
		}
	}
	return true
}

// validACL says whether a list and its entries lie within b: a header of 8 bytes
// with size and count, entries of at least 4 that say their own size.
func validACL(b []byte) bool {
	if len(b) < 8 || int(binary.LittleEndian.Uint16(b[2:])) > len(b) || binary.LittleEndian.Uint16(b[2:]) < 8 {
		return false
	}
	rest := b[8:binary.LittleEndian.Uint16(b[2:])]
	for range binary.LittleEndian.Uint16(b[4:]) {
		if len(rest) < 8 {
			return false
		}
		n := int(binary.LittleEndian.Uint16(rest[2:]))
		if n < 8 || n > len(rest) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// Account is the name of a security identifier that is the same on all machines
// ([MS-DTYP] 2.4.2.4), or the identifier.
func Account(sid string) string {
	switch sid {
	case "S-1-5-18":
		return "SYSTEM"
	case "S-1-5-32-544":
		return "Administrators"
	case "S-1-5-32-545":
		return "Users"
	}
	return sid
}

// OwnerOf is the owner that a self-relative security descriptor names ([MS-DTYP]
// 2.4.6), S-1-5-... ; "" when it names none.
func OwnerOf(descriptor []byte) string {
	if len(descriptor) < 20 {
		return ""
	}
	at := int64(binary.LittleEndian.Uint32(descriptor[4:]))
	if at < 20 || at > int64(len(descriptor)) {
		return ""
	}
	return sid(descriptor[at:])
}

// sid gives a security identifier as text ([MS-DTYP] 2.4.2.1 and 2.4.2.2): a
// revision, the number of its parts, an authority in big-endian, the parts in
// little-endian order.
func sid(b []byte) string {
	if len(b) < 8 || b[0] != 1 || b[1] > 15 || len(b) < 8+4*int(b[1]) {
		return ""
	}
	authority := uint64(binary.BigEndian.Uint16(b[2:]))<<32 | uint64(binary.BigEndian.Uint32(b[4:]))
	var out strings.Builder
	fmt.Fprintf(&out, "S-1-%d", authority)
	for i := range int(b[1]) {
		fmt.Fprintf(&out, "-%d", binary.LittleEndian.Uint32(b[8+4*i:]))
	}
	return out.String()
}

// attributeNames are those of the FILE_ATTRIBUTE_ bits ([MS-FSCC] 2.6), by their
// places.
var attributeNames = [...]string{
	0: "readonly", 1: "hidden", 2: "system", 5: "archive", 8: "temporary", 9: "sparse", 10: "reparse",
	11: "compressed", 12: "offline", 13: "not-indexed", 14: "encrypted", 15: "integrity", 17: "no-scrub",
	18: "recall-on-open", 19: "pinned", 20: "unpinned", 22: "recall-on-access",
}

// AttributeNames are the names of attributes of Windows, but for that of folders.
func AttributeNames(bits uint32) (out []string) {
	for i, name := range attributeNames {
		if name != "" && bits>>i&1 != 0 {
			out = append(out, name)
		}
	}
	return out
}

// AttributeLetters are attributes as the attrib command and PowerShell show them.
func AttributeLetters(bits uint32) string {
	out := []byte("-----")
	for i, a := range []struct {
		bit    uint32
		letter byte
	}{{0x20, 'a'}, {0x1, 'r'}, {0x2, 'h'}, {0x4, 's'}, {0x400, 'l'}} {
		if bits&a.bit != 0 {
			out[i] = a.letter
		}
	}
	for _, more := range []struct {
		bit    uint32
		letter byte
	}{{0x800, 'c'}, {0x4000, 'e'}} {
		if bits&more.bit != 0 {
			out = append(out, more.letter)
		}
	}
	return string(out)
}

// settable are the attributes that are a property of a file, and not of how it is
// stored: read-only, hidden, system, archive, temporary, offline, not-indexed.
const settable = 0x1 | 0x2 | 0x4 | 0x20 | 0x100 | 0x1000 | 0x2000

// fileTime is a time in 100 ns since 1601; 0 is none.
func fileTime(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix()+11644473600)*10_000_000 + uint64(t.Nanosecond()/100)
}
