package image

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
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
			enc.Encode(&b, 0, s.disk[p.off:p.off+p.reserved], ReservedPiece)
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
			enc.Encode(&b, i, s.disk[from:min(from+n*p.block, p.off+p.size)], int(p.block))
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
	return Open(context.Background(), m, testName)
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
	const blocks = indexInMemory/elementSize + 100_000
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
		enc.Encode(&b, n-2, bytes.Repeat([]byte{byte(i + 1)}, 2*size), size)
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
			err = w.Put(Blocks, &Batch{First: n, Lens: []int{1}, Sums: make([][md5.Size]byte, 1), Data: []byte{0}})
		}
		if err == nil {
			t.Errorf("%s: taken", name)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
}

// small is an image of a few KiB, so that every truncation of it can be tried.
func small(t testing.TB) (*sample, []byte) {
	s := newSample(t, CompressionMedium, 65536)
	clear(s.disk[s.parts[0].off:][:3000])
	for b := range s.parts[0].stored {
		data := s.disk[s.parts[0].off+s.parts[0].reserved+b*s.parts[0].block:][:s.parts[0].block]
		if len(data) > 0 {
			clear(data[200:])
		}
	}
	p := &s.parts[1]
	for b := range p.stored {
		data := s.disk[p.off+b*p.block:][:min(p.block, p.size-b*p.block)]
		clear(data[min(100, len(data)):])
	}
	return s, s.write(t, desttest.NewMemory(), Options{})
}

func TestEveryTruncation(t *testing.T) {
	_, data := small(t)
	t.Logf("an image of %d bytes", len(data))
	for n := range data {
		c, err := open(data[:n:n])
		if err == nil {
			t.Fatalf("the image cut to %d of %d bytes was opened", n, len(data))
		}
		if !errors.Is(err, ErrNotImage) && !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		_ = c
	}
	// The same with a footer that says it is whole.
	foot := data[len(data)-footerSize:]
	for n := 0; n < len(data)-footerSize; n += 7 {
		cut := append(append([]byte{}, data[:n]...), foot...)
		if _, err := open(cut); err == nil {
			t.Fatalf("the image without bytes %d to %d was opened", n, len(data)-footerSize)
		}
	}
}

// TestFlips changes single bits all over an image: either it is refused, or
// verify finds the damage, or nothing that matters has changed.
func TestFlips(t *testing.T) {
	s, data := small(t)
	r := rand.New(rand.NewPCG(9, 10))
	var refused, found, harmless int
	for k := range 6000 {
		bad := bytes.Clone(data)
		at := k * len(data) / 6000
		bad[at] ^= 1 << r.IntN(8)
		c, err := open(bad)
		if err != nil {
			refused++
			continue
		}
		res, err := c.Verify(t.Context(), nil)
		if err != nil {
			t.Fatalf("byte %d: verify gave up: %v", at, err)
		}
		if len(res.Damaged) > 0 {
			found++
			continue
		}
		if err := s.same(c); err != nil {
			t.Fatalf("byte %d flipped, verify finds nothing, and %v", at, err)
		}
		harmless++
	}
	t.Logf("%d refused, %d found by verify, %d harmless (padding)", refused, found, harmless)
	if harmless > 120 {
		t.Errorf("%d flips are in bytes that nothing protects", harmless)
	}
}

// TestDamageIsPlaced damages one stored block and expects verify and ReadAt to
// name it, and only it.
func TestDamageIsPlaced(t *testing.T) {
	for _, level := range []string{CompressionNone, CompressionMedium} {
		s := newSample(t, level, 5<<20)
		data := s.write(t, desttest.NewMemory(), Options{})
		c, err := open(data)
		if err != nil {
			t.Fatal(err)
		}
		v := c.Disks()[0].Partitions[1]
		sp := &v.spaces[0]
		var tl tools
		var hit int64
		for hit = 7; !s.parts[1].stored[hit]; hit++ {
		}
		if err := v.readElements(&tl, sp, hit, 1); err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(data)
		bad[tl.elems[0].pos+int64(tl.elems[0].size)/2] ^= 0x10
		if c, err = open(bad); err != nil {
			t.Fatal(err)
		}
		res, err := c.Verify(t.Context(), nil)
		if err != nil || len(res.Damaged) != 1 {
			t.Fatalf("%s: %+v, %v", level, res, err)
		}
		want := block.Extent{Off: hit * 4096, Len: 4096}
		if d := res.Damaged[0]; d.Disk != 1 || d.Partition != 2 || d.Extent != want || !errors.Is(d.Err, ErrDamaged) {
			t.Errorf("%s: %+v, want partition 2 %v", level, d, want)
		}
		_, err = c.Disks()[0].Partitions[1].ReadAt(make([]byte, 100), want.Off+50)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprintf("block %d ", hit)) {
			t.Errorf("%s: a read of the block: %v", level, err)
		}
	}
}

// rewrite gives the image another JSON and index, with all hashes right, as an
// attacker would.
func rewrite(t testing.TB, data []byte, change func(doc *Document, index []byte)) []byte {
	t.Helper()
	c, err := open(data)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(data[:c.Doc.Header.IndexPosition])
	list := c.metas[:len(c.metas)-1]
	for _, m := range list {
		payload := bytes.Clone(data[m.pos : m.pos+m.size])
		if m.name == nameIndex {
			change(nil, payload)
			m.sum = md5.Sum(payload)
		}
		out = append(append(out, m.encode()...), payload...)
	}
	change(c.Doc, nil)
	text, err := json.Marshal(c.Doc)
	if err != nil {
		t.Fatal(err)
	}
	root := len(out)
	m, payload := newMeta(nameJSON, text, true)
	return append(append(append(out, m.encode()...), payload...), footer(int64(root))...)
}

func TestHostileDocuments(t *testing.T) {
	_, data := small(t)
	if _, err := open(rewrite(t, data, func(*Document, []byte) {})); err != nil {
		t.Fatalf("rewriting without a change: %v", err)
	}
	part := func(d *Document) *Partition { return &d.Disks[0].Partitions[0] }
	for name, change := range map[string]func(d *Document){
		"no disks":          func(d *Document) { d.Disks = nil },
		"index position":    func(d *Document) { d.Header.IndexPosition = 1 << 60 },
		"index position -1": func(d *Document) { d.Header.IndexPosition = -1 },
		"file number":       func(d *Document) { d.Header.FileNumber = 1 << 20 },
		"encrypted":         func(d *Document) { d.Encryption.Enable = true },
		"split":             func(d *Document) { d.Header.SplitFile = true },
		"incremental":       func(d *Document) { d.Header.BackupType = "inc" },
		"files and folders": func(d *Document) { d.Header.BackupFormat = "file_and_folder" },
		"compression":       func(d *Document) { d.Compression.Level = "extreme" },
		"sector 0":          func(d *Document) { d.Disks[0].Geometry.BytesPerSector = 0 },
		"sector 513":        func(d *Document) { d.Disks[0].Geometry.BytesPerSector = 513 },
		"disk size":         func(d *Document) { d.Disks[0].Geometry.DiskSize = -5 },
		"disk too small":    func(d *Document) { d.Disks[0].Geometry.DiskSize = 4096 },
		"block size 0":      func(d *Document) { part(d).Header.BlockSize = 0 },
		"block size huge":   func(d *Document) { part(d).Header.BlockSize = 1 << 40 },
		"block size small":  func(d *Document) { part(d).Header.BlockSize = 4096 },
		"block size large":  func(d *Document) { part(d).Header.BlockSize = 128 << 10 },
		"start":             func(d *Document) { part(d).Geometry.Start = -512 },
		"length":            func(d *Document) { part(d).Geometry.Length = 1 << 62 },
		"length short":      func(d *Document) { part(d).Geometry.Length = 512 },
		"lcn0":              func(d *Document) { part(d).FileSystem.LCN0 = 1 << 50 },
		"lcn0 before start": func(d *Document) { part(d).FileSystem.LCN0 = 0 },
		"reserved":          func(d *Document) { part(d).FileSystem.ReservedLength = 5 << 20 },
		"reserved none":     func(d *Document) { part(d).FileSystem.ReservedLength = 0 },
		"boot sector":       func(d *Document) { part(d).Geometry.BootSectorOffset = 1 << 40 },
		"more partitions":   func(d *Document) { d.Disks[0].Partitions = append(d.Disks[0].Partitions, *part(d)) },
	} {
		bad := rewrite(t, data, func(d *Document, _ []byte) {
			if d != nil {
				change(d)
			}
		})
		c, err := open(bad)
		if err == nil {
			// A block size that is wrong but possible shows when blocks are read.
			res, verr := c.Verify(t.Context(), nil)
			if verr == nil && len(res.Damaged) == 0 {
				t.Errorf("%s: taken for good", name)
			}
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostileElements(t *testing.T) {
	_, data := small(t)
	for name, change := range map[string]func(e *element){
		"position negative": func(e *element) { e.pos = -1 },
		"position huge":     func(e *element) { e.pos = 1<<63 - 1 },
		"length huge":       func(e *element) { e.size = 1<<32 - 1 },
		"length one":        func(e *element) { e.size = 1 },
		"other file":        func(e *element) { e.file = 7 },
		"hash":              func(e *element) { e.sum[3] ^= 1 },
		"another block":     func(e *element) { e.pos = 0 },
	} {
		bad := rewrite(t, data, func(_ *Document, index []byte) {
			if index == nil || binary.LittleEndian.Uint32(index) != 0 {
				return // partition 2 is meant
			}
			raw := index[8 : 8+elementSize]
			var e element
			for e.size == 0 {
				raw = raw[:elementSize]
				e.decode(raw)
				if e.size == 0 {
					raw = raw[elementSize : 2*elementSize]
				}
			}
			change(&e)
			e.encode(raw)
		})
		c, err := open(bad)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		res, err := c.Verify(t.Context(), nil)
		if err != nil || len(res.Damaged) != 1 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	_, data := small(f)
	f.Add(data)
	f.Add(data[len(data)-3000:])
	f.Add(footer(0))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := open(data)
		if err != nil {
			return
		}
		_ = c.CheckIndex(t.Context())
		for _, d := range c.Disks() {
			for _, v := range d.Partitions {
				_, _ = v.ReadAt(make([]byte, 70_000), v.Size()/3)
				if v.Size() < 1<<26 {
					_, _ = v.Totals()
				}
			}
		}
	})
}
