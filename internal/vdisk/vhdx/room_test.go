package vhdx

import (
	"bytes"
	"errors"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// TestRoom has disks with data here and there: the file is as long as was said
// when no block is all zeros.
func TestRoom(t *testing.T) {
	disk := vdisktest.Disk(bytes.Repeat([]byte{1}, 24*mib))
	for _, used := range []block.Extents{
		{},
		{{Off: 0, Len: 512}},
		{{Off: 0, Len: 512}, {Off: 4096, Len: 512}, {Off: 2*mib - 512, Len: 1024}},
		{{Off: 5*mib - 512, Len: 512}, {Off: 5 * mib, Len: 9 * mib}, {Off: 15 * mib, Len: 512}},
		{{Off: 0, Len: 24 * mib}},
	} {
		for _, o := range []Options{{}, {BlockSize: 4 * mib, Sector: 4096}} {
			m := &made{}
			if err := Write(t.Context(), m, disk.Size(), disk, used, o, nil); err != nil {
				t.Fatal(err)
			}
			room, err := Room(disk.Size(), used, o)
			if err != nil || room != int64(len(m.b)) {
				t.Errorf("%v, blocks of %d: said %d, %v; has %d", used, o.BlockSize, room, err, len(m.b))
			}
		}
	}
}

// TestDamageIsTold has ErrCorrupt for files that are cut or changed, and not for
// what is only unknown.
func TestDamageIsTold(t *testing.T) {
	disk := vdisktest.Draw(3*mib, 4)
	m := makeDisk(t, disk, Options{})
	whole := bytes.Clone(m.b)
	for name, change := range map[string]func(){
		"cut":       func() { m.b = m.b[:batAt+8] },
		"checksums": func() { m.b[headerAt0+4]++; m.b[headerAt1+4]++ },
		"entry":     func() { m.b[batAt] |= 7 },
	} {
		m.b = bytes.Clone(whole)
		change()
		d, err := m.open()
		if err == nil {
			_, err = d.ReadAt(make([]byte, disk.Size()), 0)
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.b = bytes.Clone(whole)
	m.b[headerAt0+66], m.b[headerAt1+66] = 2, 2
	m.resum()
	if _, err := m.open(); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("version 2: %v", err)
	}
}
