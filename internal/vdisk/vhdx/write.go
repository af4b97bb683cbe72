package vhdx

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"unicode/utf16"

	"ingot/internal/block"
	"ingot/internal/pipeline"
)

// Where Write puts things, in bytes: the log, which stays empty, the metadata,
// and the block table, with the blocks behind it.
const (
	logAt      = 1 * mib
	metadataAt = 2 * mib
	batAt      = 3 * mib
	creator    = "Ingot"
)

// maxTable is the size of a block table that Write keeps in memory.
const maxTable = 64 * mib

// window is what is read at a time, grain what is written or left out of it.
const (
	window = mib
	grain  = 64 * kib
)

// Options says how a disk is written.
type Options struct {
	// BlockSize is a power of two from 1 to 256 MiB. 0 is 32 MiB, as Windows
	// has it, and less for disks of less than 32 GiB, of which a file then
	// holds less that is free.
	BlockSize int64
	// Sector is the size of the virtual disk's sectors, 512 (for 0) or 4096.
	Sector int64
	// PhysicalSector is what the disk says its sectors really have. 0 is 4096.
	PhysicalSector int64
}

// Target is the file that Write fills: a new, empty one. *os.File is one.
type Target interface {
	io.WriterAt
	Truncate(size int64) error
}

// Write makes a dynamic VHDX of the bytes of r that lie in used; all others
// read as zeros. A size that is no multiple of a sector is rounded up. The bytes
// of used that were dealt with are told to progress (which may be nil) as they
// go. The file is not synced. When Write fails, what is in w is no VHDX.
func Write(ctx context.Context, w Target, o Options, r block.Reader, used block.Map, progress func(n int64)) error {
	if err := o.complete(r.Size()); err != nil {
		return fmt.Errorf("write VHDX: %w", err)
	}
	k := newWriter(w, o, r.Size())
	if err := k.copy(ctx, r, used, progress); err != nil {
		return fmt.Errorf("write VHDX: %w", err)
	}
	if err := k.finish(); err != nil {
		return fmt.Errorf("write VHDX: %w", err)
	}
	return nil
}

// complete fills in what was left open, for a disk of size bytes.
func (o *Options) complete(size int64) error {
	if o.Sector == 0 {
		o.Sector = 512
	}
	if o.PhysicalSector == 0 {
		o.PhysicalSector = 4096
	}
	if o.BlockSize == 0 {
		for o.BlockSize = mib; o.BlockSize < 32*mib && size/o.BlockSize >= 1024; o.BlockSize *= 2 {
		}
	}
	switch {
	case !possibleSector(o.Sector) || !possibleSector(o.PhysicalSector):
		return fmt.Errorf("sectors of %d bytes, %d physically: only 512 and 4096 can be", o.Sector, o.PhysicalSector)
	case !possibleBlock(o.BlockSize):
		return fmt.Errorf("blocks of %d bytes: only powers of two from 1 to 256 MiB can be", o.BlockSize)
	case size <= 0 || size > maxDisk:
		return fmt.Errorf("a disk of %d bytes: up to 64 TiB can be", size)
	case size/o.BlockSize > maxTable/16:
		return fmt.Errorf("blocks of %d bytes are too small for a disk of %d bytes", o.BlockSize, size)
	}
	return nil
}

// writer is a file in the making.
type writer struct {
	w     Target
	o     Options
	size  int64 // of the virtual disk
	table []byte
	ratio int64
	next  int64 // where the next block goes
}

func newWriter(w Target, o Options, size int64) *writer {
	k := &writer{w: w, o: o, size: (size + o.Sector - 1) / o.Sector * o.Sector, ratio: chunkSectors * o.Sector / o.BlockSize}
	n := (k.size + o.BlockSize - 1) / o.BlockSize
	k.table = make([]byte, 8*(n+(n-1)/k.ratio))
	k.next = batAt + k.batLength()
	return k
}

func (k *writer) batLength() int64 { return (int64(len(k.table)) + mib - 1) / mib * mib }

// piece is a window on its way from the source to the file.
type piece struct {
	off  int64
	buf  []byte // window bytes
	data []byte // those that were read, from off on
	used []block.Extent
	sum  int64
}

// copy moves what is used, in windows.
func (k *writer) copy(ctx context.Context, r block.Reader, used block.Map, progress func(int64)) error {
	next, stop := iter.Pull2(windows(block.Clip(used, 0, r.Size())))
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(window), pipeline.Stages[piece]{
		New: func() *piece { return &piece{buf: make([]byte, window)} },
		Read: func(p *piece) error {
			es, err, ok := next()
			if !ok {
				return io.EOF
			}
			p.used = append(p.used[:0], es...)
			return err
		},
		Work: func(p *piece) error { return p.read(r) },
		Write: func(p *piece) error {
			if progress != nil {
				defer progress(p.sum)
			}
			return k.put(p)
		},
	})
}

// windows cuts a map at the borders of windows: all extents of one at a time, in
// a slice that is used again.
func windows(m block.Map) iter.Seq2[[]block.Extent, error] {
	return func(yield func([]block.Extent, error) bool) {
		var es []block.Extent
		for e, err := range m.Extents() {
			if err != nil {
				yield(nil, err)
				return
			}
			for e.Len > 0 {
				if len(es) > 0 && es[0].Off/window != e.Off/window {
					if !yield(es, nil) {
						return
					}
					es = es[:0]
				}
				part := block.Extent{Off: e.Off, Len: min(e.Len, window-e.Off%window)}
				es = append(es, part)
				e = block.Extent{Off: part.End(), Len: e.Len - part.Len}
			}
		}
		if len(es) > 0 {
			yield(es, nil)
		}
	}
}

// read fills the piece: with one request from its first used byte to its last,
// or where that fails, and what is free may be why, with one for each extent.
// What is free becomes zeros.
func (p *piece) read(r block.Reader) error {
	first, last := p.used[0].Off, p.used[len(p.used)-1].End()
	p.off, p.data = first, p.buf[:last-first]
	if err := readFull(r, p.data, first); err == nil {
		p.blank()
		return nil
	} else if len(p.used) == 1 {
		return err
	}
	clear(p.data)
	for _, e := range p.used {
		if err := readFull(r, p.data[e.Off-first:][:e.Len], e.Off); err != nil {
			return err
		}
	}
	p.blank()
	return nil
}

// blank sets what lies between the extents to zeros, and sums the extents.
func (p *piece) blank() {
	p.sum = 0
	end := p.off
	for _, e := range p.used {
		clear(p.data[end-p.off : e.Off-p.off])
		end = e.End()
		p.sum += e.Len
	}
}

// put writes those grains of a piece that are not zeros.
func (k *writer) put(p *piece) error {
	for from := 0; from < len(p.data); {
		to := from
		for to < len(p.data) && !allZero(p.data[to:min(to+grain, len(p.data))]) {
			to = min(to+grain, len(p.data))
		}
		if to == from {
			from += grain
			continue
		}
		off := p.off + int64(from)
		if _, err := k.w.WriteAt(p.data[from:to], k.place(off)); err != nil {
			return fmt.Errorf("write %d bytes of the disk's byte %d: %w", to-from, off, err)
		}
		from = to
	}
	return nil
}

func allZero(b []byte) bool {
	var zeros [4 * kib]byte
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

// place is where a byte of the disk goes; its block gets a place if it has none.
func (k *writer) place(off int64) int64 {
	b := off / k.o.BlockSize
	entry := k.table[8*(b+b/k.ratio):]
	v := binary.LittleEndian.Uint64(entry)
	if v == 0 {
		v = uint64(k.next) | statePresent
		binary.LittleEndian.PutUint64(entry, v)
		k.next += k.o.BlockSize
	}
	return int64(v&^7) + off%k.o.BlockSize
}

// finish writes everything that is not a block, the headers last.
func (k *writer) finish() error {
	if err := k.w.Truncate(k.next); err != nil {
		return err
	}
	regions := k.regionTable()
	parts := []struct {
		off int64
		b   []byte
	}{
		{batAt, k.table}, {metadataAt, k.metadata()},
		{regionAt0, regions}, {regionAt1, regions},
		{0, append([]byte(fileMark), encodeUTF16(creator)...)},
		{headerAt0, nil}, {headerAt1, nil},
	}
	file, data := newGUID(), newGUID()
	parts[5].b, parts[6].b = headerBytes(1, file, data), headerBytes(2, file, data)
	for _, p := range parts {
		if _, err := k.w.WriteAt(p.b, p.off); err != nil {
			return err
		}
	}
	return nil
}

func headerBytes(sequence uint64, file, data guid) []byte {
	b := make([]byte, headerSize)
	copy(b, headerMark)
	binary.LittleEndian.PutUint64(b[8:], sequence)
	copy(b[16:], file[:])
	copy(b[32:], data[:])
	binary.LittleEndian.PutUint16(b[66:], formatNumber)
	binary.LittleEndian.PutUint32(b[68:], mib)
	binary.LittleEndian.PutUint64(b[72:], logAt)
	binary.LittleEndian.PutUint32(b[4:], checksum(b))
	return b
}

func (k *writer) regionTable() []byte {
	b := make([]byte, tableSize)
	copy(b, regionMark)
	binary.LittleEndian.PutUint32(b[8:], 2)
	for i, g := range []region{{regionBAT(), batAt, k.batLength(), true}, {regionMetadata(), metadataAt, mib, true}} {
		e := b[16+32*i:]
		copy(e, g.id[:])
		binary.LittleEndian.PutUint64(e[16:], uint64(g.off))
		binary.LittleEndian.PutUint32(e[24:], uint32(g.len))
		e[28] = 1
	}
	binary.LittleEndian.PutUint32(b[4:], checksum(b))
	return b
}

// metadata is the used part of the metadata region.
func (k *writer) metadata() []byte {
	le := binary.LittleEndian
	id := newGUID()
	return metadataBytes([]metadataItem{
		{itemFileParameters(), le.AppendUint32(le.AppendUint32(nil, uint32(k.o.BlockSize)), 0), flagRequired},
		{itemSize(), le.AppendUint64(nil, uint64(k.size)), flagVirtual | flagRequired},
		{itemDiskID(), id[:], flagVirtual | flagRequired},
		{itemLogicalSector(), le.AppendUint32(nil, uint32(k.o.Sector)), flagVirtual | flagRequired},
		{itemPhysicalSector(), le.AppendUint32(nil, uint32(k.o.PhysicalSector)), flagVirtual | flagRequired},
	})
}

type metadataItem struct {
	id    guid
	data  []byte
	flags uint32
}

// metadataBytes is a metadata table with its items behind it.
func metadataBytes(items []metadataItem) []byte {
	b := make([]byte, tableSize)
	copy(b, metadataMark)
	binary.LittleEndian.PutUint16(b[10:], uint16(len(items)))
	for i, it := range items {
		e := b[32+32*i:][:32]
		copy(e, it.id[:])
		binary.LittleEndian.PutUint32(e[16:], uint32(len(b)))
		binary.LittleEndian.PutUint32(e[20:], uint32(len(it.data)))
		binary.LittleEndian.PutUint32(e[24:], it.flags)
		b = append(b, it.data...)
	}
	return b
}

func encodeUTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
