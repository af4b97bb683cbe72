package vhd

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"ingot/internal/block"
	"ingot/internal/pipeline"
)

const (
	// writeBlock is what all programs use.
	writeBlock = 2 << 20
	// maxDynamic is the largest dynamic disk (specification, "Current Size", and
	// the limit of Windows), in bytes.
	maxDynamic = 2040 << 30
	// window is what is read at a time, grain what is written or left out of it.
	window = 1 << 20
	grain  = 64 << 10
	// creator is that of Windows: its disks are as large as they say, to all
	// programs. QEMU and others take the size of most other disks from the
	// geometry, which is smaller.
	creator        = "win "
	creatorVersion = 0x000a0000
	creatorSystem  = "Wi2k"
)

// Options say how a disk is written. The zero value is a dynamic disk.
type Options struct {
	// Fixed stores all sectors of the disk in their places.
	Fixed bool
	// Time is when the disk was made; the zero time is now.
	Time time.Time
}

// Write makes a VHD of the disk r in w: of its size bytes those that used holds
// and that are not zeros; all others read as zeros. w must be empty or read as
// zeros, and is not synced. size is a multiple of 512, of a dynamic disk at most
// 2,040 GiB. progress is told how many bytes of used are done, and may be nil.
// The footer comes last.
func Write(ctx context.Context, w io.WriterAt, size int64, r block.Reader, used block.Map, opts Options, progress func(int64)) error {
	if size <= 0 || size%sectorSize != 0 || size > maxDisk || !opts.Fixed && size > maxDynamic {
		return fmt.Errorf("write VHD: a disk of %d bytes: it must be a multiple of 512, at most %d", size, int64(maxDynamic))
	}
	if progress == nil {
		progress = func(int64) {}
	}
	if opts.Time.IsZero() {
		opts.Time = time.Now()
	}
	k := newWriter(w, size, opts)
	if err := k.copy(ctx, r, used, progress); err != nil {
		return fmt.Errorf("write VHD: %w", err)
	}
	if err := k.finish(); err != nil {
		return fmt.Errorf("write VHD: %w", err)
	}
	return nil
}

// writer is a file in the making.
type writer struct {
	w     io.WriterAt
	o     Options
	size  int64
	table []uint32 // nil for a fixed disk
	next  int64    // where the next block goes, at last the footer
}

func newWriter(w io.WriterAt, size int64, o Options) *writer {
	k := &writer{w: w, o: o, size: size, next: size}
	if o.Fixed {
		return k
	}
	k.table = make([]uint32, (size+writeBlock-1)/writeBlock)
	for i := range k.table {
		k.table[i] = noBlock
	}
	k.next = tableAt + k.tableLength()
	return k
}

// tableAt is where the table of blocks goes, behind the copy of the footer and
// the header.
const tableAt = footerSize + headerSize

func (k *writer) tableLength() int64 {
	return (4*int64(len(k.table)) + sectorSize - 1) / sectorSize * sectorSize
}

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
	at, err := k.place(off)
	if err == nil {
		_, err = k.w.WriteAt(b, at)
	}
	if err != nil {
		return fmt.Errorf("store %d bytes of byte %d of the disk: %w", len(b), off, err)
	}
	return nil
}

// place is where a byte of the disk goes. Its block gets a place if it has none,
// and a bitmap that says that all its sectors are there.
func (k *writer) place(off int64) (int64, error) {
	if k.table == nil {
		return off, nil
	}
	b := off / writeBlock
	if k.table[b] == noBlock {
		k.table[b] = uint32(k.next / sectorSize)
		if _, err := k.w.WriteAt(bytes.Repeat([]byte{0xff}, sectorSize), k.next); err != nil {
			return 0, err
		}
		k.next += sectorSize + writeBlock
	}
	return int64(k.table[b])*sectorSize + sectorSize + off%writeBlock, nil
}

// finish writes what is no block, the footer last.
func (k *writer) finish() error {
	foot := k.footer()
	if k.table != nil {
		table := bytes.Repeat([]byte{0xff}, int(k.tableLength()))
		for i, at := range k.table {
			binary.BigEndian.PutUint32(table[4*i:], at)
		}
		front := append(append(bytes.Clone(foot), k.header()...), table...)
		if _, err := k.w.WriteAt(front, 0); err != nil {
			return err
		}
	}
	_, err := k.w.WriteAt(foot, k.next)
	return err
}

func (k *writer) footer() []byte {
	be := binary.BigEndian
	b := make([]byte, footerSize)
	copy(b, footerMark)
	be.PutUint32(b[8:], 2) // reserved, always set
	be.PutUint32(b[12:], version1)
	be.PutUint64(b[16:], noOffset)
	be.PutUint32(b[60:], typeFixed)
	if k.table != nil {
		be.PutUint64(b[16:], footerSize)
		be.PutUint32(b[60:], typeDynamic)
	}
	be.PutUint32(b[24:], uint32(max(k.o.Time.Sub(epoch())/time.Second, 0)))
	copy(b[28:], creator)
	be.PutUint32(b[32:], creatorVersion)
	copy(b[36:], creatorSystem)
	be.PutUint64(b[40:], uint64(k.size))
	be.PutUint64(b[48:], uint64(k.size))
	g := chs(k.size / sectorSize)
	be.PutUint16(b[56:], g.cylinders)
	b[58], b[59] = g.heads, g.track
	rand.Read(b[68:84])
	be.PutUint32(b[64:], checksum(b, 64))
	return b
}

func (k *writer) header() []byte {
	be := binary.BigEndian
	b := make([]byte, headerSize)
	copy(b, headerMark)
	be.PutUint64(b[8:], noOffset)
	be.PutUint64(b[16:], tableAt)
	be.PutUint32(b[24:], version1)
	be.PutUint32(b[28:], uint32(len(k.table)))
	be.PutUint32(b[32:], writeBlock)
	be.PutUint32(b[36:], checksum(b, 36))
	return b
}
