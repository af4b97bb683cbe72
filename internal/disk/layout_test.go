package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const mib = 1 << 20

// compare holds a layout against what sfdisk reads from the same disk.
func compare(t *testing.T, l *Layout, s sfdiskTable) {
	t.Helper()
	if id := strings.ToUpper(strings.TrimPrefix(s.ID, "0x")); l.ID != id {
		t.Errorf("ID %s, sfdisk says %s", l.ID, id)
	}
	all := slices.Concat(l.Partitions, l.Extended)
	if len(all) != len(s.list) {
		t.Fatalf("%d partitions, sfdisk says %d", len(all), len(s.list))
	}
	for _, want := range s.list {
		typ := want.Type
		if l.Scheme == SchemeMBR {
			typ = fmt.Sprintf("%02s", strings.ToUpper(typ))
		}
		i := slices.IndexFunc(all, func(p Partition) bool { return p.Off == want.Start*l.SectorSize })
		if i < 0 {
			t.Errorf("no partition at sector %d, sfdisk says %+v", want.Start, want)
			continue
		}
		p := all[i]
		if !strings.HasSuffix(want.Node, fmt.Sprint(p.Number)) || p.Len != want.Size*l.SectorSize || p.Type != typ ||
			p.GUID != want.UUID || p.Name != want.Name || p.Active != want.Bootable || p.TypeName == "Unknown" {
			t.Errorf("got %+v\nsfdisk says %+v", p, want)
		}
	}
}

func TestGPTLikeSfdisk(t *testing.T) {
	t.Parallel()
	for _, count := range []string{"", "128", "12", "13", "57", "256"} {
		t.Run("entries"+count, func(t *testing.T) {
			t.Parallel()
			var more []string
			if count != "" {
				more = []string{"-S", count}
			}
			path := gptDisk(t, 48*mib, more...)
			l := parseFile(t, path, 0)
			compare(t, l, sfdiskSays(t, path))
			if len(l.Warnings) != 0 || l.SectorSize != 512 || len(l.Track0) != mib {
				t.Errorf("warnings %q, sector %d, track 0 of %d", l.Warnings, l.SectorSize, len(l.Track0))
			}
			p := l.Partitions
			if !p[0].ESP || !p[1].MSR || !p[3].Recovery || p[3].Attributes != 1|1<<63 || p[1].Name != "Microsoft réservé" {
				t.Errorf("flags: %+v", p)
			}
			sameSize(t, path, l)
		})
	}
}

// sameSize writes the layout over garbage of the same size: the table's bytes
// must be those of the original.
func sameSize(t *testing.T, path string, l *Layout) {
	t.Helper()
	target := garbage(t, l.Size)
	ws, err := l.Writes(l.Size)
	if err != nil {
		t.Fatal(err)
	}
	if last := ws[len(ws)-1]; last.Off != 0 || int64(len(last.Data)) != l.SectorSize {
		t.Errorf("the last write is of %d bytes at %d", len(last.Data), last.Off)
	}
	apply(t, target, ws)
	for _, w := range ws {
		if n := int64(len(w.Data)); !bytes.Equal(readAll(t, target, w.Off, n), readAll(t, path, w.Off, n)) {
			t.Errorf("the %d bytes at %d differ from the original", n, w.Off)
		}
	}
	if l.Scheme == SchemeGPT && l.SectorSize == 512 {
		clean(t, target)
	}
}

func TestGPT4096(t *testing.T) {
	t.Parallel()
	path := blank(t, 64*mib)
	dev := attach(t, path, "-b", "4096")
	tool(t, "gdisk", "", "sgdisk", "-n", "1:256:+8M", "-t", "1:ef00", "-n", "2:0:+16M", "-t", "2:0700", "-n", "5:0:0", "-t", "5:8300", dev)
	says := sfdiskSays(t, dev)
	for _, ss := range []int64{0, 4096} {
		l := parseFile(t, path, ss)
		if l.SectorSize != 4096 || len(l.Warnings) != 0 {
			t.Fatalf("sector %d, warnings %q", l.SectorSize, l.Warnings)
		}
		compare(t, l, says)
		sameSize(t, path, l)
	}
	l := parseFile(t, dev, 0)
	for _, size := range []int64{l.MinSize(), 128 * mib} {
		target := garbage(t, size)
		writeTo(t, l, target, size)
		loop := attach(t, target, "-b", "4096")
		clean(t, loop)
	}
	// The primary header and the MBR's word for the sector size are gone: the
	// backup tells it.
	b := load(t, path)
	clear(b[4096:8192])
	if l, err := Parse(b, 0); err != nil || l.SectorSize != 4096 || len(l.Warnings) != 1 {
		t.Errorf("without a primary header: %+v, %v", l, err)
	}
}

func writeTo(t *testing.T, l *Layout, path string, size int64) {
	t.Helper()
	ws, err := l.Writes(size)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, path, ws)
}

func TestGPTOtherSizes(t *testing.T) {
	t.Parallel()
	path := blank(t, 48*mib)
	tool(t, "gdisk", "", "sgdisk", "-a", "1", "-n", "3:2048:+4M", "-n", "1:0:20479", path)
	l := parseFile(t, path, 0)
	least := l.MinSize()
	if want := int64(20480+33) * 512; least != want {
		t.Fatalf("MinSize %d, want %d", least, want)
	}
	for _, size := range []int64{least, 47 * mib, 48*mib + 512, 48*mib + 1000, 300 * mib, 3 << 40} {
		target := garbage(t, size)
		writeTo(t, l, target, size)
		clean(t, target)
		got := parseFile(t, target, 0)
		if len(got.Warnings) != 0 || got.ID != l.ID || !slices.Equal(got.Partitions, l.Partitions) {
			t.Errorf("size %d: %+v", size, got)
		}
		pmbr := int64(binary.LittleEndian.Uint32(got.Track0[446+12:]))
		if want := min(size/512-1, 0xFFFFFFFF); pmbr != want {
			t.Errorf("size %d: the protective slot has %d sectors, want %d", size, pmbr, want)
		}
		// Back on the first size all is as it was.
		back := garbage(t, 48*mib)
		writeTo(t, got, back, 48*mib)
		if !bytes.Equal(readAll(t, back, 0, 1<<20), readAll(t, path, 0, 1<<20)) || !bytes.Equal(readAll(t, back, 48*mib-33*512, 33*512), readAll(t, path, 48*mib-33*512, 33*512)) {
			t.Errorf("size %d and back: other bytes", size)
		}
	}
	_, err := l.Writes(least - 1)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(least)) || !strings.Contains(err.Error(), fmt.Sprint(least-1)) {
		t.Errorf("too small: %v", err)
	}
}

func TestGPTDamage(t *testing.T) {
	t.Parallel()
	path := gptDisk(t, 48*mib)
	sound := load(t, path)
	want := parseFile(t, path, 0)
	end := len(sound)
	for _, c := range []struct {
		name    string
		damage  func(b mem) mem
		warning string
		err     string
	}{
		{"primary header", func(b mem) mem { b[512+40]++; return b }, "primary GPT is damaged (header CRC", ""},
		{"primary header zero", func(b mem) mem { clear(b[512:1024]); return b }, "no signature EFI PART", ""},
		{"primary entries", func(b mem) mem { b[1024+3]++; return b }, "entries CRC", ""},
		{"primary all zero", func(b mem) mem { clear(b[512 : 34*512]); return b }, "primary GPT is damaged", ""},
		{"backup header", func(b mem) mem { b[end-512+60]++; return b }, "backup GPT at byte 50331136 is missing or damaged: header CRC", ""},
		{"backup entries", func(b mem) mem { b[end-33*512]++; return b }, "missing or damaged: entries CRC", ""},
		{"both headers", func(b mem) mem { b[512+40]++; b[end-512+60]++; return b }, "", "neither copy is sound"},
		{"grown", func(b mem) mem { return append(b, make(mem, mib)...) }, "not at the disk's end", ""},
		{"grown, primary zero", func(b mem) mem { b[512]++; return append(b, make(mem, mib)...) }, "primary GPT is damaged", ""},
		{"no protective MBR", func(b mem) mem { clear(b[:512]); return b }, "a GPT header lies at byte 512", ""},
		{"hybrid", func(b mem) mem { copy(b[462:], []byte{0, 0, 0, 0, 7, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0}); return b }, "hybrid", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.damage(slices.Clone(sound))
			l, err := Parse(b, 0)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || !strings.Contains(strings.Join(l.Warnings, "\n"), c.warning) {
				t.Fatalf("%v, warnings %q", err, l.Warnings)
			}
			if c.name == "no protective MBR" {
				if l.Scheme != SchemeNone || l.Partitions[0].Len != int64(end) {
					t.Fatalf("%+v", l)
				}
				return
			}
			if l.ID != want.ID || !slices.Equal(l.Partitions, want.Partitions) {
				t.Fatalf("other partitions: %+v", l.Partitions)
			}
			if len(b) == end && c.name != "hybrid" && !bytes.Equal(l.Track0, want.Track0) {
				t.Error("track 0 is not the sound one")
			}
			// What an image would keep of it makes a clean disk.
			kept, err := FromImage(l.Track0, nil, l.SectorSize, l.Size)
			if err != nil || !slices.Equal(kept.Partitions, want.Partitions) || len(b) == end && c.name != "hybrid" && len(kept.Warnings) != 0 {
				t.Fatalf("FromImage: %+v, %v", kept, err)
			}
			target := garbage(t, l.Size)
			writeTo(t, kept, target, l.Size)
			if c.name != "hybrid" {
				clean(t, target)
			}
		})
	}
}

// A table moved behind a boot loader is repaired where it was.
func TestGPTMovedTable(t *testing.T) {
	t.Parallel()
	path := gptDisk(t, 48*mib, "-j", "1000")
	b := load(t, path)
	copy(b[2*512:], bytes.Repeat([]byte("boot loader "), 1000))
	want, err := Parse(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int{512 + 16, 1000*512 + 5} {
		d := slices.Clone(b)
		d[off]++
		l, err := Parse(d, 0)
		if err != nil || !bytes.Equal(l.Track0, want.Track0) {
			t.Errorf("byte %d: track 0 differs, %v", off, err)
		}
	}
	// An array that does not lie in track 0 can not be kept.
	binary.LittleEndian.PutUint64(b[512+72:], 2040)
	resum(b)
	if _, err := Parse(b, 0); err == nil {
		t.Error("entries inside of the first partition: no error")
	}
}

// resum makes the checksums of the primary header right again.
func resum(b mem) {
	le := binary.LittleEndian
	at := le.Uint64(b[512+72:]) * 512
	n := uint64(le.Uint32(b[512+80:])) * uint64(le.Uint32(b[512+84:]))
	le.PutUint32(b[512+88:], crc32.ChecksumIEEE(b[at:at+n]))
	le.PutUint32(b[512+16:], headerSum(b[512:1024]))
}

func TestGPTEntryErrors(t *testing.T) {
	t.Parallel()
	sound := load(t, gptDisk(t, 48*mib))
	le := binary.LittleEndian
	entry := func(b mem, i int) []byte { return b[1024+128*i:] }
	for _, c := range []struct {
		name string
		do   func(b mem)
		err  string
	}{
		{"end before start", func(b mem) { le.PutUint64(entry(b, 0)[40:], 100) }, "GPT entry 1: ending LBA 100"},
		{"outside", func(b mem) { le.PutUint64(entry(b, 6)[40:], 1<<40) }, "GPT entry 7: ending LBA 1099511627776"},
		{"huge", func(b mem) { le.PutUint64(entry(b, 6)[40:], 1<<63) }, "GPT entry 7: ending LBA"},
		{"overlap", func(b mem) { le.PutUint64(entry(b, 1)[32:], 3000) }, "partition 2 begins at byte 1536000, inside of partition 1"},
		{"on the table", func(b mem) { le.PutUint64(entry(b, 0)[32:], 20) }, "do not lie in track 0"},
	} {
		b := slices.Clone(sound)
		c.do(b)
		resum(b)
		if _, err := Parse(b, 0); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// Entries larger than 128 bytes: the same table with 256 in each.
	b := slices.Clone(sound)
	wide := make([]byte, 64*256)
	for i := range 64 {
		copy(wide[i*256:], entry(sound, i)[:128])
	}
	copy(b[1024:], wide)
	le.PutUint32(b[512+80:], 64)
	le.PutUint32(b[512+84:], 256)
	resum(b)
	l, err := Parse(b, 0)
	if err != nil || len(l.Partitions) != 5 || l.Partitions[4].Number != 7 {
		t.Errorf("entries of 256 bytes: %+v, %v", l, err)
	}
}

func TestMBRLikeSfdisk(t *testing.T) {
	t.Parallel()
	path := mbrDisk(t, 32*mib)
	l := parseFile(t, path, 0)
	compare(t, l, sfdiskSays(t, path))
	if l.Scheme != SchemeMBR || l.ID != "1234ABCD" || len(l.EBRs) != 3 || len(l.Warnings) != 0 || len(l.Track0) != mib {
		t.Fatalf("%+v", l)
	}
	for i, want := range []BootRecord{{Off: 16384 * 512, Number: 5}, {Number: 6}, {Number: 7}} {
		if l.EBRs[i].Number != want.Number || want.Off != 0 && l.EBRs[i].Off != want.Off || !bytes.Equal(l.EBRs[i].Sector[:], readAll(t, path, l.EBRs[i].Off, 512)) {
			t.Errorf("EBR %d: number %d at %d", i, l.EBRs[i].Number, l.EBRs[i].Off)
		}
	}
	sameSize(t, path, l)
	kept, err := FromImage(l.Track0, l.EBRs, 512, l.Size)
	if err != nil || !slices.Equal(kept.Partitions, l.Partitions) {
		t.Fatalf("FromImage: %v", err)
	}
	if _, err := FromImage(l.Track0, l.EBRs[:2], 512, l.Size); err == nil {
		t.Error("FromImage without the last EBR: no error")
	}
	target := garbage(t, 64*mib)
	writeTo(t, kept, target, 64*mib)
	compare(t, l, sfdiskSays(t, target))
	if l.MinSize() != 32*mib {
		t.Errorf("MinSize %d", l.MinSize())
	}
}

func TestMBR4096(t *testing.T) {
	t.Parallel()
	path := blank(t, 64*mib)
	dev := attach(t, path, "-b", "4096")
	tool(t, "fdisk", "label: dos\nstart=256, size=1024, type=7\nstart=2048, type=5\nstart=2304, size=512, type=83\nstart=4096, size=512, type=83\n", "sfdisk", "-q", dev)
	l := parseFile(t, dev, 4096)
	compare(t, l, sfdiskSays(t, dev))
	sameSize(t, path, l)
}

func TestMBRHostile(t *testing.T) {
	t.Parallel()
	sound := load(t, mbrDisk(t, 32*mib))
	le := binary.LittleEndian
	ebr := 16384 * 512
	link := ebr + 446 + 16
	second := ebr + int(le.Uint32(sound[link+8:]))*512
	for _, c := range []struct {
		name string
		do   func(b mem)
		err  string
	}{
		{"cycle", func(b mem) { copy(b[second+446+16:], b[link:link+16]) }, "already seen"},
		{"link outside", func(b mem) { le.PutUint32(b[link+8:], 0x7FFFFFFF) }, "leads outside"},
		{"link to itself", func(b mem) { le.PutUint32(b[link+8:], 0) }, "leads outside"},
		{"no EBR there", func(b mem) { le.PutUint32(b[link+8:], 5) }, "no signature 55 AA"},
		{"logical too long", func(b mem) { le.PutUint32(b[ebr+446+12:], 1<<30) }, "behind the extended one"},
		{"logical on its EBR", func(b mem) { le.PutUint32(b[ebr+446+8:], 0) }, "lies inside of partition 5"},
		{"primary outside", func(b mem) { le.PutUint32(b[446+12:], 1<<31) }, "slot 1 of the MBR at byte 446: first sector 2048 and count"},
		{"primaries overlap", func(b mem) { le.PutUint32(b[462+8:], 3000) }, "partition 2 begins at byte 1536000"},
		{"primary in extended", func(b mem) { le.PutUint32(b[462+8:], 32768) }, "overlaps extended partition 3"},
		{"extended on primary", func(b mem) { le.PutUint32(b[462+12:], 8192) }, "EBR at byte 8388608 lies inside of partition 2"},
	} {
		b := slices.Clone(sound)
		c.do(b)
		if l, err := Parse(b, 0); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %+v", c.name, err, l)
		}
	}
	b := slices.Clone(sound)
	for i := range 400 { // a chain of 400 links, each fine by itself
		at := ebr + i*2*512
		clear(b[at : at+512])
		copy(b[at+446+16:], []byte{0, 0, 0, 0, 5, 0, 0, 0, byte((i + 1) * 2), byte((i + 1) * 2 >> 8), 0, 0, 1})
		b[at+510], b[at+511] = 0x55, 0xAA
	}
	if _, err := Parse(b, 0); err == nil || !strings.Contains(err.Error(), "more than 256") {
		t.Errorf("long chain: %v", err)
	}
	b = slices.Clone(sound)
	clear(b[ebr : ebr+512])
	if l, err := Parse(b, 0); err != nil || len(l.Warnings) != 1 || len(l.Partitions) != 2 {
		t.Errorf("empty extended: %v", err)
	}
}

func TestMBRWinsOverStaleGPT(t *testing.T) {
	t.Parallel()
	path := gptDisk(t, 48*mib)
	copyOf := load(t, mbrDisk(t, 32*mib))
	b := load(t, path)
	copy(b[:512], copyOf[:512])
	copy(b[16384*512:], copyOf[16384*512:])
	l, err := Parse(b, 0)
	if err != nil || l.Scheme != SchemeMBR || len(l.Partitions) != 5 || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "GPT is not used") {
		t.Fatalf("%+v, %v", l, err)
	}
}

func TestNoTable(t *testing.T) {
	t.Parallel()
	if l, err := Parse(make(mem, 100), 0); err == nil || !strings.Contains(err.Error(), "less than a sector") {
		t.Errorf("a disk of 100 bytes: %+v, %v", l, err)
	}
	boot := blank(t, 40*mib)
	tool(t, "fdisk", "label: dos\n", "sfdisk", "-q", boot)
	iso := load(t, mbrDisk(t, 32*mib))
	copy(iso[446:], []byte{0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xF0})
	code := load(t, blank(t, mib))
	copy(code[440:], "not a table, but text that ends in the signature of one\r\nPress any key\r\n\x00")
	code[510], code[511] = 0x55, 0xAA
	for _, c := range []struct {
		name, warning string
		disk          func() mem
	}{
		{"zeros", "", func() mem { return make(mem, mib) }},
		{"NTFS", "", func() mem {
			p := blank(t, 16*mib)
			tool(t, "ntfs-3g", "", "mkfs.ntfs", "-F", "-Q", "-q", p)
			return load(t, p)
		}},
		{"FAT32", "", func() mem {
			p := blank(t, 40*mib)
			tool(t, "dosfstools", "", "mkfs.vfat", "-F", "32", p)
			return load(t, p)
		}},
		{"FAT16 with plausible status bytes", "", func() mem {
			p := blank(t, 16*mib)
			tool(t, "dosfstools", "", "mkfs.vfat", "-F", "16", p)
			b := load(t, p)
			copy(b[446:], []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
			return b
		}},
		{"ext4", "", func() mem {
			p := blank(t, 16*mib)
			tool(t, "e2fsprogs", "", "mkfs.ext4", "-q", "-F", p)
			return load(t, p)
		}},
		{"MBR without partitions", "", func() mem { return load(t, boot) }},
		{"partition at sector 0", "begins at sector 0", func() mem { return iso }},
		{"boot code", "no partition table", func() mem { return code }},
	} {
		b := c.disk()
		l, err := Parse(b, 0)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := Partition{Number: 1, Len: b.Size(), TypeName: "Whole disk"}
		if l.Scheme != SchemeNone || !slices.Equal(l.Partitions, []Partition{want}) || len(l.Track0) != min(len(b), 512) || l.ID != "" {
			t.Errorf("%s: %+v", c.name, l)
		}
		if got := strings.Join(l.Warnings, "\n"); !strings.Contains(got, c.warning) || (got == "") != (c.warning == "") {
			t.Errorf("%s: warnings %q", c.name, got)
		}
		if ws, err := l.Writes(b.Size()); err != nil || len(ws) != 1 || l.MinSize() != b.Size() {
			t.Errorf("%s: writes %v, %v", c.name, ws, err)
		}
	}
	if _, err := Parse(mem{}, 0); err == nil {
		t.Error("0 bytes: no error")
	}
	if _, err := Parse(make(mem, mib), 520); err == nil {
		t.Error("sectors of 520 bytes: no error")
	}
}

// A boot loader's MBR may keep the parameters of a FAT that was there before.
func TestMBRWithParameters(t *testing.T) {
	t.Parallel()
	p := blank(t, 32*mib)
	tool(t, "dosfstools", "", "mkfs.vfat", "-F", "16", p)
	b := load(t, mbrDisk(t, 32*mib))
	copy(b[:440], load(t, p))
	if l, err := Parse(b, 0); err != nil || l.Scheme != SchemeMBR || len(l.Partitions) != 5 {
		t.Errorf("%+v, %v", l, err)
	}
}

// A GPT without partitions, written and read back.
func TestEmptyGPT(t *testing.T) {
	t.Parallel()
	path := blank(t, 64<<10)
	tool(t, "gdisk", "", "sgdisk", "-o", path)
	l := parseFile(t, path, 0)
	if l.Scheme != SchemeGPT || len(l.Partitions) != 0 || len(l.Warnings) != 0 || l.MinSize() != 64<<10 {
		t.Fatalf("%+v, MinSize %d", l, l.MinSize())
	}
	sameSize(t, path, l)
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 4*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	writeTo(t, l, large, 4*mib)
	clean(t, large)
}
