package exfat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/fatchain"
)

// TestBothKinds makes sure that the volumes of these tests have files whose
// clusters the table chains, and others.
func TestBothKinds(t *testing.T) {
	v := open(t, filled(t, 16<<20, 6, 5000))
	if a, b := find(t, v, "turns 1"), find(t, v, "many/0001 xxxxxxx.bin"); a.file.row || !b.file.row || b.clusters() < 2 {
		t.Errorf("%+v, %+v", a.file, b.file)
	}
}

// TestDamagedFolders damages the folder "many" and looks at what is listed.
func TestDamagedFolders(t *testing.T) {
	fresh := filled(t, 16<<20, 20, 5000)
	v := open(t, fresh)
	all, err := v.Files().ReadDir("many")
	if err != nil {
		t.Fatal(err)
	}
	victim := find(t, v, "many/0001 xxxxxxx.bin")
	folder := find(t, v, "many")
	for _, c := range []struct {
		name, want string
		lost       int
		edit       func(d disk)
	}{
		{"checksum", "its checksum is", 1, func(d disk) { d[victim.off+2]++ }},
		{"hash", "the hash of the name", 0, func(d disk) { change(d, victim, func(s []byte) { s[entrySize+4]++ }) }},
		{"no stream", "no stream extension", 1, func(d disk) { change(d, victim, func(s []byte) { s[entrySize] = typeName }) }},
		{"lost secondaries", "is not complete", 1, func(d disk) { d[victim.off+2*entrySize] = 0x41 }},
		{"lost primary", "belongs to none", 1, func(d disk) { d[victim.off] = 0x05 }},
		{"length of the name", "units of a name", 1, func(d disk) { change(d, victim, func(s []byte) { s[entrySize+3] = 200 }) }},
		{"no name", "an entry of type 0xc1", 1, func(d disk) { change(d, victim, func(s []byte) { s[entrySize+3] = 0 }) }},
		{"a slash", "cannot be part of a path", 1, func(d disk) {
			change(d, victim, func(s []byte) {
				s[2*entrySize+4] = '/'
				binary.LittleEndian.PutUint16(s[2:], setSum(s))
				f, err := parseFile(s)
				if err != nil {
					t.Fatal(err)
				}
				binary.LittleEndian.PutUint16(s[entrySize+4:], nameSum(f.name, v.up))
			})
		}},
		{"unknown critical secondary", "an entry of type 0xc2", 1, func(d disk) { change(d, victim, func(s []byte) { s[2*entrySize] = 0xc2 }) }},
		{"valid length", "are valid", 1, func(d disk) { change(d, victim, func(s []byte) { s[entrySize+12]++ }) }},
		{"huge length", "its length is", 1, func(d disk) { change(d, victim, func(s []byte) { s[entrySize+31] = 0x80 }) }},
		{"unknown critical", "type 0x86 at byte", 1, func(d disk) { d[victim.off] = 0x86 }},
		{"bitmap in a folder", "type 0x81 at byte", 1, func(d disk) { d[victim.off] = typeBitmap }},
		{"unknown benign", "", 1, func(d disk) { d[victim.off] = 0xa5 }},
		{"end", "", len(all) - 0, func(d disk) { clear(d[v.space.Offset(folder.file.first):][:32]) }},
		{"length of the folder", "more than the volume has", len(all), func(d disk) {
			change(d, folder, func(s []byte) { s[entrySize+1] = 3; s[entrySize+30], s[entrySize+14] = 1, 1 })
		}},
		{"place of the folder", "row begin at", len(all), func(d disk) {
			change(d, folder, func(s []byte) {
				s[entrySize+1] = 3
				binary.LittleEndian.PutUint32(s[entrySize+20:], uint32(v.boot.TotalClusters+1))
				binary.LittleEndian.PutUint64(s[entrySize+8:], 8192)
				binary.LittleEndian.PutUint64(s[entrySize+24:], 8192)
			})
		}},
		{"loop", "one of those it lies in", len(all), func(d disk) {
			change(d, folder, func(s []byte) { binary.LittleEndian.PutUint32(s[entrySize+20:], uint32(v.boot.RootCluster)) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := disk(bytes.Clone(fresh))
			c.edit(d)
			again, err := Open(d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := again.Files().ReadDir("many")
			if len(all)-len(got) != c.lost || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d of %d entries, %v", len(got), len(all), err)
			}
			if _, err := again.Files().Stat("many/0002 xxxxxxxxxxxxxx.bin"); c.lost < 2 && err != nil {
				t.Error(err)
			}
			if _, err := again.Files().Stat("many/none"); err == nil || errors.Is(err, fs.ErrNotExist) != (c.want == "") {
				t.Errorf("a file that may have been there: %v", err)
			}
		})
	}
}

// TestBenignSecondary adds an entry that a vendor may.
func TestBenignSecondary(t *testing.T) {
	d := filled(t, 16<<20, 0, 5000)
	v := open(t, d)
	last := find(t, v, "emoji/😀🚀")
	d[last.off+1]++
	change(d, last, func(s []byte) { s[len(s)-entrySize] = 0xe0 })
	if again := find(t, open(t, d), "emoji/😀🚀"); again.Size() != last.Size() {
		t.Error("the file has changed")
	}
}

// TestChains breaks the chain of a file.
func TestChains(t *testing.T) {
	fresh := filled(t, 16<<20, 6, 5000)
	v := open(t, fresh)
	n := find(t, v, "turns 1")
	for want, entry := range map[string]uint32{
		"goes round":     uint32(n.file.first),
		"of clusters":    0xffffffff,
		"goes from":      uint32(v.boot.TotalClusters + 2),
		"goes from clus": 0xfffffff7,
	} {
		d := disk(bytes.Clone(fresh))
		second, err := v.space.Next(n.file.first)
		if err != nil {
			t.Fatal(err)
		}
		putFAT(d, v, second, entry)
		again := open(t, d)
		_, readErr := fs.ReadFile(again.Files(), "turns 1")
		var walkErr error
		for _, walkErr = range find(t, again, "turns 1").Extents() {
		}
		if walkErr == nil || !strings.Contains(walkErr.Error(), want) || readErr == nil && want != "goes round" {
			t.Errorf("%#x: %v, %v", entry, walkErr, readErr)
		}
	}
}

// TestBitmapAgainstModel compares walks over random bitmaps with a look at each
// bit.
func TestBitmapAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for _, clusters := range []int64{1, 7, 8, 9, 4000, 8*pieceSize + 77} {
		size := (clusters + 7) / 8
		d := make(disk, 512+(size+511)/512*512)
		boot := Boot{TotalClusters: clusters, ClusterSize: 512, DataStart: 512}
		space := fatchain.New(d, fatchain.Geometry{Bits: 32, Data: 512, Size: 512, Count: int64(len(d))})
		m := bitmap{space.Row(2, int64(len(d))/512-1).Reader(size, size), &boot}
		for i := 512; i < len(d); i++ {
			if d[i] = byte(rng.UintN(256)); i%1000 < 600 {
				d[i] = byte(i / 1000 % 2 * 255)
			}
		}
		var want []block.Extent
		for i := range clusters {
			if d[512+i/8]>>(i%8)&1 != 0 {
				want = append(want, block.Extent{Off: 512 + i*512, Len: 512})
			}
		}
		var got block.Extents
		for e, err := range m.Extents() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if joined := block.NewExtents(want...); !reflect.DeepEqual(joined, block.NewExtents(got...)) || len(joined) != len(got) {
			t.Errorf("%d clusters: the map is wrong", clusters)
		}
		bits := usedBits{bitmap: m}
		for range 2000 {
			first := rng.Int64N(clusters)
			n := 1 + rng.Int64N(min(clusters-first, 20))
			var missing int64
			for i := first + n - 1; i >= first; i-- {
				if d[512+i/8]>>(i%8)&1 == 0 {
					missing = i + 2
				}
			}
			if free, ok, err := bits.all(first+2, n); err != nil || ok != (missing == 0) || free != missing {
				t.Fatalf("%d clusters from %d on: %d, %v, %v instead of %d", n, first+2, free, ok, err, missing)
			}
		}
	}
}

func TestUpcase(t *testing.T) {
	u, err := parseUpcase([]byte{0xff, 0xff, 'a', 0, 'A', 0, 'B', 0, 0xff, 0xff, 5, 0, 'X', 0})
	if err != nil || u['a'] != 'A' || u['b'] != 'B' || u['c'] != 'c' || u['h'] != 'X' || u[0xffff] != 0xffff {
		t.Errorf("%v", err)
	}
	if _, err := parseUpcase([]byte{0xff, 0xff, 0xff, 0xff, 'a', 0, 'A', 0}); err == nil {
		t.Error("a table of more than 65536 units was taken")
	}
	v := open(t, filled(t, 8<<20, 0, 100))
	if !v.sys.proper || v.up['ä'] != 'Ä' || v.up['я'] != 'Я' || v.up['ß'] != 'ß' {
		t.Error("the table of mkfs.exfat is read wrong")
	}
}
