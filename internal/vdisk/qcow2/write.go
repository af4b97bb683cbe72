package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"ingot/internal/block"
	"ingot/internal/pipeline"
)

// What is written: clusters of 64 KiB and reference counts of 16 bits, which are
// what QEMU makes itself.
const (
	writeBits    = 16
	writeCluster = 1 << writeBits
	writeEntries = writeCluster / 8                 // of a second-level table
	writeSpan    = int64(writeEntries) << writeBits // of the disk, that one covers
	refEntries   = writeCluster / 2                 // of a block of reference counts
	refSpan      = int64(refEntries) << writeBits   // of the file, that one covers
	headerLength = 112
	// chunk is how much of the disk is read at a time.
	chunk = 1 << 20
	// maxSize is the largest disk: its first level is as long as is read.
	maxSize = maxL1 / 8 * writeSpan
)

// Options say how an image is written. The zero value stores clusters as they
// are.
type Options struct {
	// Compress stores clusters compressed with zstd where that makes them
	// smaller. QEMU reads them from version 5.1 on.
	Compress bool
}

// Write writes an image of the disk r to w: of its size bytes those that used
// holds and that are not zeros. w must be empty or read as zeros; what is
// written to it ascends, but for tables. size is a multiple of 512. progress is
// told how many bytes of used are done, and may be nil.
func Write(ctx context.Context, w io.WriterAt, size int64, r block.Reader, used block.Map, opts Options, progress func(int64)) error {
	if size <= 0 || size%512 != 0 || size > maxSize {
		return fmt.Errorf("write qcow2: a disk of %d bytes: it must be a multiple of 512, at most %d", size, int64(maxSize))
	}
	if progress == nil {
		progress = func(int64) {}
	}
	o := newOutput(w, size, opts)
	if err := o.copy(ctx, r, used, progress); err != nil {
		return err
	}
	if err := o.finish(); err != nil {
		return fmt.Errorf("write qcow2: %w", err)
	}
	return nil
}

// item is one piece of the disk on its way.
type item struct {
	piece    block.Piece
	buf      []byte
	clusters []cluster
	pack     *packer
}

// cluster is one to be stored.
type cluster struct {
	at     int64 // of the disk
	stored []byte
	packed bool
}

// copy takes the used pieces of the disk through the pipeline.
func (o *output) copy(ctx context.Context, r block.Reader, used block.Map, progress func(int64)) error {
	read, stop := pipeline.From(block.Pieces(used, writeCluster, chunk, o.size), func(it *item, p block.Piece) { it.piece = p })
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(2*chunk), pipeline.Stages[item]{
		New: func() *item {
			it := &item{buf: make([]byte, chunk)}
			if o.opts.Compress {
				it.pack = newPacker()
			}
			return it
		},
		Read: read,
		Work: func(it *item) error {
			if err := it.piece.Load(r, it.buf); err != nil {
				return err
			}
			return it.prepare()
		},
		Write: func(it *item) error {
			for i := range it.clusters {
				if err := o.put(&it.clusters[i]); err != nil {
					return fmt.Errorf("write qcow2: %w", err)
				}
			}
			progress(it.piece.Bytes())
			return nil
		},
	})
}

// prepare cuts the buffer into clusters, leaves out those of zeros and packs the
// others.
func (it *item) prepare() error {
	it.clusters = it.clusters[:0]
	if it.pack != nil {
		it.pack.reset()
	}
	for off := int64(0); off < it.piece.Len; off += writeCluster {
		raw := it.buf[off:min(off+writeCluster, it.piece.Len)]
		if block.Zeros(raw) {
			continue
		}
		c := cluster{at: it.piece.Off + off, stored: raw}
		if it.pack != nil {
			if len(raw) < writeCluster { // the last one of the disk
				clear(it.buf[it.piece.Len:][:writeCluster-len(raw)])
				raw = it.buf[off:][:writeCluster]
			}
			if p := it.pack.pack(raw); p != nil {
				c.stored, c.packed = p, true
			}
		}
		it.clusters = append(it.clusters, c)
	}
	return nil
}

// output is the image that is being written.
type output struct {
	w    io.WriterAt
	size int64
	opts Options
	err  error // the first one of writing; nothing is written after it

	end int64 // of the file: what is given out next, a multiple of the cluster
	l1  []uint64
	l2  []byte // of the stretch of the disk under way; nil: none
	row int64  // the number of that stretch

	refs    []byte  // the block of reference counts under way
	refsAt  []int64 // where the blocks are
	table   int64   // where their table is
	tableN  int64   // clusters of it
	packEnd int64   // where compressed clusters go on; 0: in a new cluster
}

// newOutput places header, first level and the table of reference counts, which
// is as large as the largest file needs.
func newOutput(w io.WriterAt, size int64, opts Options) *output {
	o := &output{w: w, size: size, opts: opts, row: -1}
	o.l1 = make([]uint64, (size+writeSpan-1)/writeSpan)
	// Packing may leave as much unused as there are tables.
	worst := size + int64(len(o.l1)+1)*2*writeCluster + o.l1Clusters()*writeCluster
	blocks := worst/refSpan + worst/refSpan/refEntries + 3
	o.tableN = (blocks*8 + writeCluster - 1) / writeCluster
	o.claim() // the header
	for range o.l1Clusters() {
		o.claim()
	}
	o.table = o.end
	for range o.tableN {
		o.claim()
	}
	return o
}

func (o *output) l1Clusters() int64 { return (int64(len(o.l1))*8 + writeCluster - 1) / writeCluster }

// put stores one cluster and enters it into the tables.
func (o *output) put(c *cluster) error {
	if row := c.at / writeSpan; row != o.row {
		o.endRow()
		o.row, o.l2 = row, make([]byte, writeCluster)
	}
	entry := uint64(flagPacked)
	if c.packed {
		entry |= o.storePacked(c.stored)
	} else {
		at := o.claim()
		o.write(c.stored, at)
		entry = uint64(at) | flagCopied
	}
	binary.BigEndian.PutUint64(o.l2[c.at%writeSpan>>writeBits*8:], entry)
	return o.err
}

// storePacked puts compressed bytes behind those before, in clusters of the file
// that hold nothing else, and returns their place and how many sectors they
// touch behind the first. A cluster of the file is counted once for each entry
// that touches it.
func (o *output) storePacked(b []byte) uint64 {
	n, start := int64(len(b)), o.packEnd
	if room := (writeCluster - start%writeCluster) % writeCluster; room < n {
		if next := o.claimEmpty(); start == 0 || room == 0 || next != start+room {
			start = next
		}
	}
	o.packEnd = start + n
	for at := start / writeCluster; at <= (start+n-1)/writeCluster; at++ {
		o.count(at * writeCluster)
	}
	o.write(b, start)
	const x = 62 - (writeBits - 8)
	return uint64(start) | uint64((start+n-1)/512-start/512)<<x
}

// endRow writes the second-level table under way.
func (o *output) endRow() {
	if o.l2 == nil {
		return
	}
	at := o.claim()
	o.l1[o.row] = uint64(at) | flagCopied
	o.write(o.l2, at)
	o.l2 = nil
}

func (o *output) write(b []byte, at int64) {
	if o.err != nil {
		return
	}
	if _, err := o.w.WriteAt(b, at); err != nil {
		o.err = fmt.Errorf("write %d bytes at byte %d of the file: %w", len(b), at, err)
	}
}

// finish writes the tables and, when all else is written, the header.
func (o *output) finish() error {
	o.endRow()
	if o.packEnd%writeCluster != 0 { // the file ends with a whole cluster
		o.write(make([]byte, writeCluster-o.packEnd%writeCluster), o.packEnd)
	}
	o.endRefs()
	b := make([]byte, o.l1Clusters()*writeCluster)
	for i, e := range o.l1 {
		binary.BigEndian.PutUint64(b[i*8:], e)
	}
	o.write(b, o.refsAt[0]+writeCluster)
	b = make([]byte, o.tableN*writeCluster)
	for i, at := range o.refsAt {
		binary.BigEndian.PutUint64(b[i*8:], uint64(at))
	}
	o.write(b, o.table)
	o.write(o.header(), 0)
	return o.err
}

// header is the first cluster of the file.
func (o *output) header() []byte {
	b := make([]byte, writeCluster)
	be := binary.BigEndian
	copy(b, Magic)
	be.PutUint32(b[4:], 3)
	be.PutUint32(b[20:], writeBits)
	be.PutUint64(b[24:], uint64(o.size))
	be.PutUint32(b[36:], uint32(len(o.l1)))
	be.PutUint64(b[40:], uint64(o.refsAt[0]+writeCluster))
	be.PutUint64(b[48:], uint64(o.table))
	be.PutUint32(b[56:], uint32(o.tableN))
	if o.opts.Compress {
		be.PutUint64(b[72:], featCompression)
		b[104] = 1
	}
	be.PutUint32(b[96:], 4) // reference counts of 1<<4 bits
	be.PutUint32(b[100:], headerLength)
	return b // zeros end the extensions
}
