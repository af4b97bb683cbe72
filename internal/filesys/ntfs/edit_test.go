package ntfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// Volumes as Windows may leave them and the Linux tools do not: made by mkntfs
// and edited. Where the edit leaves a sound volume, ntfsinfo must agree.

// rawRecord is the place of an MFT record on a volume whose $MFT is in one run.
func rawRecord(d disk, number int64) []byte {
	boot, err := ParseBoot(d[:BootSize])
	if err != nil {
		panic(err)
	}
	at := boot.MFT*boot.ClusterSize + number*boot.RecordSize
	return d[at : at+boot.RecordSize]
}

// edit rebuilds a record: each attribute goes through change, which gives what
// stands there instead; nil drops it. Extra attributes come at the end.
func editRecord(d disk, number int64, change func(typ uint32, raw []byte) []byte, extra ...[]byte) {
	b := rawRecord(d, number)
	plain := bytes.Clone(b)
	if err := fixup(plain, "FILE"); err != nil {
		panic(err)
	}
	var attrs [][]byte
	for off := int(binary.LittleEndian.Uint16(plain[20:])); ; {
		typ := binary.LittleEndian.Uint32(plain[off:])
		if typ == typeEnd {
			break
		}
		n := int(binary.LittleEndian.Uint32(plain[off+4:]))
		if a := change(typ, plain[off:off+n]); a != nil {
			attrs = append(attrs, a)
		}
		off += n
	}
	seq := binary.LittleEndian.Uint16(plain[16:])
	copy(b, ntfstest.Record(len(b), uint32(number), seq, 0, append(attrs, extra...)...))
}

// replace is a change for edit: attributes of one type become another one.
func replace(typ uint32, by []byte) func(uint32, []byte) []byte {
	return func(have uint32, raw []byte) []byte {
		if have == typ {
			return by
		}
		return raw
	}
}

// setUsed writes the bit of a cluster in the bitmap's bytes.
func setUsed(bitmap []byte, cluster int64, used bool) {
	bitmap[cluster/8] &^= 1 << (cluster % 8)
	if used {
		bitmap[cluster/8] |= 1 << (cluster % 8)
	}
}

// scatter moves the clusters of $Bitmap to places of their own, and gives its
// new runs and size.
func scatter(t *testing.T, d disk, v *Volume) ([]ntfstest.Run, int64) {
	t.Helper()
	s, err := v.systemData(recBitmap, "$Bitmap")
	if err != nil {
		t.Fatal(err)
	}
	old := make([]byte, s.size)
	if _, err := s.ReadAt(old, 0); err != nil {
		t.Fatal(err)
	}
	var runs []ntfstest.Run
	cs := v.boot.ClusterSize
	for i := range s.runs[0].n {
		to := v.boot.TotalClusters - 40 - 11*(i*17%s.runs[0].n) // neither ascending nor descending
		setUsed(old, s.runs[0].lcn+i, false)
		setUsed(old, to, true)
		runs = append(runs, ntfstest.Run{LCN: to, Clusters: 1})
	}
	for i, r := range runs {
		clear(d[r.LCN*cs : (r.LCN+1)*cs])
		copy(d[r.LCN*cs:(r.LCN+1)*cs], old[int64(i)*cs:])
	}
	return runs, s.size
}

func TestFragmentedBitmap(t *testing.T) {
	fresh := volumetest.Load(t, makeVolume(t, 24<<20, "-c", "512"))
	ref := func(n uint64) uint64 { return n | 1<<48 }
	for name, place := range map[string]func(d disk, runs []ntfstest.Run, size int64){
		"in one record": func(d disk, runs []ntfstest.Run, size int64) {
			editRecord(d, recBitmap, replace(typeData, ntfstest.NonResident(typeData, 9, "", 0, runs, size, 512)))
		},
		"behind a resident list": func(d disk, runs []ntfstest.Run, size int64) {
			list := bitmapList(d, runs, size, ref)
			editRecord(d, recBitmap, splitBitmap(ntfstest.Resident(typeAttributeList, 8, list), runs, size))
		},
		"behind a list in a cluster": func(d disk, runs []ntfstest.Run, size int64) {
			list := bitmapList(d, runs, size, ref)
			at := ntfstest.Run{LCN: runs[0].LCN + 3, Clusters: 1}
			copy(d[at.LCN*512:], list)
			markUsed(t, d, runs, at.LCN)
			editRecord(d, recBitmap, splitBitmap(ntfstest.NonResident(typeAttributeList, 8, "", 0, []ntfstest.Run{at}, int64(len(list)), 512), runs, size))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := disk(bytes.Clone(fresh))
			runs, size := scatter(t, d, open(t, d))
			place(d, runs, size)
			checkScattered(t, d, len(runs))
		})
	}
}

// splitBitmap puts an attribute list before the attributes of $Bitmap's record
// and leaves the first three runs there.
func splitBitmap(list []byte, runs []ntfstest.Run, size int64) func(uint32, []byte) []byte {
	first := ntfstest.NonResident(typeData, 9, "", 0, runs[:3], size, 512)
	return func(typ uint32, raw []byte) []byte {
		switch typ {
		case 0x10:
			return append(bytes.Clone(raw), list...)
		case typeData:
			return first
		}
		return raw
	}
}

// bitmapList spreads the runs behind the third over MFT records 16 and 17 and
// gives the attribute list that leads to them.
func bitmapList(d disk, runs []ntfstest.Run, size int64, ref func(uint64) uint64) []byte {
	copy(rawRecord(d, 16), ntfstest.Record(1024, 16, 1, 6|6<<48, ntfstest.NonResident(typeData, 4, "", 3, runs[3:5], size, 512)))
	copy(rawRecord(d, 17), ntfstest.Record(1024, 17, 1, 6|6<<48, ntfstest.NonResident(typeData, 0, "", 5, runs[5:], size, 512)))
	list := ntfstest.ListEntry(0x10, 0, 0, 6|6<<48)
	list = append(list, ntfstest.ListEntry(0x30, 2, 0, 6|6<<48)...)
	list = append(list, ntfstest.ListEntry(typeData, 9, 0, 6|6<<48)...)
	list = append(list, ntfstest.ListEntry(typeData, 4, 3, ref(16))...)
	return append(list, ntfstest.ListEntry(typeData, 0, 5, ref(17))...)
}

// markUsed sets the bit of a cluster in a scattered bitmap.
func markUsed(t *testing.T, d disk, runs []ntfstest.Run, cluster int64) {
	t.Helper()
	at := runs[cluster/8/512].LCN*512 + cluster/8%512
	d[at] |= 1 << (cluster % 8)
}

func checkScattered(t *testing.T, d disk, runs int) {
	t.Helper()
	v := open(t, d)
	s, err := v.systemData(recBitmap, "$Bitmap")
	if err != nil || len(s.runs) != runs {
		t.Fatalf("%v; %d runs instead of %d", err, len(s.runs), runs)
	}
	info := volumetest.RunTool(t, "ntfs-3g", "ntfsinfo", "-m", d.Save(t))
	if want := field(t, info, "Free Clusters"); v.Facts().FreeClusters != want {
		t.Errorf("%d clusters free, ntfsinfo says %d", v.Facts().FreeClusters, want)
	}
	castOver(t, v, d)
}

func TestResidentBitmap(t *testing.T) {
	d := volumetest.Load(t, makeVolume(t, 64<<20, "-c", "2097152"))
	v := open(t, d)
	s, err := v.systemData(recBitmap, "$Bitmap")
	if err != nil {
		t.Fatal(err)
	}
	bits := make([]byte, s.size)
	if _, err := s.ReadAt(bits, 0); err != nil {
		t.Fatal(err)
	}
	free := v.Facts().FreeClusters
	setUsed(bits, s.runs[0].lcn, false)
	editRecord(d, recBitmap, replace(typeData, ntfstest.Resident(typeData, 9, bits)))
	v = open(t, d)
	if got := v.Facts().FreeClusters; got != free+1 {
		t.Errorf("%d clusters free instead of %d", got, free+1)
	}
	castOver(t, v, d)
}

// TestNotices edits one thing at a time and looks for what is said about it.
func TestNotices(t *testing.T) {
	fresh := volumetest.Load(t, makeVolume(t, 8<<20, "-c", "4096"))
	total := open(t, fresh).boot.TotalClusters
	info := func(flags byte) []byte {
		return ntfstest.Resident(typeVolumeInfo, 5, []byte{8: 3, 9: 1, 10: flags, 11: 0})
	}
	log := func(d disk, lsn byte, client uint16, at int64) {
		s, err := open(t, d).systemData(recLogFile, "$LogFile")
		if err != nil {
			t.Fatal(err)
		}
		page := d[s.runs[0].lcn*4096+at:]
		copy(page, "RSTR")
		binary.LittleEndian.PutUint32(page[16:], 4096)
		binary.LittleEndian.PutUint16(page[24:], 48)
		page[48] = lsn
		clear(page[49:56])
		binary.LittleEndian.PutUint16(page[48+12:], client)
		binary.LittleEndian.PutUint16(page[48+14:], 0)
	}
	for _, c := range []struct {
		name, want string
		edit       func(d disk)
	}{
		{"dirty", "marked dirty", func(d disk) { editRecord(d, recVolume, replace(typeVolumeInfo, info(1))) }},
		{"resize", "size is underway", func(d disk) { editRecord(d, recVolume, replace(typeVolumeInfo, info(2))) }},
		{"bad clusters", "Clusters marked as bad: 3", func(d disk) {
			runs := []ntfstest.Run{{LCN: -1, Clusters: 1000}, {LCN: 1000, Clusters: 3}, {LCN: -1, Clusters: total - 1003}}
			bad := ntfstest.NonResident(typeData, 9, "$Bad", 0, runs, total*4096, 4096)
			editRecord(d, recBadClus, func(typ uint32, raw []byte) []byte {
				if typ == typeData && raw[9] == 4 {
					return bad
				}
				return raw
			})
		}},
		{"$MFT record 0 damaged", "its copy in $MFTMirr was used", func(d disk) { copy(rawRecord(d, recMFT), "BAAD") }},
		{"torn $Volume", "its copy in $MFTMirr was used", func(d disk) { rawRecord(d, recVolume)[510]++ }},
		{"journal", "journal is in use", func(d disk) { log(d, 5, 0, 0) }},
		{"journal closed", "", func(d disk) { log(d, 5, 0xffff, 0) }},
		{"journal closed in its newer page", "", func(d disk) { log(d, 5, 0, 0); log(d, 6, 0xffff, 4096) }},
		{"journal open in its newer page", "journal is in use", func(d disk) { log(d, 5, 0xffff, 0); log(d, 6, 0, 4096) }},
		{"nothing", "", func(disk) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := disk(bytes.Clone(fresh))
			c.edit(d)
			warnings := open(t, d).Facts().Warnings
			if c.want == "" && len(warnings) > 0 || c.want != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], c.want)) {
				t.Errorf("%q instead of %q", warnings, c.want)
			}
		})
	}
}

// TestDoubts makes volumes whose bitmap must not be trusted.
func TestDoubts(t *testing.T) {
	fresh := volumetest.Load(t, makeVolume(t, 8<<20, "-c", "4096"))
	good := open(t, fresh)
	at := good.mustBitmap(t)
	total := good.boot.TotalClusters
	free := func(cluster int64) func(d disk) disk {
		return func(d disk) disk { setUsed(d[at:], cluster, false); return d }
	}
	for _, c := range []struct {
		name, want string
		edit       func(d disk) disk
	}{
		{"boot free", "bytes [0,8192) belong to a system file", free(0)},
		{"$MFT free", "belong to a system file", free(good.boot.MFT)},
		{"$MFTMirr free", "belong to a system file", free(good.boot.Mirror)},
		{"$Bitmap free", "belong to a system file", free(at / 4096)},
		{"partition too short", "the partition has", func(d disk) disk { return d[:len(d)-1024] }},
		{"both records 0 gone", "its copy in $MFTMirr", func(d disk) disk {
			clear(rawRecord(d, recMFT))
			clear(d[good.boot.Mirror*4096:][:4096])
			return d
		}},
		{"$Bitmap's record gone", "$Bitmap: MFT record 6", func(d disk) disk { clear(rawRecord(d, recBitmap)); return d }},
		{"$Bitmap too short", "valid bytes for", func(d disk) disk {
			editRecord(d, recBitmap, replace(typeData, ntfstest.NonResident(typeData, 9, "", 0, []ntfstest.Run{{LCN: at / 4096, Clusters: 1}}, total/8-8, 4096)))
			return d
		}},
		{"a hole in $Bitmap", "a hole at VCN 0", func(d disk) disk {
			editRecord(d, recBitmap, replace(typeData, ntfstest.NonResident(typeData, 9, "", 0, []ntfstest.Run{{LCN: -1, Clusters: 1}}, total/8+8, 4096)))
			return d
		}},
		{"$Bitmap outside", "on a volume of", func(d disk) disk {
			editRecord(d, recBitmap, replace(typeData, ntfstest.NonResident(typeData, 9, "", 0, []ntfstest.Run{{LCN: total, Clusters: 1}}, total/8+8, 4096)))
			return d
		}},
		{"version 9", "version 9.1", func(d disk) disk {
			editRecord(d, recVolume, replace(typeVolumeInfo, ntfstest.Resident(typeVolumeInfo, 5, []byte{8: 9, 9: 1, 11: 0})))
			return d
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.edit(disk(bytes.Clone(fresh)))
			v, err := Open(d)
			if err != nil {
				t.Fatal(err)
			}
			f := v.Facts()
			if !strings.Contains(f.WholeReason, c.want) || f.UsedBytes != d.Size() {
				t.Errorf("reason %q, %d bytes used of %d", f.WholeReason, f.UsedBytes, d.Size())
			}
			if f.Serial == "" || f.ClusterSize != 4096 {
				t.Errorf("the boot sector's facts are lost: %+v", f)
			}
		})
	}
}

// TestHibernation writes the word by ntfs-3g, as a file of the size Windows
// would have at least.
func TestHibernation(t *testing.T) {
	path := makeVolume(t, 8<<20)
	for word, want := range map[string]string{
		"hibr": "hibernated", "HIBR": "hibernated", "RSTR": "interrupted while it woke", "wake": "has woken", "\x00\x00\x00\x00": "",
	} {
		mounted(t, path, "rw,remove_hiberfile", func(dir string) {
			writeFile(t, dir+"/HiberFil.sys", append([]byte(word), make([]byte, 8188)...))
		})
		warnings := fmt.Sprint(open(t, volumetest.Load(t, path)).Facts().Warnings)
		if want == "" && warnings != "[]" || !strings.Contains(warnings, want) {
			t.Errorf("%q: %s", word, warnings)
		}
		mounted(t, path, "rw,remove_hiberfile", func(dir string) { removeFile(t, dir+"/HiberFil.sys") })
	}
}

// TestStaleIndexBlocks takes a folder's blocks out of use: what is left in
// them is no entry any more, as after many files were removed.
func TestStaleIndexBlocks(t *testing.T) {
	d := seed(t)
	count := func() (n int) {
		v := open(t, d)
		for i := range 80 {
			has, err := v.Contains(fmt.Sprintf(`folder\f%d`, i))
			if err != nil {
				t.Fatal(err)
			}
			if has {
				n++
			}
		}
		return n
	}
	if n := count(); n != 80 {
		t.Fatalf("%d files of 80", n)
	}
	ref, _, err := open(t, d).lookup("folder")
	if err != nil {
		t.Fatal(err)
	}
	editRecord(d, int64(ref&(1<<48-1)), func(typ uint32, raw []byte) []byte {
		if typ == typeBitmap {
			raw = bytes.Clone(raw)
			clear(raw[binary.LittleEndian.Uint16(raw[20:]):])
		}
		return raw
	})
	if n := count(); n > 10 {
		t.Errorf("%d files in blocks that are not in use", n)
	}
}
