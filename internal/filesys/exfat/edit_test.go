package exfat

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// find gives the node of a file.
func find(t testing.TB, v *Volume, path string) *node {
	t.Helper()
	info, err := v.Files().Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*node)
}

// change edits the set of a file and its checksum.
func change(d disk, n *node, edit func(set []byte)) {
	set := d[n.off:][:entrySize*(1+int(d[n.off+1]))]
	edit(set)
	binary.LittleEndian.PutUint16(set[2:], setSum(set))
}

// reseal gives both boot regions their checksums, the backup after the main.
func reseal(d disk) {
	copy(d[12*512:24*512], d[:12*512])
	for _, region := range [][]byte{d[:12*512], d[12*512 : 24*512]} {
		sum := bootSum(region[:11*512])
		for i := 11 * 512; i < 12*512; i += 4 {
			binary.LittleEndian.PutUint32(region[i:], sum)
		}
	}
}

// mark sets or clears the bit of a cluster.
func mark(d disk, v *Volume, cluster int64, used bool) {
	at := v.space.Offset(v.sys.bitmaps[0].first) + (cluster-2)/8
	d[at] &^= 1 << ((cluster - 2) % 8)
	if used {
		d[at] |= 1 << ((cluster - 2) % 8)
	}
}

// entryOf is the place of a root directory entry of a kind.
func entryOf(d disk, v *Volume, kind byte) []byte {
	at := v.space.Offset(v.boot.RootCluster)
	for d[at] != kind {
		at += entrySize
	}
	return d[at:][:entrySize]
}

func putFAT(d disk, v *Volume, cluster int64, entry uint32) {
	binary.LittleEndian.PutUint32(d[v.boot.FATOffset+4*cluster:], entry)
}

// lastCluster is one that is free.
func lastCluster(v *Volume) int64 { return v.boot.TotalClusters + 1 }

// TestNotices edits one thing at a time and looks for what is said about it.
func TestNotices(t *testing.T) {
	fresh := filled(t, 16<<20, 6, 5000)
	v := open(t, fresh)
	plain := v.Facts()
	for _, c := range []struct {
		name, want string
		edit       func(d disk)
	}{
		{"dirty", "not removed cleanly", func(d disk) { d[106] |= 2 }},
		{"failure", "disk errors", func(d disk) { d[106] |= 4 }},
		{"bad cluster", "Clusters marked as bad: 1.", func(d disk) { putFAT(d, v, lastCluster(v), 0xfffffff7) }},
		{"main boot sector", "main boot region is damaged", func(d disk) { d[300]++ }},
		{"main boot sector's fields", "offset 92", func(d disk) { clear(d[92:96]) }},
		{"main checksum", "main boot region is damaged", func(d disk) { d[11*512+5]++ }},
		{"main OEM parameters", "main boot region is damaged", func(d disk) { d[9*512+5]++ }},
		{"backup region", "backup boot region is damaged", func(d disk) { d[15*512+5]++ }},
		{"too high a percentage", "(99%) is out of date", func(d disk) { d[112] = 99 }},
		{"too low a percentage", "", func(d disk) { d[112] = 0 }},
		{"no percentage", "", func(d disk) { d[112] = 0xff }},
		{"up-case table", "compared in ASCII only", func(d disk) { d[v.space.Offset(v.sys.upcase.first)+100]++ }},
		{"set of the root directory", "root directory is damaged", func(d disk) {
			n := find(t, v, "turns 0")
			d[n.off+entrySize] = 0x40
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := bytes.Clone(fresh)
			c.edit(d)
			v := open(t, disk(d))
			castOver(t, v, d)
			f := v.Facts()
			said := strings.Join(f.Warnings, "\n")
			if !strings.Contains(said, c.want) || c.want == "" && said != "" || f.FreeClusters != plain.FreeClusters {
				t.Errorf("warnings %q, %d free clusters", said, f.FreeClusters)
			}
			if has, err := v.Contains(`efi\microsoft\BOOT\bcd`); !has || err != nil {
				t.Errorf("Contains: %v, %v", has, err)
			}
		})
	}
}

// TestDoubts makes volumes whose bitmaps must not be trusted.
func TestDoubts(t *testing.T) {
	fresh := filled(t, 16<<20, 6, 5000)
	v := open(t, fresh)
	for _, c := range []struct {
		name, reason string
		edit         func(d disk) disk
	}{
		{"partition too short", "the partition has", func(d disk) disk { return d[:len(d)-512] }},
		{"root is free", "of the root directory is marked as free", func(d disk) disk { mark(d, v, v.boot.RootCluster, false); return d }},
		{"bitmap is free", "of allocation bitmap 1 is marked as free", func(d disk) disk { mark(d, v, v.sys.bitmaps[0].first, false); return d }},
		{"up-case table is free", "of the up-case table is marked as free", func(d disk) disk { mark(d, v, v.sys.upcase.first, false); return d }},
		{"a file is free", "is marked as free", func(d disk) disk { mark(d, v, find(t, v, "turns 1").file.first, false); return d }},
		{"a deep file is free", "is marked as free", func(d disk) disk {
			d[112] = 50
			mark(d, v, find(t, v, "EFI/Microsoft/Boot/BCD").file.first+0, false)
			mark(d, v, find(t, v, "many/0001 xxxxxxx.bin").file.first+1, false)
			return d
		}},
		{"a damaged folder and a high percentage", "all files were checked", func(d disk) disk {
			d[112] = 50
			d[find(t, v, "EFI/Microsoft/Boot").off+3]++
			return d
		}},
		{"no bitmap", "allocation bitmap 1 has 0 bytes", func(d disk) disk { entryOf(d, v, typeBitmap)[0] = 1; return d }},
		{"bitmap too short", "it takes", func(d disk) disk { entryOf(d, v, typeBitmap)[24]--; return d }},
		{"bitmap elsewhere", "chain", func(d disk) disk { entryOf(d, v, typeBitmap)[23] = 9; return d }},
		{"no up-case table", "no up-case table", func(d disk) disk { entryOf(d, v, typeUpcase)[0] = 1; return d }},
		{"two bitmaps", "more than one allocation bitmap", func(d disk) disk {
			copy(entryOf(d, v, typeLabel), entryOf(d, v, typeBitmap))
			return d
		}},
		{"two bitmaps with one table", "with one table", func(d disk) disk {
			e := entryOf(d, v, typeLabel)
			copy(e, entryOf(d, v, typeBitmap))
			e[1] = 1
			return d
		}},
		{"unknown critical entry", "type 0x84 is not known", func(d disk) disk { entryOf(d, v, typeLabel)[0] = 0x84; return d }},
		{"root goes round", "goes round", func(d disk) disk {
			clear(d[v.space.Offset(v.boot.RootCluster):][32*30 : 4096])
			for i := 0; i < 4096; i += 32 { // no end mark
				d[v.space.Offset(v.boot.RootCluster)+int64(i)] |= 1
			}
			putFAT(d, v, v.boot.RootCluster, uint32(v.boot.RootCluster))
			return d
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.edit(bytes.Clone(fresh))
			v, err := Open(d)
			if err != nil {
				t.Fatal(err)
			}
			if f := v.Facts(); !strings.Contains(f.WholeReason, c.reason) || f.UsedBytes != d.Size() || f.FreeClusters != 0 {
				t.Errorf("reason %q, %d bytes used of %d", f.WholeReason, f.UsedBytes, d.Size())
			}
			if n, err := block.Bytes(v.Used()); n != d.Size() || err != nil {
				t.Errorf("%d bytes of %d are used, %v", n, d.Size(), err)
			}
		})
	}
}

// TestBootFields damages both boot regions in one field, with right checksums.
func TestBootFields(t *testing.T) {
	fresh := volumetest.Load(t, makeVolume(t, 8<<20))
	for want, edit := range map[string]func(d disk){
		"offset 510":        func(d disk) { d[510] = 0 },
		"offset 11 ":        func(d disk) { d[20] = 1 },
		"offset 104 is 2":   func(d disk) { d[105] = 2 },
		"offset 108":        func(d disk) { d[108] = 13 },
		"are 9 and 17":      func(d disk) { d[109] = 17 },
		"offset 110 is 3":   func(d disk) { d[110] = 3 },
		"offset 110 is 0":   func(d disk) { d[110] = 0 },
		"offset 72":         func(d disk) { d[79] = 1 },
		"(offset 72)":       func(d disk) { clear(d[72:80]) },
		"offset 92 is 0":    func(d disk) { clear(d[92:96]) },
		"offset 80":         func(d disk) { d[80], d[81] = 23, 0 },
		"offset 84":         func(d disk) { clear(d[84:88]) },
		"offset 88":         func(d disk) { clear(d[88:92]) },
		"offset 96 is clus": func(d disk) { clear(d[96:100]) },
		"checksum is":       func(d disk) { d[11*512]++; d[23*512]++ },
	} {
		d := disk(bytes.Clone(fresh))
		edit(d)
		if want == "checksum is" {
		} else {
			reseal(d)
		}
		if _, err := Open(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v instead of %q", err, want)
		}
	}
}

// TestTexFAT gives a volume a second table and bitmap, with a cluster that only
// one of the bitmaps uses.
func TestTexFAT(t *testing.T) {
	for _, active := range []uint16{0, 1} {
		d := filled(t, 16<<20, 6, 5000)
		v := open(t, d)
		room := v.boot.DataStart - v.boot.FATOffset
		binary.LittleEndian.PutUint32(d[84:], uint32(room/2/512))
		d[110], d[106] = 2, byte(active)
		reseal(d)
		copy(d[v.boot.FATOffset+room/2:][:room/2], d[v.boot.FATOffset:][:room/2])
		second := lastCluster(v)
		e := entryOf(d, v, typeLabel)
		copy(e, entryOf(d, v, typeBitmap))
		e[1] = 1
		binary.LittleEndian.PutUint32(e[20:], uint32(second))
		for i := range int64(2) {
			binary.LittleEndian.PutUint32(d[v.boot.FATOffset+i*room/2+4*second:], 0xffffffff)
		}
		mark(d, v, second, true)
		copy(d[v.space.Offset(second):][:v.sys.bitmaps[0].size], d[v.space.Offset(v.sys.bitmaps[0].first):])
		mark(d, v, second-1, true)                                        // only in the first
		d[v.space.Offset(second)+(second-4)/8] |= 1 << ((second - 4) % 8) // only in the second
		tex := open(t, d)
		if got := v.facts.FreeClusters - tex.facts.FreeClusters; got != 3 {
			t.Errorf("%d clusters more are in use", got)
		}
		if said := strings.Join(tex.facts.Warnings, "\n"); !strings.Contains(said, "TexFAT") {
			t.Errorf("warnings %q", said)
		}
		if want := v.boot.FATOffset + int64(active)*room/2; tex.boot.activeFAT() != want {
			t.Errorf("the table in use is at %d, not %d", tex.boot.activeFAT(), want)
		}
		volumetest.InUse(t, tex.Files(), tex.Used())
	}
}

func TestChangeDuringWalk(t *testing.T) {
	d := volumetest.Load(t, makeVolume(t, 8<<20))
	v := open(t, d)
	mark(d, v, lastCluster(v), true)
	var err error
	for _, err = range v.Used().Extents() {
	}
	if err == nil || !strings.Contains(err.Error(), "source is changing") {
		t.Errorf("a changed bitmap gave %v", err)
	}
}

// TestTail has a partition that is larger than its volume: what lies behind
// the clusters is kept.
func TestTail(t *testing.T) {
	d := append(volumetest.Load(t, makeVolume(t, 8<<20)), bytes.Repeat([]byte("tail"), 5000)...)
	v := open(t, d)
	if got := castOver(t, v, d); !bytes.Equal(got[8<<20:], d[8<<20:]) {
		t.Error("what lies behind the volume is lost")
	}
}

// read reads a whole file.
func read(t testing.TB, v *Volume, path string) []byte {
	t.Helper()
	b, err := fs.ReadFile(v.Files(), path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestValidDataLength reads what was never written as zeros.
func TestValidDataLength(t *testing.T) {
	d := filled(t, 16<<20, 6, 5000)
	v := open(t, d)
	for _, path := range []string{"turns 1", "many/0001 xxxxxxx.bin"} {
		whole := read(t, v, path)
		for _, valid := range []int{0, 1, 4095, 4096, 4097, len(whole) - 1, len(whole)} {
			change(d, find(t, v, path), func(set []byte) { binary.LittleEndian.PutUint64(set[entrySize+8:], uint64(valid)) })
			again := open(t, d)
			got := read(t, again, path)
			if !bytes.Equal(got[:valid], whole[:valid]) || len(got) != len(whole) || len(bytes.Trim(got[valid:], "\x00")) > 0 {
				t.Errorf("%s with %d valid bytes is read wrong", path, valid)
			}
			f, _ := again.Files().Open(path)
			part := make([]byte, 10)
			if n, err := f.(io.ReaderAt).ReadAt(part, int64(len(whole)-5)); n != 5 || err != io.EOF || !bytes.Equal(part[:5], got[len(got)-5:]) {
				t.Errorf("a read over the end gave %d, %v", n, err)
			}
		}
	}
}

func TestTimestamps(t *testing.T) {
	pack := func(y, mo, d, h, mi, s uint32) uint32 { return (y-1980)<<25 | mo<<21 | d<<16 | h<<11 | mi<<5 | s/2 }
	for _, c := range []struct {
		t          uint32
		tens, zone byte
		want       string
	}{
		{pack(2026, 11, 25, 8, 30, 14), 123, 0x80, "2026-11-25T08:30:15.23Z"},
		{pack(2026, 11, 25, 8, 30, 14), 0, 0x80 | 4, "2026-11-25T08:30:14+01:00"},
		{pack(2026, 11, 25, 8, 30, 14), 0, 0x80 | 0x7e, "2026-11-25T08:30:14-00:30"},
		{pack(2107, 12, 31, 23, 59, 58), 199, 0xd0, "2107-12-31T23:59:59.99-12:00"},
		{pack(2026, 0, 25, 8, 30, 14), 0, 0x80, ""},
		{pack(2026, 1, 0, 8, 30, 14), 0, 0x80, ""},
		{pack(2026, 1, 1, 24, 30, 14), 0, 0x80, ""},
		{pack(2026, 1, 1, 2, 60, 14), 0, 0x80, ""},
		{pack(2026, 1, 1, 2, 3, 60), 0, 0x80, ""},
	} {
		got := timestamp(c.t, c.tens, c.zone)
		if text := got.Format(time.RFC3339Nano); text != c.want && (c.want != "" || !got.IsZero()) {
			t.Errorf("%#x, %d, %#x: %s instead of %s", c.t, c.tens, c.zone, text, c.want)
		}
	}
	if got := timestamp(pack(2026, 6, 1, 2, 4, 6), 0, 0); !got.Equal(time.Date(2026, 6, 1, 2, 4, 6, 0, time.Local)) {
		t.Errorf("a time without a zone is %v", got)
	}
}
