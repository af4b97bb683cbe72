package vhd

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"ingot/internal/vdisk/vdisktest"
)

// seeds are small files of each kind; the last one's parent is the first.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	disk := vdisktest.Draw(600<<10, 8)
	var out [][]byte
	for _, o := range []Options{{}, {Fixed: true}} {
		b, err := os.ReadFile(writeFile(t, disk, disk.Used(512), o))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	child := makeChild(changed(disk, 600<<10, 1), disk, out[0][68:84], names{`.\parent.vhd`, `C:\x\parent.vhd`, "parent.vhd"})
	return append(out, child)
}

// exercise opens and reads a file that may be damaged.
func exercise(t testing.TB, b, parent []byte) bool {
	t.Helper()
	d, err := Open(bytes.NewReader(b), int64(len(b)), "child.vhd", func(string) (io.ReaderAt, int64, io.Closer, error) {
		return bytes.NewReader(parent), int64(len(parent)), nil, nil
	})
	if err != nil {
		return false
	}
	if d.Size() <= 0 || d.Size() > maxDisk {
		t.Fatalf("a disk of %d bytes", d.Size())
	}
	vdisktest.Exercise(t, d, d.Used())
	return true
}

func TestTruncations(t *testing.T) {
	t.Parallel()
	all := seeds(t)
	for _, b := range all {
		for n := 0; n < min(len(b), 3<<10); n += 7 {
			exercise(t, b[:n], all[0])
		}
		for n := 3 << 10; n < len(b); n += 11<<10 + 5 {
			exercise(t, b[:n], all[0])
		}
		for n := len(b) - 600; n < len(b); n += 3 {
			exercise(t, b[:n], all[0])
		}
	}
}

// TestBitFlips changes bits of footers, header, table and locators; checksums
// are put right in three of four cases, or they would hide what lies behind.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	all := seeds(t)
	rng := rand.New(rand.NewPCG(5, 5))
	opened := 0
	for _, sound := range all {
		b := bytes.Clone(sound)
		for turn := range 800 {
			var undo []int
			for range 1 + rng.IntN(3) {
				at := rng.IntN(4 << 10)
				if rng.IntN(4) == 0 {
					at = len(b) - 1 - rng.IntN(90)
				}
				undo = append(undo, at)
				b[at] ^= 1 << rng.IntN(8)
			}
			if turn%4 != 0 {
				if !bytes.HasPrefix(sound, []byte(footerMark)) { // a fixed disk has data at its front
					binary.BigEndian.PutUint32(b[len(b)-footerSize+64:], checksum(b[len(b)-footerSize:], 64))
				} else {
					resum(b)
				}
			}
			if exercise(t, b, all[0]) {
				opened++
			}
			for _, at := range undo {
				b[at] = sound[at]
			}
			copy(b[:1536], sound)
			copy(b[len(b)-footerSize:], sound[len(b)-footerSize:])
		}
	}
	if opened < 600 {
		t.Errorf("%d of the damaged disks could be opened: too few to say much", opened)
	}
}

func FuzzOpen(f *testing.F) {
	all := seeds(f)
	f.Add(all[0][:4<<10], true)
	f.Add(all[2][:4<<10], true)
	f.Add(all[1][len(all[1])-footerSize:], true)
	f.Add(all[1][len(all[1])-2*footerSize:], false)
	f.Fuzz(func(t *testing.T, b []byte, sums bool) {
		if sums {
			b = bytes.Clone(b)
			resum(b)
		}
		exercise(t, b, all[0])
	})
}

// TestRefused has disks that say what cannot be.
func TestRefused(t *testing.T) {
	t.Parallel()
	be := binary.BigEndian
	dynamic, fixed := seeds(t)[0], seeds(t)[1]
	both := func(change func(foot []byte)) func([]byte) {
		return func(b []byte) { change(b[:footerSize]); change(b[len(b)-footerSize:]) }
	}
	for name, c := range map[string]struct {
		change func(b []byte)
		want   string
	}{
		"untouched":          {func([]byte) {}, ""},
		"version 2":          {both(func(f []byte) { f[13] = 2 }), "version"},
		"no size":            {both(func(f []byte) { clear(f[48:56]) }), "current size"},
		"half a sector":      {both(func(f []byte) { f[55] = 1 }), "current size"},
		"a huge size":        {both(func(f []byte) { f[48] = 1 }), "current size"},
		"a type not known":   {both(func(f []byte) { f[63] = 9 }), "disk type"},
		"a fixed disk":       {both(func(f []byte) { f[63] = typeFixed; be.PutUint64(f[48:], 1<<30) }), "fixed disk of"},
		"a header far away":  {both(func(f []byte) { f[16] = 1 }), "data offset"},
		"a header elsewhere": {both(func(f []byte) { f[22] = 4 }), "header"},
		"no header":          {func(b []byte) { b[512]++ }, "cookie"},
		"another header":     {func(b []byte) { b[512+25] = 9 }, "version"},
		"blocks of 0 bytes":  {func(b []byte) { clear(b[512+32:][:4]) }, "block size"},
		"blocks of 3 MiB":    {func(b []byte) { be.PutUint32(b[512+32:], 3*mib) }, "block size"},
		"a table far away":   {func(b []byte) { b[512+16] = 1 }, "table offset"},
		"a table outside":    {func(b []byte) { b[512+19] = 1 }, "table of"},
		"a table too short":  {func(b []byte) { clear(b[512+28:][:4]) }, "table of"},
		"more than it has":   {both(func(f []byte) { be.PutUint64(f[48:], 1<<40) }), "table of"},
	} {
		b := bytes.Clone(dynamic)
		c.change(b)
		resum(b)
		_, err := Open(bytes.NewReader(b), int64(len(b)), "", nil)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(bytes.NewReader(fixed[512:]), int64(len(fixed)-512), "", nil); err == nil {
		t.Error("a fixed disk with less than its size was opened")
	}
	far := bytes.Clone(dynamic)
	be.PutUint32(far[tableAt:], 1<<31)
	d, err := Open(bytes.NewReader(far), int64(len(far)), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 10), 0); err == nil || !strings.Contains(err.Error(), "block 0") {
		t.Errorf("a block behind the end: %v", err)
	}
}
