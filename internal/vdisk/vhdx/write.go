package vhdx

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
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

// Write makes a dynamic VHDX of the disk r in w: of its size bytes those that
// used holds and that are not zeros; all others read as zeros. w must be empty or
// read as zeros, and is not synced. size is a multiple of the sector. progress is
// told how many bytes of used are done, and may be nil. The file begins to be a
// VHDX with the last writes.
func Write(ctx context.Context, w io.WriterAt, size int64, r block.Reader, used block.Map, opts Options, progress func(int64)) error {
	if err := opts.complete(size); err != nil {
		return fmt.Errorf("write VHDX: %w", err)
	}
	if progress == nil {
		progress = func(int64) {}
	}
	k := newWriter(w, opts, size)
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
	case size%o.Sector != 0:
		return fmt.Errorf("a disk of %d bytes with sectors of %d", size, o.Sector)
	case size/o.BlockSize > maxTable/16:
		return fmt.Errorf("blocks of %d bytes are too small for a disk of %d bytes", o.BlockSize, size)
	}
	return nil
}

// writer is a file in the making.
type writer struct {
	w     io.WriterAt
	o     Options
	size  int64 // of the virtual disk
	table []byte
	ratio int64
	next  int64 // where the next block goes
	end   int64 // of what was written so far
}

func newWriter(w io.WriterAt, o Options, size int64) *writer {
	k := &writer{w: w, o: o, size: size, ratio: chunkSectors * o.Sector / o.BlockSize}
	n := (size + o.BlockSize - 1) / o.BlockSize
	k.table = make([]byte, 8*(n+(n-1)/k.ratio))
	k.next = batAt + k.batLength()
	return k
}

func (k *writer) batLength() int64 { return (int64(len(k.table)) + mib - 1) / mib * mib }

// load is one piece of the disk on its way, and what of it is to be stored,
// relative to the piece.
type load struct {
	piece block.Piece
	buf   []byte
	keep  []block.Extent
}

// copy takes the used pieces of the disk through the pipeline.
func (k *writer) copy(ctx context.Context, r block.Reader, used block.Map, progress func(int64)) error {
	read, stop := pipeline.From(block.Pieces(used, grain, window, min(k.size, r.Size())), func(it *load, p block.Piece) { it.piece = p })
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(window), pipeline.Stages[load]{
		New:  func() *load { return &load{buf: make([]byte, window)} },
		Read: read,
		Work: func(it *load) error {
			if err := it.piece.Load(r, it.buf); err != nil {
				return err
			}
			it.keep = it.piece.Filled(it.buf, grain, it.keep[:0])
			return nil
		},
		Write: func(it *load) error {
			for _, e := range it.keep {
				if err := k.put(it.piece.Off+e.Off, it.buf[e.Off:e.End()]); err != nil {
					return err
				}
			}
			progress(it.piece.Bytes())
			return nil
		},
	})
}

// put stores bytes of the disk, which lie in one block.
func (k *writer) put(off int64, b []byte) error {
	at := k.place(off)
	if _, err := k.w.WriteAt(b, at); err != nil {
		return fmt.Errorf("store %d bytes of byte %d of the disk: %w", len(b), off, err)
	}
	k.end = max(k.end, at+int64(len(b)))
	return nil
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
	if k.end < k.next { // a block has its whole size in the file
		if _, err := k.w.WriteAt([]byte{0}, k.next-1); err != nil {
			return err
		}
	}
	regions, file, data := k.regionTable(), newGUID(), newGUID()
	parts := []struct {
		off int64
		b   []byte
	}{
		{batAt, k.table}, {metadataAt, k.metadata()},
		{regionAt0, regions}, {regionAt1, regions},
		{0, append([]byte(fileMark), encodeUTF16(creator)...)},
		{headerAt0, headerBytes(1, file, data)}, {headerAt1, headerBytes(2, file, data)},
	}
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
