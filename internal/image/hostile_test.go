package image

import (
	"bytes"
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
)

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
	list := c.files[0].metas[:len(c.files[0].metas)-1]
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
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrMissing) {
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
