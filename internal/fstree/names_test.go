package fstree

import (
	"slices"
	"testing"
	"unicode/utf8"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		units []uint16
		name  string
	}{
		{nil, ""},
		{[]uint16{'a', 0xe4, 0x65e5}, "aä日"},
		{[]uint16{0xd83d, 0xde00}, "😀"},
		{[]uint16{0xd83d}, "\xed\xa0\xbd"},
		{[]uint16{0xdfff, 'x'}, "\xed\xbf\xbfx"},
		{[]uint16{0xde00, 0xd83d}, "\xed\xb8\x80\xed\xa0\xbd"},
		{[]uint16{0xd83d, 0xd83d, 0xde00}, "\xed\xa0\xbd😀"},
	} {
		if got := Name(c.units); got != c.name {
			t.Errorf("%#x: %q instead of %q", c.units, got, c.name)
		}
		if got := Units(c.name); !slices.Equal(got, c.units) {
			t.Errorf("%q: %#x instead of %#x", c.name, got, c.units)
		}
	}
	if got := Units("\xff\xed\xa0"); !slices.Equal(got, []uint16{0xfffd, 0xfffd, 0xfffd}) {
		t.Errorf("bytes that are no name: %#x", got)
	}
	up := func(c uint16) uint16 {
		if c >= 'a' && c <= 'z' {
			return c - 32
		}
		return c
	}
	if got := Fold("a\xed\xa0\xbdb😀", up); got != "A\xed\xa0\xbdB😀" {
		t.Errorf("%q", got)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("a\xed\xa0\xbd😀")
	f.Fuzz(func(t *testing.T, s string) {
		units := Units(s)
		name := Name(units)
		if !slices.Equal(Units(name), units) || utf8.ValidString(s) && name != s {
			t.Errorf("%q becomes %q", s, name)
		}
	})
}
