package ntfs

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// wtf8 gives little-endian UTF-16 as UTF-8. Surrogates that stand alone, which
// NTFS allows in names, come out as UTF-8 would encode their number (WTF-8), so
// that units finds the same name again.
func wtf8(b []byte) string {
	out := make([]byte, 0, len(b))
	for ; len(b) >= 2; b = b[2:] {
		r := rune(binary.LittleEndian.Uint16(b))
		if utf16.IsSurrogate(r) && len(b) >= 4 {
			if pair := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b[2:]))); pair != utf8.RuneError {
				out = utf8.AppendRune(out, pair)
				b = b[2:]
				continue
			}
		}
		if utf16.IsSurrogate(r) {
			out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// units is the inverse of wtf8; false when s is no WTF-8.
func units(s string) ([]uint16, bool) {
	out := make([]uint16, 0, len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n <= 1 {
			if len(s) < 3 || s[0] != 0xed || s[1]&0xe0 != 0xa0 || s[2]&0xc0 != 0x80 {
				return nil, false
			}
			r, n = 0xd000|rune(s[1]&0x3f)<<6|rune(s[2]&0x3f), 3
			out = append(out, uint16(r))
		} else {
			out = utf16.AppendRune(out, r)
		}
		s = s[n:]
	}
	return out, true
}

// pathName reports whether a name can be an element of a path.
func pathName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}

// upcase is the contents of $UpCase: the upper case of each UTF-16 unit. Units
// behind its end are their own.
type upcase []uint16

// parseUpcase reads the contents of $UpCase.
func parseUpcase(b []byte) upcase {
	out := make(upcase, len(b)/2)
	for i := range out {
		out[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return out
}

// loadUpcase reads $UpCase.
func (m *mft) loadUpcase() (upcase, error) {
	rec, err := m.record(recUpCase)
	if err != nil {
		return nil, fmt.Errorf("$UpCase: %w", err)
	}
	s, err := m.open(rec, typeData, "")
	if err != nil {
		return nil, fmt.Errorf("$UpCase: %w", err)
	}
	if s.size > 2<<16 {
		return nil, fmt.Errorf("$UpCase: %d bytes, more than there are characters for", s.size)
	}
	b := make([]byte, s.size)
	if _, err := s.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("$UpCase: %w", err)
	}
	return parseUpcase(b), nil
}

func (u upcase) unit(c uint16) uint16 {
	if int(c) < len(u) {
		return u[c]
	}
	return c
}

// compare orders a name on the volume and another one as the index of a folder
// does, without regard to case (ntfs-3g layout.h, COLLATION_FILE_NAME). Names
// that differ only in case are neighbours in the index.
func (u upcase) compare(name []byte, want []uint16) int {
	for i, w := range want {
		if 2*i+2 > len(name) {
			return -1
		}
		a, b := u.unit(binary.LittleEndian.Uint16(name[2*i:])), u.unit(w)
		if a != b {
			return int(a) - int(b)
		}
	}
	return len(name)/2 - len(want)
}

// sameUnits compares a name on the volume and another one, with their case.
func sameUnits(name []byte, want []uint16) bool {
	if len(name) != 2*len(want) {
		return false
	}
	for i, w := range want {
		if binary.LittleEndian.Uint16(name[2*i:]) != w {
			return false
		}
	}
	return true
}
