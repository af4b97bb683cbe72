package vmdk

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"ingot/internal/block"
	"ingot/internal/pipeline"
)

// What is written: grains of 64 KiB in tables of 512, as VMware makes them.
const (
	writeGrain    = 128 * sector
	writePerTable = 512
	writeSpan     = writeGrain * writePerTable
	tableSize     = writePerTable * 4
	// chunk is how much of the disk is read at a time.
	chunk = 1 << 20
	// descriptorSectors is how long the descriptor inside is.
	descriptorSectors = 20
	// maxSize is the largest disk: a file has 2^32 sectors at most.
	maxSize = 2<<40 - writeSpan
)

// Options say how a disk is written. The zero value makes a monolithicSparse
// file, which programs write to.
type Options struct {
	// Stream makes a streamOptimized file: compressed, to be imported.
	Stream bool
	// Name is what the file will be called, without a folder.
	Name string
}

// Write writes a file of the disk r to w: of its size bytes those that used
// holds and that are not zeros. w must be empty or read as zeros. size is a
// multiple of 512. progress is told how many bytes of used are done, and may be
// nil.
func Write(ctx context.Context, w io.WriterAt, size int64, r block.Reader, used block.Map, opts Options, progress func(int64)) error {
	if size <= 0 || size%sector != 0 || size > maxSize {
		return fmt.Errorf("write VMDK: a disk of %d bytes: it must be a multiple of 512, at most %d", size, int64(maxSize))
	}
	if progress == nil {
		progress = func(int64) {}
	}
	o := newOutput(w, size, opts)
	if err := o.copy(ctx, r, used, progress); err != nil {
		return err
	}
	if err := o.finish(); err != nil {
		return fmt.Errorf("write VMDK: %w", err)
	}
	return nil
}

// item is one piece of the disk on its way.
type item struct {
	piece  block.Piece
	buf    []byte
	grains []grain
	pack   *packer
}

// grain is one to be stored.
type grain struct {
	at     int64 // of the disk
	stored []byte
}

// copy takes the used pieces of the disk through the pipeline.
func (o *output) copy(ctx context.Context, r block.Reader, used block.Map, progress func(int64)) error {
	read, stop := pipeline.From(block.Pieces(used, writeGrain, chunk, o.size), func(it *item, p block.Piece) { it.piece = p })
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(2*chunk), pipeline.Stages[item]{
		New: func() *item {
			it := &item{buf: make([]byte, chunk)}
			if o.opts.Stream {
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
			for i := range it.grains {
				if err := o.put(&it.grains[i]); err != nil {
					return fmt.Errorf("write VMDK: %w", err)
				}
			}
			progress(it.piece.Bytes())
			return nil
		},
	})
}

// prepare cuts the buffer into grains, leaves out those of zeros and packs the
// others. The last one of the disk is filled up with zeros.
func (it *item) prepare() error {
	it.grains = it.grains[:0]
	n := (it.piece.Len + writeGrain - 1) / writeGrain * writeGrain
	clear(it.buf[it.piece.Len:n])
	if it.pack != nil {
		it.pack.reset()
	}
	for off := int64(0); off < n; off += writeGrain {
		raw := it.buf[off:][:writeGrain]
		if block.Zeros(raw) {
			continue
		}
		g := grain{at: it.piece.Off + off, stored: raw}
		if it.pack != nil {
			var err error
			if g.stored, err = it.pack.pack(raw, g.at); err != nil {
				return err
			}
		}
		it.grains = append(it.grains, g)
	}
	return nil
}

// output is the file that is being written.
type output struct {
	w    io.WriterAt
	size int64
	opts Options
	err  error // the first one of writing; nothing is written after it

	end   int64    // of the file: what is written next
	dir   []uint32 // sectors of the grain tables
	table []byte   // the one under way; nil: none
	row   int64    // its number

	first, second int64 // of a file that is no stream: where the directories begin
	overhead      int64 // where its grains begin
}

// newOutput places what comes before the grains.
func newOutput(w io.WriterAt, size int64, opts Options) *output {
	o := &output{w: w, size: size, opts: opts, row: -1}
	o.dir = make([]uint32, (size+writeSpan-1)/writeSpan)
	if opts.Stream {
		o.end = writeGrain
		return o
	}
	// A redundant copy of directory and tables, and then the directory and tables
	// that count.
	o.first = (1 + descriptorSectors) * sector
	o.second = o.first + o.directorySize() + int64(len(o.dir))*tableSize
	end := o.second + o.directorySize() + int64(len(o.dir))*tableSize
	o.overhead = (end + writeGrain - 1) / writeGrain * writeGrain
	o.end = o.overhead
	return o
}

// directorySize is that of the grain directory in whole sectors, in bytes.
func (o *output) directorySize() int64 {
	return (int64(len(o.dir))*4 + sector - 1) / sector * sector
}

// put stores one grain and enters it into its table.
func (o *output) put(g *grain) error {
	if row := g.at / writeSpan; row != o.row {
		o.endTable()
		o.row, o.table = row, make([]byte, tableSize)
	}
	if o.end/sector+int64(len(g.stored))/sector > 1<<32-1 {
		return fmt.Errorf("the file would be longer than %d bytes", int64(2<<40))
	}
	binary.LittleEndian.PutUint32(o.table[g.at%writeSpan/writeGrain*4:], uint32(o.end/sector))
	o.append(g.stored)
	return o.err
}

// append writes at the end of the file, and goes on at the next sector.
func (o *output) append(b []byte) {
	o.write(b, o.end)
	o.end += (int64(len(b)) + sector - 1) / sector * sector
}

func (o *output) write(b []byte, at int64) {
	if o.err != nil {
		return
	}
	if _, err := o.w.WriteAt(b, at); err != nil {
		o.err = fmt.Errorf("write %d bytes at byte %d of the file: %w", len(b), at, err)
	}
}

// endTable writes the grain table under way: behind its grains in a stream, else
// in its two places.
func (o *output) endTable() {
	if o.table == nil {
		return
	}
	if o.opts.Stream {
		o.append(marker(markTable, tableSize))
		o.dir[o.row] = uint32(o.end / sector)
		o.append(o.table)
	} else {
		o.write(o.table, o.first+o.directorySize()+o.row*tableSize)
		o.write(o.table, o.second+o.directorySize()+o.row*tableSize)
	}
	o.table = nil
}

// marker is one of n bytes of metadata in a stream.
func marker(kind uint32, n int64) []byte {
	b := make([]byte, sector)
	binary.LittleEndian.PutUint64(b, uint64((n+sector-1)/sector))
	binary.LittleEndian.PutUint32(b[12:], kind)
	return b
}

// directory is the grain directory, for tables that follow it when from is not 0.
func (o *output) directory(from int64) []byte {
	b := make([]byte, o.directorySize())
	for i, at := range o.dir {
		if from != 0 {
			at = uint32((from + o.directorySize() + int64(i)*tableSize) / sector)
		}
		binary.LittleEndian.PutUint32(b[i*4:], at)
	}
	return b
}

// finish writes what is left, and last what makes the file a disk: the footer
// of a stream, the header of the other.
func (o *output) finish() error {
	o.endTable()
	cid := rand.Uint32()>>1 | 1
	text := make([]byte, descriptorSectors*sector)
	copy(text, o.descriptor(cid))
	o.write(text, sector)
	if o.opts.Stream {
		o.write(o.header(flagNewline|flagCompressed|flagMarkers, atEnd), 0)
		o.append(marker(markDirectory, o.directorySize()))
		at := o.end
		o.append(o.directory(0))
		o.append(marker(markFooter, sector))
		o.append(o.header(flagNewline|flagCompressed|flagMarkers, uint64(at)))
		o.append(marker(markEnd, 0))
		return o.err
	}
	o.write(o.directory(o.first), o.first)
	o.write(o.directory(o.second), o.second)
	if o.end == o.overhead { // no grain makes the file as long as it says
		o.write([]byte{0}, o.end-1)
	}
	o.write(o.header(flagNewline|flagRedundant, uint64(o.second)), 0)
	return o.err
}

// header is that of the sparse extent.
func (o *output) header(flags uint32, directory uint64) []byte {
	b := make([]byte, sector)
	le := binary.LittleEndian
	copy(b, Magic)
	version, overhead := uint32(1), o.overhead
	if o.opts.Stream {
		version, overhead = 3, writeGrain
		le.PutUint16(b[77:], 1)
	}
	if directory != atEnd {
		directory /= sector
	}
	le.PutUint32(b[4:], version)
	le.PutUint32(b[8:], flags)
	le.PutUint64(b[12:], uint64(o.size/sector))
	le.PutUint64(b[20:], writeGrain/sector)
	le.PutUint64(b[28:], 1)
	le.PutUint64(b[36:], descriptorSectors)
	le.PutUint32(b[44:], writePerTable)
	if flags&flagRedundant != 0 {
		le.PutUint64(b[48:], uint64(o.first/sector))
	}
	le.PutUint64(b[56:], directory)
	le.PutUint64(b[64:], uint64(overhead/sector))
	copy(b[73:], "\n \r\n") // what a transfer as text would change
	return b
}

// descriptor is the text inside.
func (o *output) descriptor(cid uint32) string {
	kind := "monolithicSparse"
	if o.opts.Stream {
		kind = "streamOptimized"
	}
	return fmt.Sprintf(`%s
version=1
CID=%08x
parentCID=%s
createType="%s"

# Extent description
RW %d SPARSE "%s"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "7"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.adapterType = "lsilogic"
`, descriptorMark, cid, noParent, kind, o.size/sector, o.opts.Name, max(o.size/sector/255/63, 1))
}
