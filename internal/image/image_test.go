package image

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/dest/desttest"
	"ingot/internal/disk"
)

const testName = "0123456789ABCDEF-00-00.mrimgx"

// sample is a disk made for these tests: an MBR with two primary partitions and
// an extended one. Partition 1 is stored like FAT, with a reserved area of two
// pieces; partition 2 has a short last block and holes.
type sample struct {
	disk   []byte
	layout *disk.Layout
	doc    *Document
	parts  []samplePart
}

type samplePart struct {
	off, size, reserved, block int64
	stored                     map[int64]bool // blocks
}

// newSample draws the contents; every fifth block or so is not stored. reserved
// is how large the reserved area of partition 1 is.
func newSample(t testing.TB, level string, reserved int64) *sample {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	s := &sample{disk: make([]byte, 9<<20)}
	entry := func(b []byte, kind byte, start, sectors uint32) {
		b[4] = kind
		binary.LittleEndian.PutUint32(b[8:], start)
		binary.LittleEndian.PutUint32(b[12:], sectors)
	}
	binary.LittleEndian.PutUint32(s.disk[440:], 0xCAFEBABE)
	sectors := 1300 + reserved/512 // of partition 1
	entry(s.disk[446:], 0x0C, 64, uint32(sectors))
	entry(s.disk[462:], 0x07, 12064, 1001)
	entry(s.disk[478:], 0x0F, 14000, 3000)
	s.disk[510], s.disk[511] = 0x55, 0xAA
	ebr := s.disk[14000*512:]
	entry(ebr[446:], 0x07, 64, 1000)
	ebr[510], ebr[511] = 0x55, 0xAA
	var err error
	if s.layout, err = disk.Parse(memory(s.disk), 512); err != nil {
		t.Fatal(err)
	}
	s.parts = []samplePart{
		{off: 64 * 512, size: sectors * 512, reserved: reserved, block: 65536, stored: map[int64]bool{}},
		{off: 12064 * 512, size: 1001 * 512, block: 4096, stored: map[int64]bool{}},
	}
	s.doc = &Document{
		Compression: Compression{Level: level, Method: "zstd"},
		Header:      Header{ImageID: "0123456789ABCDEF", BackupFormat: "partition", BackupType: "full", MergedFiles: []int64{}},
		Disks: []Disk{{
			Geometry: DiskGeometry{BytesPerSector: 512, DiskSize: int64(len(s.disk))},
			Header:   DiskHeader{Format: "mbr", Signature: s.layout.ID},
		}},
	}
	for i := range s.parts {
		p := &s.parts[i]
		count := (p.size - p.reserved + p.block - 1) / p.block
		for b := range count {
			data := s.disk[p.off+p.reserved+b*p.block:][:min(p.block, p.size-p.reserved-b*p.block)]
			switch r.IntN(5) {
			case 0: // not stored: free space reads as zeros
				clear(data)
				continue
			case 1: // a stored block of zeros
				clear(data)
			case 2:
				fill(r, data[:len(data)/16])
			default:
				copy(data, strings.Repeat(fmt.Sprintf("block %d of partition %d. ", b, i), len(data)/20))
			}
			p.stored[b] = true
		}
		s.doc.Disks[0].Partitions = append(s.doc.Disks[0].Partitions, Partition{
			Header:     PartitionHeader{BlockSize: p.block, BlockCount: count, Number: int64(i + 1)},
			Geometry:   PartitionGeometry{Start: p.off, Length: p.size, End: p.off + p.size - 1},
			FileSystem: FileSystem{Type: "unknown", Start: p.off, LCN0: p.off + p.reserved, ReservedLength: p.reserved},
		})
	}
	fill(r, s.disk[s.parts[0].off:][:3000]) // something in the reserved area
	return s
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

type memory []byte

func (m memory) Size() int64 { return int64(len(m)) }
func (m memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m).ReadAt(p, off)
}

// write makes an image of the sample.
func (s *sample) write(t testing.TB, store *desttest.Memory, opts Options) []byte {
	t.Helper()
	w, err := Create(context.Background(), store, testName, s.doc, opts)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := NewEncoder(s.doc.Compression.Level)
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(w.Disk(s.layout.Track0, s.layout.EBRs))
	var b Batch
	for _, p := range s.parts {
		count := (p.size - p.reserved + p.block - 1) / p.block
		check(w.Begin((p.reserved+ReservedPiece-1)/ReservedPiece, count))
		if p.reserved > 0 {
			enc.Encode(&b, 0, s.disk[p.off:p.off+p.reserved], ReservedPiece, nil)
			check(w.Put(Reserved, &b))
		}
		for i := int64(0); i < count; {
			n := int64(0)
			for n < 5 && p.stored[i+n] {
				n++
			}
			if n == 0 {
				i++
				continue
			}
			from := p.off + p.reserved + i*p.block
			enc.Encode(&b, i, s.disk[from:min(from+n*p.block, p.off+p.size)], int(p.block), nil)
			check(w.Put(Blocks, &b))
			i += n
		}
		check(w.End())
	}
	check(w.Commit(context.Background()))
	return store.Get(testName)
}

// open opens the image bytes as a chain.
func open(data []byte) (*Chain, error) {
	m := desttest.NewMemory()
	m.Put(testName, data)
	return Open(context.Background(), m, testName, nil)
}

// same compares what a chain gives with the sample.
func (s *sample) same(c *Chain) error {
	for i, v := range c.Disks()[0].Partitions {
		p := s.parts[i]
		got := make([]byte, p.size)
		if _, err := v.ReadAt(got, 0); err != nil {
			return err
		}
		if !bytes.Equal(got, s.disk[p.off:p.off+p.size]) {
			return fmt.Errorf("partition %d reads differently", i+1)
		}
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	for _, level := range []string{CompressionNone, CompressionMedium, CompressionHigh} {
		t.Run(level, func(t *testing.T) {
			s := newSample(t, level, 5<<20)
			c, err := open(s.write(t, desttest.NewMemory(), Options{}))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.same(c); err != nil {
				t.Error(err)
			}
			if err := c.CheckIndex(t.Context()); err != nil {
				t.Error(err)
			}
			d := c.Disks()[0]
			if !bytes.Equal(d.Layout.Track0, s.layout.Track0) || len(d.Layout.EBRs) != 1 || d.Layout.EBRs[0] != s.layout.EBRs[0] {
				t.Error("the disk's metadata came back differently")
			}
			res, err := c.Verify(t.Context(), nil)
			if err != nil || len(res.Damaged) != 0 {
				t.Fatal(res, err)
			}
			want := int64(len(s.parts[0].stored) + len(s.parts[1].stored) + 2)
			if res.Blocks != want {
				t.Errorf("verify saw %d blocks, %d were stored", res.Blocks, want)
			}
			s.checkStored(t, c)
		})
	}
}

// checkStored compares Stored and Totals with what was stored.
func (s *sample) checkStored(t *testing.T, c *Chain) {
	t.Helper()
	for i, v := range c.Disks()[0].Partitions {
		p := s.parts[i]
		var in []block.Extent
		if p.reserved > 0 {
			in = append(in, block.Extent{Off: 0, Len: p.reserved})
		}
		for b := range p.stored {
			off := p.reserved + b*p.block
			in = append(in, block.Extent{Off: off, Len: min(p.block, p.size-off)})
		}
		want, _ := block.Bytes(block.NewExtents(in...))
		got, err := block.Bytes(v.Stored())
		if err != nil || got != want {
			t.Errorf("partition %d: %d bytes are stored, %d were (%v)", i+1, got, want, err)
		}
		if tot, err := v.Totals(); err != nil || tot.Raw != want {
			t.Errorf("partition %d: totals %+v, %v", i+1, tot, err)
		}
	}
}

// TestOddReads reads pieces of any offset and length, over the borders of
// blocks, areas and the end.
func TestOddReads(t *testing.T) {
	s := newSample(t, CompressionMedium, 5<<20)
	c, err := open(s.write(t, desttest.NewMemory(), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	for i, v := range c.Disks()[0].Partitions {
		p := s.parts[i]
		for range 300 {
			off := r.Int64N(p.size)
			buf := make([]byte, r.Int64N(200_000))
			n, err := v.ReadAt(buf, off)
			if want := min(int64(len(buf)), p.size-off); int64(n) != want || (err == nil) != (want == int64(len(buf))) {
				t.Fatalf("read of %d at %d of %d gave %d, %v", len(buf), off, p.size, n, err)
			}
			if !bytes.Equal(buf[:n], s.disk[p.off+off:p.off+off+int64(n)]) {
				t.Fatalf("read of %d at %d of partition %d is wrong", len(buf), off, i+1)
			}
		}
		if _, err := v.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("a read before the beginning was answered")
		}
	}
}

// TestIndexWaitsInAFile has the index go by way of a temporary file.
func TestIndexWaitsInAFile(t *testing.T) {
	s := newSample(t, CompressionMedium, 5<<20)
	// One more partition, never stored, whose index alone is larger than what
	// is kept in memory.
	const blocks = spoolInMemory/elementSize + 100_000
	p := s.doc.Disks[0].Partitions[1]
	p.Header.BlockSize, p.Header.Number = 512, 3
	p.Geometry = PartitionGeometry{Length: blocks * 512}
	p.FileSystem = FileSystem{}
	s.doc.Disks[0].Geometry.DiskSize = blocks * 512
	s.doc.Disks[0].Partitions = append(s.doc.Disks[0].Partitions, p)
	s.parts = append(s.parts, samplePart{size: 0, block: 512})
	m := desttest.NewMemory()
	w, err := Create(t.Context(), m, testName, s.doc, Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Disk(s.layout.Track0, s.layout.EBRs); err != nil {
		t.Fatal(err)
	}
	enc, _ := NewEncoder(CompressionMedium)
	var b Batch
	for i, n := range []int64{10, 10, blocks} {
		size := int(s.doc.Disks[0].Partitions[i].Header.BlockSize)
		s.doc.Disks[0].Partitions[i].FileSystem.ReservedLength = 0
		enc.Encode(&b, n-2, bytes.Repeat([]byte{byte(i + 1)}, 2*size), size, nil)
		if err := errors.Join(w.Begin(0, n), w.Put(Blocks, &b), w.End()); err != nil {
			t.Fatal(err)
		}
	}
	if w.index.file == nil {
		t.Fatal("the index stayed in memory")
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := open(m.Get(testName))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Verify(t.Context(), nil)
	if err != nil || res.Blocks != 6 || len(res.Damaged) != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	got := make([]byte, 512)
	if _, err := c.Disks()[0].Partitions[2].ReadAt(got, (blocks-1)*512); err != nil || got[0] != 3 {
		t.Errorf("the last block reads %d, %v", got[0], err)
	}
}

// TestCommitIsAll has the file not appear unless it is whole.
func TestCommitIsAll(t *testing.T) {
	s := newSample(t, CompressionMedium, 5<<20)
	m := desttest.NewMemory()
	w, err := Create(t.Context(), m, testName, s.doc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Disk(nil, nil); err == nil {
		t.Error("an empty track 0 was taken")
	}
	if err := w.Commit(t.Context()); err == nil || m.Get(testName) != nil {
		t.Errorf("commit after an error: %v", err)
	}
}

func TestPutOutOfOrder(t *testing.T) {
	for name, puts := range map[string][]int64{"twice": {3, 3}, "descending": {5, 2}, "beyond": {10}} {
		s := newSample(t, CompressionMedium, 5<<20)
		w, err := Create(t.Context(), desttest.NewMemory(), testName, s.doc, Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(w.Disk(s.layout.Track0, nil), w.Begin(0, 10))
		for _, n := range puts {
			err = w.Put(Blocks, &Batch{First: n, Lens: []int{1}, Sums: make([][md5.Size]byte, 1), Strong: make([][32]byte, 1), Marks: make([]mark, 1), Data: []byte{0}})
		}
		if err == nil {
			t.Errorf("%s: taken", name)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
}

// Of two sets with a point of the same second the one that began later is newer,
// whatever their files are called.
func TestSetsOfOneSecond(t *testing.T) {
	set := func(id string, begun int64, points ...int64) *Set {
		s := &Set{ID: id}
		for _, at := range points {
			doc := &Document{Header: Header{BackupTime: at, BackupsetTime: begun, IndexPosition: 1}}
			s.Members = append(s.Members, &Member{Doc: doc})
		}
		return s
	}
	none, old, short, full := set("d", 0), set("c", 10, 10, 12), set("b", 11, 11), set("a", 12, 12)
	sets := []*Set{full, none, old, short}
	slices.SortStableFunc(sets, byAge)
	for i, want := range []*Set{none, short, old, full} {
		if sets[i] != want {
			t.Errorf("place %d has %s, want %s", i, sets[i].ID, want.ID)
		}
	}
}
