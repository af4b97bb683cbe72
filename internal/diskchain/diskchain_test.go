package diskchain

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		relative string
		absolute []string
		want     []string
	}{
		{`.\base.vhdx`, nil, []string{"dir/base.vhdx"}},
		{`..\a\base.vhdx`, nil, []string{"a/base.vhdx", "dir/base.vhdx"}},
		{`base.vhdx`, []string{`C:\vm\old.vhdx`}, []string{"dir/base.vhdx", "dir/old.vhdx", `C:\vm\old.vhdx`}},
		{"", []string{`\\server\share\base.vhdx`}, []string{"dir/base.vhdx"}},
		{`\\server\share\base.vhdx`, nil, []string{"dir/base.vhdx"}},
		{"", []string{`\\?\Volume{1-2}\x\b.vhdx`, `\\?\C:\x\b.vhdx`}, []string{"dir/b.vhdx", `\\?\Volume{1-2}\x\b.vhdx`, `\\?\C:\x\b.vhdx`}},
		{"", []string{`\\?\UNC\server\share\b.vhdx`, `Volume{1}\b.vhdx`}, []string{"dir/b.vhdx"}},
		{"..", []string{`C:\`, `C:`, "", "."}, []string{".", `C:\`}},
	} {
		got := Places("dir/child.vhdx", c.relative, c.absolute...)
		for i := range got {
			got[i] = filepath.ToSlash(got[i])
		}
		for i := range c.want {
			c.want[i] = filepath.ToSlash(c.want[i])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q, %q: %q, want %q", c.relative, c.absolute, got, c.want)
		}
	}
}

var errDamage = errors.New("damage")

func TestFull(t *testing.T) {
	p := make([]byte, 4)
	if err := Full(strings.NewReader("abcdef"), p, 2, errDamage); err != nil || string(p) != "cdef" {
		t.Errorf("%q, %v", p, err)
	}
	if err := Full(strings.NewReader("abcdef"), p, 3, errDamage); !errors.Is(err, errDamage) {
		t.Errorf("bytes behind the end: %v", err)
	}
}

func TestRuns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for turn := range 2000 {
		m := Bitmap{Bytes: make([]byte, 1+rng.IntN(12)), HighFirst: turn%2 == 0}
		for i := range m.Bytes {
			m.Bytes[i] = []byte{0, 0xff, byte(rng.Uint32())}[rng.IntN(3)]
		}
		all := int64(8 * len(m.Bytes))
		skip := rng.Int64N(all)
		n := rng.Int64N(all - skip)
		next := int64(0)
		for r := range m.Runs(skip, n) {
			if r.From != next || r.Len <= 0 {
				t.Fatalf("run %v after %d", r, next)
			}
			for i := range r.Len {
				at := skip + r.From + i
				bit := m.Bytes[at/8]>>(at%8)&1 != 0
				if m.HighFirst {
					bit = m.Bytes[at/8]>>(7-at%8)&1 != 0
				}
				if bit != r.Set {
					t.Fatalf("bit %d of %x is not that of %v", at, m.Bytes, r)
				}
			}
			next += r.Len
		}
		if next != n {
			t.Fatalf("%d bits of %d", next, n)
		}
	}
	for range (Bitmap{Bytes: []byte{0xaa}}).Runs(0, 8) {
		break
	}
}
