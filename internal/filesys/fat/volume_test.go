package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

func TestGeometries(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		size       int64
		args       []string
		bare       bool // mtools cannot write it: no files, and fsck.vfat alone checks
	}{
		{"floppy", "FAT12", 1440 << 10, nil, false},
		{"FAT12 large", "FAT12", 15<<20 + 512*3, []string{"-F", "12", "-s", "8"}, false},
		{"FAT16", "FAT16", 32 << 20, []string{"-F", "16"}, false},
		{"FAT16 of 4096-byte sectors", "FAT16", 64 << 20, []string{"-F", "16", "-S", "4096", "-s", "1"}, false},
		{"FAT32", "FAT32", 64<<20 + 512*11, []string{"-F", "32", "-s", "1"}, false},
		{"FAT32 of few clusters", "FAT32", 40 << 20, []string{"-F", "32", "-s", "8"}, true},
		{"FAT32 of 4096-byte sectors", "FAT32", 100 << 20, []string{"-F", "32", "-S", "4096", "-s", "1"}, true},
		{"FAT32 of one table", "FAT32", 48 << 20, []string{"-F", "32", "-s", "1", "-f", "1"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := makeVolume(t, c.size, c.args...)
			if !c.bare {
				fillSome(t, path, 20, 9000)
			}
			v := checkAgainstTools(t, path, !c.bare)
			if f := v.Facts(); f.Type != c.kind || f.Label != "CAST IRON" || f.Serial != "1234ABCD" || len(f.Warnings) > 0 {
				t.Errorf("%+v", f)
			}
			if c.bare {
				return
			}
			for path, want := range map[string]bool{
				"": true, `\EFI\Microsoft\Boot\BCD`: true, "/efi/MICROSOFT/boot/bcd": true, `EFI\Boot\BootX64.efi`: true, `EFI\Boot\BootX64.ef`: false,
				`many\a RATHER long name, number 4 of some.TXT`: true, `many\a rather long name, number 3 of some.txt`: false, `MICROS~1`: false,
				`efi\micros~1\boot\bcd`: true, `EFI\Microsoft\Boot\BCD\x`: false, "CAST IRON": false, `wörter\straße UND öl.text`: true,
			} {
				if got, err := v.Contains(path); err != nil || got != want {
					t.Errorf("Contains(%q) = %v, %v", path, got, err)
				}
			}
		})
	}
}

// checkAgainstTools compares a volume with what fsck.vfat counts, and the
// files of a copy of its used bytes with its own.
func checkAgainstTools(t *testing.T, path string, files bool) *Volume {
	t.Helper()
	src := volumetest.Load(t, path)
	v := open(t, src)
	used, total := usedByFsck(t, path)
	f := v.Facts()
	if f.TotalClusters != total || f.TotalClusters-f.FreeClusters != used {
		t.Errorf("%d used of %d clusters, fsck.vfat says %d of %d", f.TotalClusters-f.FreeClusters, f.TotalClusters, used, total)
	}
	copied := castOver(t, v, src).Save(t)
	if again, _ := usedByFsck(t, copied); again != used {
		t.Errorf("the copy has %d used clusters instead of %d", again, used)
	}
	if !files {
		return v
	}
	if want, got := hashes(t, path), hashes(t, copied); len(want) == 0 || !maps.Equal(want, got) {
		t.Errorf("of %d files %d came through, or changed", len(want), len(got))
	}
	return v
}

// TestNotices edits one thing at a time and looks for what is said about it.
func TestNotices(t *testing.T) {
	for kind, size := range map[string]int64{"16": 31 << 20, "32": 34 << 20} {
		path := makeVolume(t, size, "-F", kind, "-s", "1")
		fillSome(t, path, 3, 2000)
		fresh := volumetest.Load(t, path)
		b := open(t, fresh).boot
		both := func(d disk, cluster int64, change func(uint32) uint32) {
			for i := range b.FATs {
				setEntry(d, b, i, cluster, change)
			}
		}
		for _, c := range []struct {
			name, want string
			used       int64 // clusters more than before
			edit       func(d disk)
		}{
			{"not clean", "not removed cleanly", 0, func(d disk) {
				both(d, 1, func(e uint32) uint32 { return e &^ (0x8000 | 0x08000000) })
			}},
			{"state byte", "not removed cleanly", 0, func(d disk) { d[map[string]int{"16": 37, "32": 65}[kind]] |= 1 }},
			{"errors", "disk errors", 0, func(d disk) {
				both(d, 1, func(e uint32) uint32 { return e &^ (0x4000 | 0x04000000) })
			}},
			{"bad", "Clusters marked as bad: 1", 1, func(d disk) { both(d, 60000, func(uint32) uint32 { return badMark(b.Bits) }) }},
			{"first differs", "tables differ", 1, func(d disk) { setEntry(d, b, 0, 61000, func(uint32) uint32 { return 5 }) }},
			{"second differs", "tables differ", 2, func(d disk) {
				setEntry(d, b, 1, 61000, func(uint32) uint32 { return 5 })
				setEntry(d, b, 1, 61500, func(uint32) uint32 { return 5 })
			}},
			{"reserved bits", "", 0, func(d disk) {
				if b.Bits == 32 {
					both(d, 61000, func(uint32) uint32 { return 0xf0000000 })
				}
			}},
		} {
			t.Run(c.name+" on FAT"+kind, func(t *testing.T) {
				d := disk(bytes.Clone(fresh))
				c.edit(d)
				v := open(t, d)
				castOver(t, v, d)
				f := v.Facts()
				if got := open(t, fresh).Facts().FreeClusters - f.FreeClusters; got != c.used {
					t.Errorf("%d more clusters are used instead of %d", got, c.used)
				}
				said := strings.Join(f.Warnings, "\n")
				if !strings.Contains(said, c.want) || c.want == "" && c.name != "reserved bits" && said != "" {
					t.Errorf("warnings %q instead of %q", said, c.want)
				}
				if c.used > 0 && b.Bits == 32 && !strings.Contains(said, "out of date") {
					t.Errorf("no word about the stored count in %q", said)
				}
			})
		}
	}
}

func setEntry(d disk, b Boot, table, cluster int64, change func(uint32) uint32) {
	at := b.FATOffset + table*b.FATSize
	if b.Bits == 32 {
		p := d[at+4*cluster:]
		binary.LittleEndian.PutUint32(p, change(binary.LittleEndian.Uint32(p)))
		return
	}
	p := d[at+2*cluster:]
	binary.LittleEndian.PutUint16(p, uint16(change(uint32(binary.LittleEndian.Uint16(p)))))
}

// TestDoubts makes volumes whose tables must not be trusted.
func TestDoubts(t *testing.T) {
	fresh := volumetest.Load(t, makeVolume(t, 40<<20, "-F", "32", "-s", "1"))
	b := open(t, fresh).boot
	for _, c := range []struct {
		name, reason, err string
		edit              func(d disk) disk
	}{
		{"partition too short", "the partition has", "", func(d disk) disk { return d[:len(d)-512] }},
		{"no media byte", "does not hold the media byte", "", func(d disk) disk { clear(d[b.FATOffset:][:4]); return d }},
		{"root is free", "is marked as free", "", func(d disk) disk {
			setEntry(d, b, 0, 2, func(uint32) uint32 { return 0 })
			setEntry(d, b, 1, 2, func(uint32) uint32 { return 0 })
			return d
		}},
		{"table too short", "", "too short for", func(d disk) disk {
			binary.LittleEndian.PutUint32(d[36:], uint32(b.FATSize/512-8))
			return d
		}},
		{"root outside", "", "root cluster at offset 44", func(d disk) disk {
			binary.LittleEndian.PutUint32(d[44:], uint32(b.TotalClusters+2))
			return d
		}},
		{"odd cluster size", "", "offset 13", func(d disk) disk { d[13] = 3; return d }},
		{"three tables", "", "offset 16", func(d disk) disk { d[16] = 3; return d }},
		{"no such table", "", "offset 40", func(d disk) disk { d[40] = 0x82; return d }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.edit(disk(bytes.Clone(fresh)))
			v, err := Open(d)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v instead of %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if f := v.Facts(); !strings.Contains(f.WholeReason, c.reason) || f.UsedBytes != d.Size() {
				t.Errorf("reason %q, %d bytes used of %d", f.WholeReason, f.UsedBytes, d.Size())
			}
		})
	}
}

// TestFreeFile has files in clusters that are marked as free: in all tables, or
// in one of them.
func TestFreeFile(t *testing.T) {
	for kind, size := range map[string]int64{"16": 31 << 20, "32": 34 << 20} {
		path := makeVolume(t, size, "-F", kind, "-s", "1")
		fillSome(t, path, 3, 2000)
		fresh := volumetest.Load(t, path)
		v := open(t, fresh)
		first := find(t, v, "EFI/Microsoft/Boot/BCD").entry.cluster
		for _, c := range []struct {
			cluster int64
			tables  []int64
			whole   bool
		}{{first, []int64{0, 1}, true}, {first + 3, []int64{0, 1}, true}, {first, []int64{1}, false}, {first + 1, []int64{0}, false}} {
			d := disk(bytes.Clone(fresh))
			for _, i := range c.tables {
				setEntry(d, v.boot, i, c.cluster, func(uint32) uint32 { return 0 })
			}
			again, err := Open(d)
			if err != nil {
				t.Fatal(err)
			}
			if reason := again.Facts().WholeReason; strings.Contains(reason, `of "BCD" is marked as free`) != c.whole || (reason == "") == c.whole {
				t.Errorf("FAT%s, cluster %d free in tables %v: %q", kind, c.cluster-first, c.tables, reason)
			}
		}
	}
}

func TestChangeDuringWalk(t *testing.T) {
	d := volumetest.Load(t, makeVolume(t, 8<<20))
	v := open(t, d)
	setEntry(d, v.boot, 1, 500, func(uint32) uint32 { return 7 })
	var err error
	for _, err = range v.Used().Extents() {
	}
	if err == nil || !strings.Contains(err.Error(), "source is changing") {
		t.Errorf("a changed table gave %v", err)
	}
}

// TestTableAgainstModel compares walks over random tables of each width with a
// look at each entry.
func TestTableAgainstModel(t *testing.T) {
	for _, c := range []struct{ bits, clusters int64 }{{12, 1}, {12, 2}, {12, 4084}, {12, 1001}, {16, 4085}, {16, 65524}, {32, 70001}, {32, 600000}} {
		b := Boot{Bits: int(c.bits), TotalClusters: c.clusters, FATs: 2, ClusterSize: 1}
		b.FATSize = b.tableBytes() + 5
		d := disk(make([]byte, 2*b.FATSize))
		for i := range d {
			if i%977 < 300 {
				d[i] = byte(i * 7)
			}
		}
		copy(d[b.FATSize:], d[:b.FATSize/2]) // the second half differs
		v := &Volume{r: d, boot: b}
		used := make([]bool, c.clusters)
		if _, stopped, err := v.walk(func(first, n int64) bool {
			for i := range n {
				used[first+i] = true
			}
			return true
		}); err != nil || stopped {
			t.Fatal(err, stopped)
		}
		for i := range used {
			if want := bitsAt(d, int64(i+2), c.bits) || bitsAt(d[b.FATSize:], int64(i+2), c.bits); used[i] != want {
				t.Fatalf("FAT%d, cluster %d: used %v", c.bits, i, used[i])
			}
		}
	}
}

// bitsAt reports whether one of an entry's bits is set, looking at each; FAT32
// ignores the highest four.
func bitsAt(b []byte, i, width int64) bool {
	have := width
	if width == 32 {
		have = 28
	}
	for k := i * width; k < i*width+have; k++ {
		if b[k/8]>>(k%8)&1 != 0 {
			return true
		}
	}
	return false
}

// TestLoop makes a folder whose chain goes round.
func TestLoop(t *testing.T) {
	path := makeVolume(t, 8<<20, "-s", "1")
	fillSome(t, path, 40, 600)
	d := volumetest.Load(t, path)
	v := open(t, d)
	many := find(t, v, "many").entry.cluster
	for i := range v.boot.FATs {
		setEntry(d, v.boot, i, many, func(uint32) uint32 { return uint32(many) })
	}
	if _, err := open(t, d).Contains(`many\none`); err == nil || !strings.Contains(err.Error(), "goes round") {
		t.Errorf("a chain that goes round gave %v", err)
	}
	if v.boot.Bits != 16 {
		t.Fatal(fmt.Sprint("the volume is no test: FAT", v.boot.Bits))
	}
}
