package browse

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"
)

// descriptor is a security descriptor of SYSTEM with an access list of one entry.
func descriptor() []byte {
	b := make([]byte, 20, 80)
	b[0] = 1
	binary.LittleEndian.PutUint16(b[2:], 0x8004)
	owner := []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}
	acl := []byte{2, 0, 28, 0, 1, 0, 0, 0, 0, 3, 20, 0, 0xff, 1, 0x1f, 0}
	binary.LittleEndian.PutUint32(b[4:], 20)
	binary.LittleEndian.PutUint32(b[16:], 32)
	return append(append(append(b, owner...), acl...), owner...)
}

func TestDescriptor(t *testing.T) {
	b := descriptor()
	if !validDescriptor(b) || OwnerOf(b) != "S-1-5-18" || Account(OwnerOf(b)) != "SYSTEM" {
		t.Errorf("%v, %s", validDescriptor(b), OwnerOf(b))
	}
	for n := range b {
		if validDescriptor(b[:n]) {
			t.Errorf("the first %d bytes are taken for all", n)
		}
		OwnerOf(b[:n])
	}
	for _, change := range []struct{ at, to int }{{0, 2}, {3, 0}, {4, 200}, {4, 3}, {16, 60}, {21, 16}, {34, 4}, {34, 200}, {36, 2}, {42, 4}, {42, 99}} {
		bad := slices.Clone(b)
		bad[change.at] = byte(change.to)
		if validDescriptor(bad) {
			t.Errorf("byte %d as %d is taken for good", change.at, change.to)
		}
	}
}

func FuzzDescriptor(f *testing.F) {
	f.Add(descriptor())
	f.Fuzz(func(t *testing.T, b []byte) {
		OwnerOf(b)
		validDescriptor(b)
	})
}

func TestAttributes(t *testing.T) {
	if got := AttributeNames(0x1 | 0x4000 | 0x10); !slices.Equal(got, []string{"readonly", "encrypted"}) {
		t.Errorf("%q", got)
	}
	if got := AttributeLetters(0x1 | 0x20 | 0x4000); got != "ar---e" {
		t.Errorf("%q", got)
	}
	if got := fileTime(time.Date(1601, 1, 1, 0, 0, 1, 200, time.UTC)); got != 10_000_002 || fileTime(time.Time{}) != 0 {
		t.Error(got)
	}
}
