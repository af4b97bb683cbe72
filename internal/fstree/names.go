package fstree

import (
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Name is a name of UTF-16 units as the tree has it: UTF-8, where a surrogate
// without its other half is encoded as UTF-8 would encode its number.
func Name(units []uint16) string {
	out := make([]byte, 0, len(units)+8)
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if !utf16.IsSurrogate(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		if i+1 < len(units) {
			if pair := utf16.DecodeRune(r, rune(units[i+1])); pair != utf8.RuneError {
				out = utf8.AppendRune(out, pair)
				i++
				continue
			}
		}
		out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return string(out)
}

// Units is the name that Name gave, as UTF-16 units again. Bytes that Name
// never makes become U+FFFD.
func Units(name string) []uint16 {
	out := make([]uint16, 0, len(name))
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 && surrogate(name) {
			r, n = rune(name[0]&0xf)<<12|rune(name[1]&0x3f)<<6|rune(name[2]&0x3f), 3
			out = append(out, uint16(r))
		} else {
			out = utf16.AppendRune(out, r)
		}
		name = name[n:]
	}
	return out
}

// surrogate says whether a text begins with the three bytes of one.
func surrogate(s string) bool {
	return len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && s[2] >= 0x80 && s[2] <= 0xbf
}

// Fold is a name whose units were mapped to upper case by up: a key for
// comparing without regard to case.
func Fold(name string, up func(uint16) uint16) string {
	units := Units(name)
	for i, u := range units {
		units[i] = up(u)
	}
	return Name(units)
}

// errName is why an entry is not part of the tree.
var errName = errors.New("its name cannot be part of a path")

// Valid says whether a name can be part of a path.
func Valid(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return errName
	}
	return nil
}

// elements cuts a path into its names. It takes what fs.ValidPath does, and
// names that are no UTF-8.
func elements(path string) ([]string, bool) {
	if path == "." {
		return nil, true
	}
	names := strings.Split(path, "/")
	for _, name := range names {
		if name == "" || name == "." || name == ".." {
			return nil, false
		}
	}
	return names, true
}
