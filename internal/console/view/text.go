package view

import (
	"strings"
	"unicode/utf8"
)

// Text makes a name, label or message that others wrote fit to be shown on one
// line: control characters become their pictures (U+2400 and on), those of
// Unicode that break lines or turn the direction of writing, and bytes that are
// no UTF-8, become U+FFFD. It does not escape for HTML: templates do.
func Text(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s { // an invalid byte is a U+FFFD already
		b.WriteRune(picture(r))
	}
	return b.String()
}

// plain says that there is nothing to do, as is so of nearly all names.
func plain(s string) bool {
	for _, r := range s {
		if picture(r) != r {
			return false
		}
	}
	return utf8.ValidString(s)
}

// picture is what is shown for a character.
func picture(r rune) rune {
	switch {
	case r < 0x20:
		return 0x2400 + r
	case r == 0x7F:
		return 0x2421
	case r >= 0x80 && r < 0xA0, r == 0x2028, r == 0x2029:
		return utf8.RuneError
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C:
		return utf8.RuneError
	}
	return r
}
