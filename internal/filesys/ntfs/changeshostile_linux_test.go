package ntfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs/ntfstest"
)

// exerciseChanges compares two states, one of which may be damaged; whatever
// comes out comes soon, and a map keeps its promises.
func exerciseChanges(t testing.TB, now, was block.Reader) {
	t.Helper()
	start := time.Now()
	a, err := Open(now)
	if err != nil {
		return
	}
	b, err := Open(was)
	if err != nil {
		return
	}
	m, reason, err := Changes(t.Context(), a, b, StateOptions{Granule: 4096})
	if err != nil || (m == nil) != (reason != "") {
		t.Fatalf("%v, %q, %v", m, reason, err)
	}
	if m != nil {
		end := int64(-1)
		for e, err := range m.Extents() {
			if err != nil || e.Len <= 0 || e.Off <= end || e.End() > now.Size() {
				t.Fatalf("extent %v behind %d, %v", e, end, err)
			}
			end = e.End()
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
}

// changesSeed is a volume with a change journal, and what of it Changes reads.
func changesSeed(t testing.TB) (disk, []block.Extent) {
	d, f := journalVolume(t)
	b, _ := pages(8192, event{2, f[0], 1}, event{3, f[1], reasonClose}, event{4, f[2], 1})
	addJournal(t, d, 5, 8192, b)
	v := open(t, d)
	hot := v.mft.data.extents()
	j, err := v.journal()
	if err != nil {
		t.Fatal(err)
	}
	return d, append(hot, j.data.extents()...)
}

func TestChangesFlips(t *testing.T) {
	d, hot := changesSeed(t)
	rng := rand.New(rand.NewPCG(5, 5))
	c := disk(bytes.Clone(d))
	for range 1500 {
		var flipped []int64
		for range 1 << rng.IntN(5) {
			e := hot[rng.IntN(len(hot))]
			at := e.Off + rng.Int64N(min(e.Len, 72<<10))
			c[at] ^= 1 << rng.IntN(8)
			flipped = append(flipped, at)
		}
		exerciseChanges(t, c, d)
		exerciseChanges(t, d, c)
		for _, at := range flipped {
			c[at] = d[at]
		}
	}
}

// FuzzChanges writes 5-byte patches (place in what Changes reads, byte) on a
// volume, and compares it with what it was, both ways.
func FuzzChanges(f *testing.F) {
	d, hot := changesSeed(f)
	var places []int64
	for _, e := range hot {
		for i := range min(e.Len, 72<<10) {
			places = append(places, e.Off+i)
		}
	}
	f.Add([]byte{0, 0, 1, 0, 0xf4})
	f.Fuzz(func(t *testing.T, patches []byte) {
		c := disk(bytes.Clone(d))
		for ; len(patches) >= 5; patches = patches[5:] {
			c[places[int(binary.LittleEndian.Uint32(patches))%len(places)]] = patches[4]
		}
		exerciseChanges(t, c, d)
		exerciseChanges(t, d, c)
	})
}

func TestMarksAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 500 {
		size, granule := 1+rng.Int64N(5000), 1+rng.Int64N(40)
		m := newMarks(size, granule)
		want := make([]bool, size)
		for range rng.IntN(12) {
			off := rng.Int64N(size)
			n := rng.Int64N(min(size-off, 300) + 1)
			m.add(off, n)
			for i := off / granule * granule; n > 0 && i < min(((off+n-1)/granule+1)*granule, size); i++ {
				want[i] = true
			}
		}
		got := make([]bool, size)
		end := int64(-1)
		for e, err := range m.Extents() {
			if err != nil || e.Off <= end || e.Len <= 0 {
				t.Fatalf("%v behind %d, %v", e, end, err)
			}
			end = e.End()
			for i := e.Off; i < end; i++ {
				got[i] = true
			}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("byte %d of %d, granules of %d: %t", i, size, granule, got[i])
			}
		}
	}
	if m := newMarks(1<<50, 4096); len(m.set)*8 > maxGranules/8 {
		t.Errorf("%d bytes for a volume of 1 PiB", len(m.set)*8)
	}
}

// TestFolders has chains, loops and orphans.
func TestFolders(t *testing.T) {
	f := folders{deep: newBitset(1000), shallow: newBitset(1000)}
	add := func(number, in int64, name string) {
		if err := f.add(number, &link{in, name}); err != nil {
			t.Fatal(err)
		}
	}
	add(recRoot, recRoot, ".")
	add(recExtend, recRoot, "$extend")
	add(30, 35, "below what is below")
	add(31, recRoot, "plain")
	add(32, 31, "system volume information") // not in the root
	add(33, recRoot, "system volume information")
	add(34, 33, "below")
	add(35, 34, "below")
	add(36, 37, "loop")
	add(37, 36, "loop")
	add(38, 900, "orphan")
	add(39, maxRecords+5, "far away")
	add(40, 31, "config")
	add(41, 40, "below config")
	add(42, recExtend, "$rmmetadata")
	add(43, 2000, "orphan beyond")
	f.resolve()
	for n, want := range map[int64]bool{recRoot: false, recExtend: true, 30: true, 31: false, 32: false, 33: true, 34: true, 35: true,
		36: true, 37: true, 38: true, 39: true, 40: false, 41: false, 42: true, 43: true} {
		if f.deep.has(n) != want {
			t.Errorf("folder %d: %t", n, !want)
		}
	}
	if !f.shallow.has(40) || f.shallow.has(41) {
		t.Error("config")
	}
}

// manyRecords is an $MFT of files and folders, each in the one before it, that
// is made up as it is read. Every hundredth record was written anew.
type manyRecords struct {
	count, now  int64
	file, other []byte
}

func (m *manyRecords) Size() int64 { return m.count * 1024 }

func (m *manyRecords) ReadAt(p []byte, off int64) (int, error) {
	for at := int64(0); at < int64(len(p)); at += 1024 {
		number := (off + at) / 1024
		b := p[at : at+1024]
		copy(b, m.file)
		if number%4 == 0 {
			copy(b, m.other)
			// In the one before, of what the name at this place says.
			binary.LittleEndian.PutUint64(b[nameAt:], uint64(max(number-4, recRoot)))
		}
		binary.LittleEndian.PutUint32(b[44:], uint32(number))
		if number%100 == 0 {
			binary.LittleEndian.PutUint64(b[8:], uint64(m.now))
		}
	}
	return len(p), nil
}

const nameAt = 56 + 24 // of the value of the first attribute of ntfstest.Record

// TestChangesMemory compares an $MFT of 400 000 records, a quarter of them
// folders in a chain, and looks at what that holds.
func TestChangesMemory(t *testing.T) {
	value := append(make([]byte, 66), 'f', 0, '.', 0, 'x', 0)
	value[64] = 3
	m := manyRecords{count: 400_000}
	name := ntfstest.Resident(0x30, 1, value)
	m.file = ntfstest.Record(1024, 0, 1, 0, name, ntfstest.NonResident(typeData, 2, "", 0, []ntfstest.Run{{LCN: 500, Clusters: 3}}, 9000, 4096))
	m.other = ntfstest.Record(1024, 0, 1, 0, name)
	m.other[22] |= flagFolder
	volume := func(now int64) *Volume {
		c := m
		c.now = now
		data := stream{r: &c, clusterSize: 4096, size: c.Size(), valid: c.Size(), runs: []run{{0, 0, c.Size() / 4096}}}
		boot := Boot{SectorSize: 512, ClusterSize: 4096, TotalClusters: c.Size() / 4096, RecordSize: 1024}
		return &Volume{r: &c, boot: boot, mft: &mft{r: &c, boot: boot, data: data}}
	}
	now := volume(2)
	s := &survey{ctx: t.Context(), now: now, was: volume(1), must: newMarks(now.r.Size(), 65536)}
	n := m.count
	s.sets(n)
	runtime.GC()
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	if err := s.records(); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&end)
	if got := int64(end.HeapInuse) - int64(start.HeapInuse); got > 6<<20 {
		t.Errorf("%d bytes of heap are held", got)
	}
	if got := len(s.folders.list); int64(got) < n/4-5 || !s.changed.has(100_100) || s.changed.has(100_101) || s.folders.deep.has(n-4) {
		t.Errorf("%d folders", got)
	}
	runtime.KeepAlive(s)
}

// TestChangesBounds has volumes with more than can be compared.
func TestChangesBounds(t *testing.T) {
	f := folders{list: make([]uint64, maxFolders)}
	if err := f.add(1<<20, &link{recRoot, "one more"}); err == nil || !strings.Contains(err.Error(), "too many folders") {
		t.Errorf("%v", err)
	}
	data := stream{size: (maxRecords + 1) * 1024, valid: (maxRecords + 1) * 1024}
	v := &Volume{boot: Boot{RecordSize: 1024}, mft: &mft{boot: Boot{RecordSize: 1024}, data: data}}
	s := &survey{ctx: t.Context(), now: v, was: v}
	if err := s.run(); err == nil || !strings.Contains(err.Error(), "more than can be compared") {
		t.Errorf("%v", err)
	}
}

// badPlace is a volume that cannot be read in one place.
type badPlace struct {
	disk
	bad block.Extent
}

func (b badPlace) ReadAt(p []byte, off int64) (int, error) {
	if off < b.bad.End() && b.bad.Off < off+int64(len(p)) {
		return 0, errors.New("bad sector")
	}
	return b.disk.ReadAt(p, off)
}

// TestChangesUnreadable has one place unreadable at a time, in one of the
// states: nothing is compared then.
func TestChangesUnreadable(t *testing.T) {
	d, _ := changesSeed(t)
	v := open(t, d)
	log, err := v.systemData(recLogFile, "$LogFile")
	if err != nil {
		t.Fatal(err)
	}
	j, err := v.journal()
	if err != nil {
		t.Fatal(err)
	}
	mft := v.mft.data.extents()[0]
	for name, c := range map[string]struct {
		bad            block.Extent
		now, inABackup string
	}{
		"$LogFile": {log.extents()[0], "its journal cannot be read: ", "its journal cannot be read in the backup: "},
		"$UsnJrnl": {j.data.extents()[0], "$UsnJrnl: ", "$UsnJrnl: "},
		"$MFT":     {block.Extent{Off: mft.Off + 64*1024, Len: 512}, "$MFT: ", "$MFT in the backup: "},
		"$Bitmap":  {block.Extent{Off: v.mustBitmap(t), Len: 512}, "$Bitmap: ", "$Bitmap: "},
	} {
		bad := badPlace{d, c.bad}
		for _, s := range []struct {
			now, was block.Reader
			want     string
		}{{bad, d, c.now}, {d, bad, c.inABackup}} {
			a, b := mustOpen(t, s.now), mustOpen(t, s.was)
			m, reason, err := Changes(t.Context(), a, b, StateOptions{Snapshot: true, WasSnapshot: true, Also: block.Differ(a.Used(), b.Used())})
			if err != nil || m != nil || !strings.Contains(reason, s.want) || !strings.Contains(reason, "bad sector") {
				t.Errorf("%s: %q instead of %q, %v", name, reason, s.want, err)
			}
		}
	}
}
