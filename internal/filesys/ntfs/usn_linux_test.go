package ntfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// usn makes a record of one of the versions; at is its USN.
func usn(version uint16, at int64, file uint64, reason uint32, name string) []byte {
	head := map[uint16]int{2: 60, 3: 76, 4: 64}[version]
	b := make([]byte, head)
	binary.LittleEndian.PutUint16(b[4:], version)
	binary.LittleEndian.PutUint64(b[8:], file|7<<48)
	switch version {
	case 2:
		binary.LittleEndian.PutUint64(b[24:], uint64(at))
		binary.LittleEndian.PutUint32(b[40:], reason)
	case 3:
		binary.LittleEndian.PutUint64(b[40:], uint64(at))
		binary.LittleEndian.PutUint32(b[56:], reason)
	case 4:
		binary.LittleEndian.PutUint64(b[40:], uint64(at))
		binary.LittleEndian.PutUint32(b[48:], reason)
		binary.LittleEndian.PutUint16(b[62:], 16)
	}
	b = append(b, name...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

// event is a record to be: of a file, for a reason.
type event struct {
	version uint16
	file    uint64
	reason  uint32
}

const overwrite = 0x1

// pages lays records from USN base on, over as many pages as they need, none
// across a border; it gives the bytes from base on and the next USN.
func pages(base int64, events ...event) ([]byte, int64) {
	var out []byte
	for i, e := range events {
		rec := usn(e.version, base+int64(len(out)), e.file, e.reason, strings.Repeat("n\x00", 100+i%20))
		if room := usnPage - (base+int64(len(out)))%usnPage; int64(len(rec)) > room {
			out = append(out, make([]byte, room)...)
			rec = usn(e.version, base+int64(len(out)), e.file, e.reason, strings.Repeat("n\x00", 100+i%20))
		}
		out = append(out, rec...)
	}
	return out, base + int64(len(out))
}

func TestUSNRecords(t *testing.T) {
	for _, base := range []int64{0, 4096 * 7, 1<<40 + 512} {
		var want []event
		for i := range uint64(90) {
			want = append(want, event{uint16(2 + i%3), 100 + i, uint32(i) | reasonClose*uint32(i%2)})
		}
		b, next := pages(base, want...)
		j := &journal{first: base, next: next, data: &stream{resident: nil, size: next, valid: next, clusterSize: 512, r: disk(b)}}
		j.data.runs = []run{{0, sparse, base / 512}, {base / 512, 0, int64(len(b)+511) / 512}}
		j.data.r = disk(append(b, make([]byte, 512)...))
		var got []event
		err := j.records(t.Context(), func(r usnRecord) error {
			got = append(got, event{uint16(2 + len(got)%3), uint64(r.file), r.reason})
			return nil
		})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("from %d: %v\n%v", base, err, got)
		}
	}
}

func TestUSNDamage(t *testing.T) {
	good, _ := pages(4096, event{2, 50, 1}, event{3, 51, 1}, event{4, 52, 1})
	for _, c := range []struct {
		name, want string
		edit       func(b []byte) []byte
	}{
		{"nothing", "", func(b []byte) []byte { return b }},
		{"an end in the page", "", func(b []byte) []byte { return append(b, make([]byte, 64)...) }},
		{"long", "length 4000", func(b []byte) []byte { binary.LittleEndian.PutUint32(b, 4000); return b }},
		{"odd", "length 317", func(b []byte) []byte { b[0] = 61; return b }},
		{"short", "a record of version 2 has 60", func(b []byte) []byte { b[0], b[1] = 48, 0; return b }},
		{"no version", "version 9", func(b []byte) []byte { b[4] = 9; return b }},
		{"elsewhere", "it says it is at USN", func(b []byte) []byte { b[24]++; return b }},
		{"tiny", "version 0", func(b []byte) []byte { return binary.LittleEndian.AppendUint64(nil, 8) }},
	} {
		err := usnRecords(c.edit(bytes.Clone(good)), 4096, 4096, func(usnRecord) error { return nil })
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	stop := errors.New("enough")
	if err := usnRecords(good, 4096, 4096, func(usnRecord) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// FuzzUSN gives pages to the parser; what it gives must lie in order.
func FuzzUSN(f *testing.F) {
	b, _ := pages(8192, event{2, 50, 1}, event{3, 51, 1}, event{4, 52, reasonClose})
	f.Add(b, int64(8192))
	f.Add(b[8:], int64(8200))
	f.Fuzz(func(t *testing.T, b []byte, base int64) {
		base &= 1<<40 - 1
		last := int64(-1)
		_ = usnRecords(b[:min(len(b), usnPage)], base, base, func(r usnRecord) error {
			if r.usn <= last || r.usn < base || r.usn > base+int64(len(b)) || r.file < 0 || r.file >= 1<<48 {
				t.Fatalf("%+v behind %d", r, last)
			}
			last = r.usn
			return nil
		})
	})
}

// addJournal gives a volume a change journal: an entry in $Extend, record 20
// with $Max and $J, and its clusters near the end of the volume.
func addJournal(t testing.TB, d disk, id uint64, first int64, b []byte) {
	t.Helper()
	const number = 20
	v := open(t, d)
	n := int64(len(b)+4095)/4096 + 1
	lcn := v.boot.TotalClusters - 100
	for i := range n {
		setUsed(d[v.mustBitmap(t):], lcn+i, true)
	}
	clear(d[lcn*4096 : (lcn+n)*4096])
	copy(d[lcn*4096+first%4096:], b)
	top := make([]byte, 32)
	binary.LittleEndian.PutUint64(top, 32<<20)
	binary.LittleEndian.PutUint64(top[16:], id)
	runs := []ntfstest.Run{{LCN: lcn, Clusters: n}}
	if first >= 4096 {
		runs = []ntfstest.Run{{LCN: -1, Clusters: first / 4096}, runs[0]}
	}
	copy(rawRecord(d, number), ntfstest.Record(1024, number, 1, 0,
		ntfstest.NonResident(typeData, 3, "$J", 0, runs, first+int64(len(b)), 4096),
		named(ntfstest.Resident(typeData, 4, append([]byte("$\x00M\x00a\x00x\x00"), top...)), 4)))
	entry := make([]byte, 16+66)
	binary.LittleEndian.PutUint64(entry, number|1<<48)
	entry[16+64] = 8
	for _, c := range "$UsnJrnl" {
		entry = append(entry, byte(c), 0)
	}
	binary.LittleEndian.PutUint16(entry[10:], uint16(len(entry)-16))
	for len(entry)%8 != 0 {
		entry = append(entry, 0)
	}
	binary.LittleEndian.PutUint16(entry[8:], uint16(len(entry)))
	editRecord(d, recExtend, func(typ uint32, raw []byte) []byte {
		if typ != typeIndexRoot {
			return raw
		}
		return insertEntry(raw, entry)
	})
}

// named makes the first units of a resident value its attribute's name.
func named(a []byte, units int) []byte {
	a[9] = byte(units)
	binary.LittleEndian.PutUint32(a[16:], binary.LittleEndian.Uint32(a[16:])-uint32(2*units))
	binary.LittleEndian.PutUint16(a[20:], uint16(24+2*units))
	return a
}

// insertEntry puts an entry before the others of an index root.
func insertEntry(raw, entry []byte) []byte {
	at := int(binary.LittleEndian.Uint16(raw[20:])) // of the value
	entries := at + 16 + int(binary.LittleEndian.Uint32(raw[at+16:]))
	out := append(append(bytes.Clone(raw[:entries]), entry...), raw[entries:]...)
	for _, off := range []int{4, 16, at + 20, at + 24} {
		binary.LittleEndian.PutUint32(out[off:], binary.LittleEndian.Uint32(out[off:])+uint32(len(entry)))
	}
	return out
}

// journalVolume is a volume with three files, and the numbers of their records.
func journalVolume(t testing.TB) (d disk, files [3]uint64) {
	path := makeVolume(t, 8<<20, "-c", "4096")
	mounted(t, path, "rw", func(dir string) {
		for i := range files {
			writeFile(t, fmt.Sprintf("%s/f%d.txt", dir, i), content(50_000, uint64(i)))
		}
	})
	d = volumetest.Load(t, path)
	for i := range files {
		ref, _, err := open(t, d).lookup(fmt.Sprintf("f%d.txt", i))
		if err != nil {
			t.Fatal(err)
		}
		files[i] = ref & (1<<48 - 1)
	}
	return d, files
}

// readFiles says which of the files of a journalVolume are read.
func readFiles(t *testing.T, now, was disk) (read [3]bool, reason string) {
	t.Helper()
	must, reason := told(t, now, was, StateOptions{})
	if reason != "" {
		return read, reason
	}
	for i := range read {
		at := int64(bytes.Index(now, content(50_000, uint64(i))[4096:8192]))
		n, err := block.Bytes(block.Clip(must, at, 4096))
		if err != nil {
			t.Fatal(err)
		}
		read[i] = n > 0
	}
	return read, ""
}

// TestJournal has files read that the change journal shows to be open, at one
// of the two times, or changed in between.
func TestJournal(t *testing.T) {
	fresh, f := journalVolume(t)
	for i, c := range []struct {
		was, since []event
		want       [3]bool
	}{
		{nil, nil, [3]bool{}},
		{[]event{{2, f[0], overwrite}, {2, f[0], overwrite | reasonClose}}, nil, [3]bool{}},
		{[]event{{2, f[0], overwrite | reasonClose}, {2, f[0], overwrite}}, nil, [3]bool{0: true}},
		{[]event{{3, f[1], overwrite}}, []event{{3, f[1], overwrite | reasonClose}}, [3]bool{1: true}},
		{[]event{{2, f[0], reasonClose}}, []event{{4, f[2], overwrite}, {3, f[2], overwrite | reasonClose}}, [3]bool{2: true}},
		{[]event{{2, f[0], overwrite}, {2, f[1], overwrite}, {2, f[0], reasonClose}}, []event{{2, 1 << 40, overwrite}}, [3]bool{1: true}},
	} {
		for _, first := range []int64{0, 1 << 30} {
			was, now := disk(bytes.Clone(fresh)), disk(bytes.Clone(fresh))
			before, _ := pages(first, c.was...)
			all, _ := pages(first, append(c.was, c.since...)...)
			addJournal(t, was, 77, first, before)
			addJournal(t, now, 77, first, all)
			if read, reason := readFiles(t, now, was); reason != "" || read != c.want {
				t.Errorf("case %d from %d: %v instead of %v, %s", i, first, read, c.want, reason)
			}
		}
	}
}

func TestJournalReasons(t *testing.T) {
	fresh, f := journalVolume(t)
	closed := event{2, f[0], reasonClose}
	one, _ := pages(8192, closed)
	three, next := pages(8192, closed, closed, closed)
	late, _ := pages((next+4095)&^4095+4096, closed)
	lateAt := (next+4095)&^4095 + 4096
	bad := bytes.Clone(three)
	bad[4] = 9
	with := func(id uint64, first int64, b []byte) func(d disk) {
		return func(d disk) { addJournal(t, d, id, first, b) }
	}
	none := func(disk) {}
	for _, c := range []struct {
		name, want string
		was, now   func(d disk)
	}{
		{"same", "", with(1, 8192, one), with(1, 8192, three)},
		{"trimmed, but not too much", "", with(1, 8192, three), with(1, 8192, three)},
		{"made since", "was made or deleted", none, with(1, 8192, three)},
		{"deleted since", "was made or deleted", with(1, 8192, three), none},
		{"another", "is another one", with(1, 8192, one), with(2, 8192, three)},
		{"went on too far", "change journal begins at", with(1, 8192, three), with(1, lateAt, late)},
		{"went back", "was at 8", with(1, 8192, three), with(1, 8192, one)},
		{"damaged", "$UsnJrnl: record at USN 8192: version 9", with(1, 8192, one), with(1, 8192, bad)},
		{"was damaged", "$UsnJrnl: record at USN 8192: version 9", with(1, 8192, bad), with(1, 8192, three)},
	} {
		was, now := disk(bytes.Clone(fresh)), disk(bytes.Clone(fresh))
		c.was(was)
		c.now(now)
		_, reason := readFiles(t, now, was)
		if c.want == "" && reason != "" || !strings.Contains(reason, c.want) {
			t.Errorf("%s: %q instead of %q", c.name, reason, c.want)
		}
	}
}

// TestJournalBounds has journals that claim too much.
func TestJournalBounds(t *testing.T) {
	d, f := journalVolume(t)
	b, _ := pages(0, event{2, f[0], 1})
	addJournal(t, d, 1, 0, b)
	huge := disk(bytes.Clone(d))
	editRecord(huge, 20, func(typ uint32, raw []byte) []byte {
		if raw[9] == 2 { // $J
			raw = bytes.Clone(raw)
			binary.LittleEndian.PutUint64(raw[40:], 1<<50)
			binary.LittleEndian.PutUint64(raw[48:], 1<<50)
			binary.LittleEndian.PutUint64(raw[56:], 1<<50)
		}
		return raw
	})
	if _, reason := readFiles(t, huge, d); !strings.Contains(reason, "more than are read") {
		t.Errorf("%q", reason)
	}
	v := open(t, d)
	for n, want := range map[uint64]string{10: "", maxOpenFiles + 1: "too many open files"} {
		s := &survey{ctx: t.Context(), now: v, was: v, changed: newBitset(100)}
		var all []byte
		for i := range n {
			all = append(all, usn(2, int64(len(all)), i, overwrite, "abcd")...)
		}
		j := &journal{next: int64(len(all)), data: &stream{resident: all, size: int64(len(all)), valid: int64(len(all))}}
		err := s.open(j, j.next)
		if want == "" && (err != nil || !s.changed.has(9) || s.changed.has(10)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d open files: %v", n, err)
		}
	}
}
