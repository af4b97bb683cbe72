package vhdx

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// made is a VHDX in memory that grows as it is written to.
type made struct{ b []byte }

func (m *made) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[off:], p), nil
}

func (m *made) save(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, m.b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// open opens it as a disk without parents.
func (m *made) open() (*Disk, error) {
	return Open(bytes.NewReader(m.b), int64(len(m.b)), "", nil)
}

func (m *made) dataWrite() guid { return guid(m.b[headerAt1+32:][:16]) }

// make writes a disk.
func makeDisk(t testing.TB, src vdisktest.Disk, o Options) *made {
	t.Helper()
	m := &made{}
	if err := Write(context.Background(), m, src.Size(), src, src.Used(512), o, nil); err != nil {
		t.Fatal(err)
	}
	return m
}

// resum puts the checksums of headers and region tables right.
func (m *made) resum() {
	for at, n := range map[int]int{headerAt0: headerSize, headerAt1: headerSize, regionAt0: tableSize, regionAt1: tableSize} {
		if len(m.b) >= at+n {
			b := m.b[at:][:n]
			binary.LittleEndian.PutUint32(b[4:], checksum(b))
		}
	}
}

// locator is a parent locator with keys and values.
func locatorBytes(pairs ...string) []byte {
	id := locatorVHDX()
	b := append(id[:], 0, 0, byte(len(pairs)/2), 0)
	at := len(b) + 12*len(pairs)/2
	var texts []byte
	for i := 0; i < len(pairs); i += 2 {
		key, value := encodeUTF16(pairs[i]), encodeUTF16(pairs[i+1])
		b = binary.LittleEndian.AppendUint32(b, uint32(at+len(texts)))
		b = binary.LittleEndian.AppendUint32(b, uint32(at+len(texts)+len(key)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(key)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		texts = append(append(texts, key...), value...)
	}
	return append(b, texts...)
}

// makeChild makes a differencing disk: of its sectors those that are not the
// parent's. A block that differs all over is there whole; of others the sectors
// that are the parent's hold garbage.
func makeChild(t testing.TB, src, parent vdisktest.Disk, o Options, locator []byte) *made {
	t.Helper()
	if err := o.complete(src.Size()); err != nil {
		t.Fatal(err)
	}
	le, id := binary.LittleEndian, newGUID()
	k := newWriter(nil, o, src.Size())
	d := Disk{meta: metadata{block: o.BlockSize, size: src.Size(), logical: o.Sector, hasParent: true}}
	k.table = make([]byte, 8*d.entries())
	m := &made{}
	k.w, k.next = m, batAt+k.batLength()
	for b := range d.count() {
		makeBlock(k, m, &d, b, src, parent)
	}
	if err := k.finish(); err != nil {
		t.Fatal(err)
	}
	clear(m.b[metadataAt : metadataAt+mib])
	items := metadataBytes([]metadataItem{
		{itemFileParameters(), le.AppendUint32(le.AppendUint32(nil, uint32(o.BlockSize)), flagHasParent), flagRequired},
		{itemSize(), le.AppendUint64(nil, uint64(src.Size())), flagVirtual | flagRequired},
		{itemDiskID(), id[:], flagVirtual | flagRequired},
		{itemLogicalSector(), le.AppendUint32(nil, uint32(o.Sector)), flagVirtual | flagRequired},
		{itemPhysicalSector(), le.AppendUint32(nil, uint32(o.PhysicalSector)), flagVirtual | flagRequired},
		{itemParentLocator(), locator, flagRequired},
	})
	copy(m.b[metadataAt:], items)
	return m
}

// makeBlock adds one block to a child that is being made.
func makeBlock(k *writer, m *made, d *Disk, b int64, src, parent vdisktest.Disk) {
	off := b * d.meta.block
	n := min(d.meta.block, src.Size()-off)
	data := bytes.Repeat([]byte{0xdb}, int(d.meta.block))
	bits := make([]byte, d.meta.block/d.meta.logical/8)
	all, none := true, true
	for s := int64(0); s*d.meta.logical < n; s++ {
		at := off + s*d.meta.logical
		mine := src[at:][:d.meta.logical]
		var theirs []byte
		if at < parent.Size() {
			theirs = parent[at:min(at+d.meta.logical, parent.Size())]
		}
		same := bytes.Equal(mine, append(bytes.Clone(theirs), make([]byte, int(d.meta.logical)-len(theirs))...))
		if same {
			all = false
			continue
		}
		none = false
		bits[s/8] |= 1 << (s % 8)
		copy(data[s*d.meta.logical:], mine)
	}
	r := d.ratio()
	entry := k.table[8*(b+b/r):]
	switch {
	case none:
		return
	case block.Zeros(src[off:][:n]):
		binary.LittleEndian.PutUint64(entry, stateZero+uint64(b%2)) // or unmapped
		return
	case all:
		binary.LittleEndian.PutUint64(entry, uint64(k.next)|statePresent)
	default:
		binary.LittleEndian.PutUint64(entry, uint64(k.next)|statePartial)
	}
	_, _ = m.WriteAt(data, k.next)
	k.next += d.meta.block
	chunk := k.table[8*((b/r+1)*(r+1)-1):]
	if binary.LittleEndian.Uint64(chunk) == 0 {
		binary.LittleEndian.PutUint64(chunk, uint64(k.next)|statePresent)
		_, _ = m.WriteAt(make([]byte, bitmapSize), k.next)
		k.next += bitmapSize
	}
	at := int64(binary.LittleEndian.Uint64(chunk)&^(mib-1)) + b%r*int64(len(bits))
	_, _ = m.WriteAt(bits, at)
	k.end = k.next
}

// change is one descriptor of a log entry: a page, or zeros when data is nil.
type change struct {
	off  int64
	data []byte
	zero int64
}

// logEntry makes the bytes of a log entry ([MS-VHDX] 2.3.1).
func logEntry(id guid, sequence uint64, tail, flushed, last int64, changes ...change) []byte {
	le := binary.LittleEndian
	e := entry{descriptors: int64(len(changes))}
	b := make([]byte, e.dataStart())
	for i, c := range changes {
		d := b[entryHeaderSize+descriptorSize*i:]
		le.PutUint64(d[16:], uint64(c.off))
		le.PutUint64(d[24:], sequence)
		if c.data == nil {
			copy(d, zeroMark)
			le.PutUint64(d[8:], uint64(c.zero))
			continue
		}
		copy(d, descriptorMark)
		copy(d[4:], c.data[pageSize-4:])
		copy(d[8:], c.data[:8])
		s := make([]byte, sectorSize)
		copy(s, dataMark)
		le.PutUint32(s[4:], uint32(sequence>>32))
		copy(s[8:], c.data[8:pageSize-4])
		le.PutUint32(s[sectorSize-4:], uint32(sequence))
		b = append(b, s...)
	}
	copy(b, entryMark)
	le.PutUint32(b[8:], uint32(len(b)))
	le.PutUint32(b[12:], uint32(tail))
	le.PutUint64(b[16:], sequence)
	le.PutUint32(b[24:], uint32(len(changes)))
	copy(b[32:], id[:])
	le.PutUint64(b[48:], uint64(flushed))
	le.PutUint64(b[56:], uint64(last))
	le.PutUint32(b[4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// setLog has the headers name a log.
func (m *made) setLog(id guid) {
	for _, at := range []int{headerAt0, headerAt1} {
		copy(m.b[at+48:], id[:])
	}
	m.resum()
}

// putLog writes an entry into the log, over its end if need be.
func (m *made) putLog(pos int64, e []byte) {
	for i := 0; i < len(e); i += sectorSize {
		copy(m.b[logAt+(pos+int64(i))%mib:], e[i:i+sectorSize])
	}
}
