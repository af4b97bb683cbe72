package vhdx

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/vdisk/vdisktest"
)

// seed is a small disk that is here in part and has changes in its log; and its
// parent.
type seed struct {
	b      []byte
	parent *made
}

func newSeed(t testing.TB) seed {
	disk := vdisktest.Draw(3*mib, 8)
	parent := makeDisk(t, disk, Options{})
	m := makeChild(t, changed(disk, 3*mib, 3), disk, Options{}, locatorBytes(keyLinkage, parent.dataWrite().String(), keyRelative, "parent"))
	l := &logged{m: m, id: newGUID(), seq: 1}
	m.setLog(l.id)
	l.add(0, change{off: batAt, data: l.table(nil)}, change{off: batAt + pageSize, zero: pageSize})
	l.add(0, change{off: batAt + 2*pageSize, zero: pageSize})
	return seed{m.b, parent}
}

// exercise opens and reads a file that may be damaged.
func (s seed) exercise(t testing.TB, b []byte) {
	t.Helper()
	began := time.Now()
	d, err := Open(bytes.NewReader(b), int64(len(b)), "d/child", func(path string) (io.ReaderAt, int64, io.Closer, error) {
		if filepath.ToSlash(path) != "d/parent" {
			return nil, 0, nil, fs.ErrNotExist
		}
		return bytes.NewReader(s.parent.b), int64(len(s.parent.b)), nil, nil
	})
	if took := time.Since(began); took > 2*time.Second {
		t.Fatalf("took %v to open", took)
	}
	if err != nil {
		return
	}
	if d.Size() <= 0 || d.Size() > maxDisk || d.Size()%d.LogicalSector() != 0 {
		t.Fatalf("a disk of %d bytes in sectors of %d", d.Size(), d.LogicalSector())
	}
	vdisktest.Exercise(t, d, d.Used())
}

// spots are where the bytes lie that mean something: offset and length.
func spots() [][2]int {
	return [][2]int{
		{0, 8}, {headerAt0, 80}, {headerAt1, 80}, {regionAt0, 80}, {regionAt1, 80}, {logAt, 4 * sectorSize},
		{metadataAt, 32 + 6*32}, {metadataAt + tableSize, 400}, {batAt, 64},
	}
}

func TestTruncations(t *testing.T) {
	t.Parallel()
	s := newSeed(t)
	for _, spot := range spots() {
		for n := range min(spot[1], 200) {
			s.exercise(t, s.b[:spot[0]+n])
		}
	}
	for n := 0; n < len(s.b); n += 37 * kib {
		s.exercise(t, s.b[:n])
	}
}

// TestBitFlips changes bits where they mean something; checksums are put right
// in three of four cases, or they would hide what lies behind them.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	s := newSeed(t)
	rng := rand.New(rand.NewPCG(5, 5))
	m := &made{bytes.Clone(s.b)}
	all := spots()
	opened := 0
	for turn := range 700 {
		spot := all[rng.IntN(len(all))]
		var undo [][2]int
		for range 1 + rng.IntN(3) {
			at := spot[0] + rng.IntN(spot[1])
			undo = append(undo, [2]int{at, int(m.b[at])})
			m.b[at] ^= 1 << rng.IntN(8)
		}
		if turn%4 != 0 {
			m.resum()
			m.resumLog()
		}
		s.exercise(t, m.b)
		if _, err := openFile(bytes.NewReader(m.b), int64(len(m.b)), ""); err == nil {
			opened++
		}
		for i := range undo {
			u := undo[len(undo)-1-i]
			m.b[u[0]] = byte(u[1])
		}
		m.resum()
		m.resumLog()
	}
	if opened < 100 {
		t.Errorf("%d of the damaged disks could be opened: too few to say much", opened)
	}
}

// resumLog puts the checksum of the first entry of the log right.
func (m *made) resumLog() {
	if len(m.b) < logAt+sectorSize {
		return
	}
	b := m.b[logAt:]
	if n := int(binary.LittleEndian.Uint32(b[8:])); n >= sectorSize && n <= len(b) && n <= 8*sectorSize {
		clear(b[4:8])
		binary.LittleEndian.PutUint32(b[4:], crcOf(b[:n/sectorSize*sectorSize]))
	}
}

// FuzzOpen gets the bytes that mean something of a disk, one spot behind the
// other: a whole disk is too long to be changed well.
func FuzzOpen(f *testing.F) {
	s := newSeed(f)
	var all []byte
	for _, spot := range spots() {
		all = append(all, s.b[spot[0]:spot[0]+spot[1]]...)
	}
	f.Add(all, true)
	f.Add(all[:100], true)
	m := &made{bytes.Clone(s.b)}
	f.Fuzz(func(t *testing.T, b []byte, sums bool) {
		copy(m.b, s.b[:batAt+64])
		for _, spot := range spots() {
			b = b[copy(m.b[spot[0]:spot[0]+spot[1]], b):]
		}
		if sums {
			m.resum()
			m.resumLog()
		}
		s.exercise(t, m.b)
	})
}

func FuzzParts(f *testing.F) {
	s := newSeed(f)
	f.Add(s.b[headerAt0:][:headerSize])
	f.Add(s.b[regionAt0:][:200])
	f.Add(s.b[metadataAt:][:300])
	f.Add(locatorBytes(keyLinkage, "x", keyRelative, `..\y`))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(b, make([]byte, max(0, tableSize-len(b)))...)
		_, _ = parseHeader(b)
		if items, err := parseTable(b, mib); err == nil {
			for id, it := range items {
				if it.len > 0 && it.off+it.len > mib {
					t.Fatalf("item %v lies outside", id)
				}
			}
		}
		_, _ = parseLocator(b[:min(len(b), maxItem)])
		if rs, err := parseRegions(b); err == nil {
			_, _ = chooseRegions(rs)
		}
	})
}

// TestRefused has disks that say what cannot be, or cannot be read.
func TestRefused(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	disk := vdisktest.Draw(3*mib, 8)
	// item is where the bytes of the nth item of the metadata are: block size,
	// size, identity, logical and physical sector.
	item := func(b []byte, n int) []byte { return b[metadataAt+int(le.Uint32(b[metadataAt+32+32*n+16:])):] }
	flags := func(b []byte, n int) []byte { return b[metadataAt+32+32*n+24:] }
	for name, c := range map[string]struct {
		change func(b []byte)
		want   string // "" if it opens
	}{
		"untouched":                 {func([]byte) {}, ""},
		"no mark":                   {func(b []byte) { b[0]++ }, "signature"},
		"one header":                {func(b []byte) { clear(b[headerAt0:][:8]) }, ""},
		"the other header":          {func(b []byte) { clear(b[headerAt1:][:8]) }, ""},
		"no header":                 {func(b []byte) { clear(b[headerAt0:][:8]); clear(b[headerAt1:][:8]) }, "header at byte 65536"},
		"two headers of one number": {func(b []byte) { b[headerAt0+8], b[headerAt0+100] = 2, 1 }, "sequence number 2"},
		"version 2":                 {func(b []byte) { b[headerAt0+66], b[headerAt1+66] = 2, 2 }, "version"},
		"one region table":          {func(b []byte) { clear(b[regionAt0:][:8]) }, ""},
		"no block table":            {func(b []byte) { b[regionAt0+8], b[regionAt1+8] = 0, 0 }, "missing"},
		"a required region":         {func(b []byte) { b[regionAt0+16]++ }, "required and not known"},
		"overlapping regions": {func(b []byte) {
			copy(b[regionAt0+32:][:8], b[regionAt0+64:])
			copy(b[regionAt1+32:][:8], b[regionAt1+64:])
		}, "overlap"},
		"too many regions":           {func(b []byte) { b[regionAt0+10], b[regionAt1+10] = 1, 1 }, "entries"},
		"a region twice":             {func(b []byte) { copy(b[regionAt0+16:][:16], b[regionAt0+48:]) }, "twice"},
		"no metadata":                {func(b []byte) { b[metadataAt]++ }, "metadata at byte 2097152"},
		"a required item":            {func(b []byte) { b[metadataAt+32+2*32]++ }, "required and not known"},
		"an item not known":          {func(b []byte) { b[metadataAt+32+2*32]++; flags(b, 2)[0] = flagVirtual }, ""},
		"an item of a user":          {func(b []byte) { b[metadataAt+32+2*32]++; flags(b, 2)[0] = flagRequired | flagUser }, ""},
		"an item twice":              {func(b []byte) { copy(b[metadataAt+32:][:16], b[metadataAt+64:]) }, "twice"},
		"an item outside":            {func(b []byte) { le.PutUint32(b[metadataAt+32+16:], mib-4) }, "entry 0"},
		"too many items":             {func(b []byte) { le.PutUint16(b[metadataAt+10:], 3000) }, "entries"},
		"no size":                    {func(b []byte) { le.PutUint16(b[metadataAt+10:], 1) }, "missing"},
		"blocks of 3 MiB":            {func(b []byte) { le.PutUint32(item(b, 0), 3*mib) }, "block size"},
		"blocks of 512 bytes":        {func(b []byte) { le.PutUint32(item(b, 0), 512) }, "block size"},
		"a parent, but none named":   {func(b []byte) { item(b, 0)[4] = flagHasParent }, "missing"},
		"half a sector":              {func(b []byte) { le.PutUint64(item(b, 1), 3*mib+256) }, "disk of"},
		"an empty disk":              {func(b []byte) { le.PutUint64(item(b, 1), 0) }, "disk of"},
		"more than can be":           {func(b []byte) { le.PutUint64(item(b, 1), maxDisk+512) }, "disk of"},
		"more than the table has":    {func(b []byte) { le.PutUint64(item(b, 1), maxDisk) }, "block table"},
		"sectors of 1024":            {func(b []byte) { le.PutUint32(item(b, 3), 1024) }, "sectors"},
		"no physical sectors":        {func(b []byte) { le.PutUint32(item(b, 4), 0) }, "sectors"},
		"a table outside":            {func(b []byte) { le.PutUint64(b[regionAt0+32:], 1<<40); le.PutUint64(b[regionAt1+32:], 1<<40) }, "block table"},
		"a region at no mebibyte":    {func(b []byte) { b[regionAt0+33] = 1; b[regionAt1+33] = 1 }, "entry 0"},
		"a fixed disk says it is so": {func(b []byte) { item(b, 0)[4] = flagLeave }, ""},
	} {
		m := makeDisk(t, disk, Options{})
		c.change(m.b)
		m.resum()
		d, err := m.open()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			disk.Same(t, d, d.Used())
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCurrentHeader has two valid headers, of which the one with the higher number
// counts, wherever it is.
func TestCurrentHeader(t *testing.T) {
	t.Parallel()
	for _, numbers := range [][2]byte{{5, 4}, {4, 5}} {
		m := makeDisk(t, vdisktest.Draw(mib, 1), Options{})
		m.b[headerAt0+8], m.b[headerAt1+8] = numbers[0], numbers[1]
		m.b[headerAt0+32], m.b[headerAt1+32] = numbers[0], numbers[1] // the state it names
		m.resum()
		d, err := m.open()
		if err != nil || d.head.dataWrite[0] != 5 {
			t.Errorf("%v: header %d was taken, %v", numbers, d.head.dataWrite[0], err)
		}
	}
}

// TestBadEntries has entries of the block table that cannot be: the disk opens,
// and what they are of cannot be read.
func TestBadEntries(t *testing.T) {
	t.Parallel()
	disk := vdisktest.Draw(3*mib, 8)
	for name, v := range map[string]uint64{
		"a state not known": 4, "in part, without a parent": 8*mib | statePartial, "in the header": statePresent,
		"behind the end": 1<<40 | statePresent, "reserved bits": 4*mib | 8 | statePresent, "far behind": 1<<63 | statePresent,
	} {
		m := makeDisk(t, disk, Options{BlockSize: mib})
		binary.LittleEndian.PutUint64(m.b[batAt+8:], v)
		d, err := m.open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p := make([]byte, 100)
		if _, err := d.ReadAt(p, mib+5); err == nil || !strings.Contains(err.Error(), "block 1") {
			t.Errorf("%s: read: %v", name, err)
		}
		if _, err := d.ReadAt(p, 5); err != nil || !bytes.Equal(p, disk[5:105]) {
			t.Errorf("%s: what is before cannot be read: %v", name, err)
		}
		var last error
		for _, last = range d.Used().Extents() {
		}
		if last == nil {
			t.Errorf("%s: the used map came to its end", name)
		}
	}
	m := makeDisk(t, disk, Options{BlockSize: mib})
	for state := range uint64(4) {
		binary.LittleEndian.PutUint64(m.b[batAt+8:], state|7*mib)
		copyOf := bytes.Clone(disk)
		clear(copyOf[mib : 2*mib])
		d, err := m.open()
		if err != nil {
			t.Fatal(err)
		}
		vdisktest.Disk(copyOf).Same(t, d, d.Used())
	}
}

// TestLargestDisk has the table of a disk of 64 TiB in blocks of 1 MiB, of which
// little is in the file: it is not read into memory.
func TestLargestDisk(t *testing.T) {
	t.Parallel()
	m := makeDisk(t, vdisktest.Draw(mib, 2), Options{BlockSize: mib})
	le := binary.LittleEndian
	le.PutUint64(m.b[metadataAt+int(le.Uint32(m.b[metadataAt+64+16:])):], maxDisk)
	for _, at := range []int{regionAt0, regionAt1} {
		le.PutUint64(m.b[at+32:], 1<<30) // the table is far behind, in a hole
		le.PutUint32(m.b[at+40:], 520*mib)
	}
	m.resum()
	h := hole{bytes.NewReader(m.b), int64(len(m.b))}
	d, err := Open(h, 4<<30, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := bytes.Repeat([]byte{1}, 4096)
	if n, err := d.ReadAt(p, maxDisk-4000); n != 4000 || err != io.EOF || !bytes.Equal(p[:4000], make([]byte, 4000)) {
		t.Errorf("%d, %v", n, err)
	}
	if len(d.tables.pages) > cachePages {
		t.Errorf("%d pages are kept", len(d.tables.pages))
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		if _, err := d.ReadAt(p, rng.Int64N(maxDisk/4096-1)*4096); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.tables.pages) > cachePages {
		t.Errorf("%d pages are kept", len(d.tables.pages))
	}
}

// hole is a file with nothing behind its front.
type hole struct {
	r    io.ReaderAt
	size int64
}

func (h hole) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < h.size {
		_, _ = h.r.ReadAt(p, off)
	}
	return len(p), nil
}
