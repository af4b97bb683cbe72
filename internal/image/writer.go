package image

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"ingot/internal/dest"
	"ingot/internal/image/internal/frame"
	"ingot/internal/image/internal/seal"
)

// ReservedPiece is how many bytes of a FAT volume's reserved area one index
// element covers.
const ReservedPiece = 4 << 20

// Writer writes one image file, front to back. It is not for concurrent use.
type Writer struct {
	doc  *Document
	file dest.Pending
	out  *bufio.Writer
	pos  int64 // in the file under way
	done int64 // bytes of the files before it
	base *Base // nil: a full

	split   *splitting // nil: one file
	log     *journal   // nil: what a run leaves behind cannot be gone on with
	replay  *replay    // nil: nothing was there
	ahead   int64      // how many blocks of replay have not come yet
	resumed int64      // bytes of the files that were there
	keys    *seal.Keys // nil: not encrypted
	seal    *fileSeal  // nil: not sealed
	mac     hash.Hash  // of the metadata of a sealed file, while it is written
	index   spool
	strong  spool
	marks   spool
	parts   []finishedPart
	cur     *openPart
	metas   [][]byte // of each disk: its encoded list, ready to write
	taken   *file    // nil, or the file whose other metadata goes into the new one as it is
	encode  func(*Document) ([]byte, error)
	err     error // the first one; nothing is written after it
}

// finishedPart is a partition whose index and hashes lie in the spools.
type finishedPart struct {
	disk   int
	index  section
	strong section
	marks  section
	others []metaBlock // of the file taken
}

// section is a part of a spool.
type section struct{ off, size int64 }

// openPart is the partition that is being written.
type openPart struct {
	counts        indexCounts // blocks: all there are
	next          [2]int64    // the number of the next piece, of each area
	index         int64       // where its payloads begin in the spools
	strong, marks int64
	countAt       int64     // where the number of its blocks stands
	elems         int64     // of its blocks, so far
	under         *underlay // nil: a full
}

// Area is one of the two rows of pieces a partition is stored in.
type Area int

// The reserved area comes first; only FAT volumes have one.
const (
	Reserved Area = iota
	Blocks
)

// Options of a Writer.
type Options struct {
	// TempDir is where the index of a large disk waits; "" is the system's
	// folder for temporary files.
	TempDir string
	// Base is what a differential or incremental is based on; nil makes a full.
	Base *Base
	// FullIndex has the index list all blocks, and not only those that changed:
	// such a file is larger, and is read without looking into those before it.
	FullIndex bool
	// Split is how large a file may become in bytes; 0 is without limit. A backup
	// that needs more is written as several files, of which the last has the
	// index.
	Split int64
	// PartName names the file of a number, of a backup that may become several; it
	// is asked for the first file too.
	PartName func(number int64) string
	// NextMedium has the backup fill the medium at the destination, and others
	// after it: it is asked to have the next one there, or one with more room, for
	// the part of that number, and told why. Each part is finished on its medium.
	NextMedium func(ctx context.Context, full error, number int64) error
	// Access has the password of an image whose document says that it is encrypted.
	Access *Access
	// Resumable has what was written outlive a run that is cut short, where the
	// store can do that, but for the last Flush (0: a minute).
	Resumable bool
	Flush     time.Duration
	// Resume goes on with an image that a run has left; it must fit.
	Resume *Unfinished
	// Rule names the rule by which it is decided what is stored: an image that was
	// begun by another one is not gone on with.
	Rule string
}

// Create begins the image file name in store. The positions and counts in doc
// are filled in by the Writer; everything else is the caller's.
func Create(ctx context.Context, store dest.Store, name string, doc *Document, opts Options) (*Writer, error) {
	keys, err := opts.Access.of(doc)
	if err != nil {
		return nil, err
	}
	doc.Header.DeltaIndex = opts.Base != nil && !opts.FullIndex
	w := newWriter(doc, keys, opts.TempDir)
	w.base = opts.Base
	if opts.Split > 0 || opts.NextMedium != nil {
		if w.split, err = newSplitting(ctx, store, doc, opts); err != nil {
			return nil, err
		}
	}
	if err := w.open(ctx, store, name, &opts); err != nil {
		return nil, err
	}
	if w.seal != nil && w.base != nil {
		w.seal.parent = w.base.Parent.own().seal.tag
	}
	return w, nil
}

func newWriter(doc *Document, keys *seal.Keys, temp string) *Writer {
	w := &Writer{
		doc: doc, keys: keys, encode: encodeDocument,
		index: spool{dir: temp}, strong: spool{dir: temp}, marks: spool{dir: temp},
	}
	if keys != nil && doc.Encryption.Sealed() {
		w.seal = new(fileSeal)
	}
	return w
}

// open begins the first file, or takes up those of an unfinished image.
func (w *Writer) open(ctx context.Context, store dest.Store, name string, opts *Options) error {
	if keeper, ok := store.(dest.Keeper); ok && (opts.Resumable || opts.Resume != nil) && opts.NextMedium == nil {
		w.log = newJournal(ctx, keeper, w.keys, opts.Flush)
		h := &w.doc.Header
		w.log.first = segmentHead{
			Version: journalVersion, Name: name, Began: time.Now(), ImageID: h.ImageID, GUID: h.BackupGUID,
			Asked: askedFor(w.doc, opts),
		}
	}
	if u := opts.Resume; u != nil {
		return w.takeUp(u)
	}
	err := w.begin(ctx, store, name)
	if errors.Is(err, dest.ErrNoKeep) {
		w.log = nil
		err = w.begin(ctx, store, name)
	}
	return err
}

// begin begins the next file.
func (w *Writer) begin(ctx context.Context, store dest.Store, name string) error {
	if w.log == nil {
		f, err := store.Create(ctx, name)
		if err == nil {
			w.into(f, f)
		}
		return err
	}
	f, err := w.log.begin(ctx, name)
	if err == nil {
		w.into(f, w.log)
	}
	return err
}

// into has what comes next go into f by way of out.
func (w *Writer) into(f dest.Pending, out io.Writer) {
	w.file, w.out, w.pos = f, bufio.NewWriterSize(out, 64<<10), 0
}

// Encoders gives a maker of Encoders for an area of the partition that was begun:
// what they make is bound to it. The maker may be used by several goroutines.
func (w *Writer) Encoders(a Area) (func() *Encoder, error) {
	level, err := frameLevel(w.doc.Compression.Level)
	if err != nil {
		return nil, err
	}
	var place seal.Place
	if w.keys != nil {
		id, err := w.doc.Header.imageID()
		if err != nil {
			return nil, err
		}
		d := &w.doc.Disks[len(w.metas)-1]
		place = seal.Place{
			ImageID: id, File: uint16(w.doc.Header.FileNumber), Disk: uint16(d.Header.Number),
			Partition: uint16(d.Partitions[w.partOfDisk()].Header.Number), Area: uint8(a),
		}
	}
	return func() *Encoder {
		e := &Encoder{frames: frame.NewEncoder(level), place: place, conceal: w.doc.Encryption.Conceal}
		if w.keys != nil {
			e.seal = w.keys.Worker()
		}
		return e
	}, nil
}

// Begin begins the next partition of the current disk, with so many pieces in
// its reserved area and so many blocks.
func (w *Writer) Begin(reserved, blocks int64) error {
	c := indexCounts{reserved, blocks}
	if c.size(deltaSize) > 1<<32-1 || blocks > 1<<31-1 {
		return w.fail(fmt.Errorf("write partition: %d blocks are more than an index can hold; choose a larger block size", blocks))
	}
	w.cur = &openPart{counts: c, index: w.index.size, strong: w.strong.size, marks: w.marks.size}
	if w.base != nil {
		var err error
		if w.cur.under, err = w.base.underlay(len(w.metas)-1, w.partOfDisk(), w.doc.Header.DeltaIndex); err != nil {
			return w.fail(err)
		}
	}
	return w.count(reserved)
}

// partOfDisk is the number of the current partition on the current disk, from 0.
func (w *Writer) partOfDisk() (n int) {
	for i := range w.parts {
		if w.parts[i].disk == len(w.metas)-1 {
			n++
		}
	}
	return n
}

func (w *Writer) count(n int64) error {
	_, err := w.index.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	return w.fail(err)
}

// Put stores a batch. Batches of an area come in ascending order; blocks that
// are left out between them are recorded as free. The reserved area is always
// stored whole, so that no later file names its pieces.
func (w *Writer) Put(a Area, b *Batch) error {
	if w.err != nil {
		return w.err
	}
	if a == Blocks {
		if err := w.endReserved(); err != nil {
			return err
		}
	}
	if err := w.skipTo(a, b.First); err != nil {
		return err
	}
	total := w.cur.counts.blocks
	if a == Reserved {
		total = w.cur.counts.reserved
	}
	if b.First+int64(len(b.Lens)) > total {
		return w.fail(fmt.Errorf("store blocks %d to %d: there are %d", b.First, b.First+int64(len(b.Lens))-1, total))
	}
	if err := w.store(a, b); err != nil {
		return w.fail(err)
	}
	w.cur.next[a] += int64(len(b.Lens))
	if w.log == nil || !w.log.due() {
		return nil
	}
	return w.fail(cmp.Or(w.out.Flush(), w.log.flush()))
}

// store appends the blocks of a batch to the file and to the index.
func (w *Writer) store(a Area, b *Batch) error {
	if b.moved {
		return ErrMoved
	}
	data := b.Data
	at := 0 // how much of data is in the files' turn
	for i, n := range b.Lens {
		if n == Same {
			if err := w.keep(a, b.First+int64(i)); err != nil {
				return err
			}
			continue
		}
		if w.split != nil && w.pos+int64(n) > w.split.room {
			if _, err := w.out.Write(data[:at]); err != nil {
				return err
			}
			data, at = data[at:], 0
			if err := w.nextPart(); err != nil {
				return err
			}
		}
		if b.prior(i) {
			w.ahead--
		} else if at += n; w.ahead > 0 {
			return fmt.Errorf("%w: block %d was not in use", ErrMoved, b.First+int64(i))
		}
		e := element{pos: w.pos, sum: b.Sums[i], size: uint32(n), file: uint16(w.doc.Header.FileNumber)}
		w.pos += int64(n)
		rec := record{piece: b.First + int64(i), element: e, strong: b.Strong[i], hasStrong: true, mark: b.Marks[i]}
		if err := w.put(a, &rec); err != nil {
			return err
		}
		switch {
		case w.log == nil:
		case !b.prior(i):
			w.log.note(len(w.parts), a, &rec)
		case w.ahead == 0:
			if err := w.caughtUp(); err != nil {
				return err
			}
		}
	}
	_, err := w.out.Write(data)
	return err
}

// Prior appends what an unfinished image that is gone on with holds already of n
// blocks of the partition that was begun. It is asked for ascending blocks, and
// may be while others are Put; nil without such an image.
func (w *Writer) Prior(out []Prior, a Area, first, n int64) ([]Prior, error) {
	if w.replay == nil {
		return nil, nil
	}
	return w.replay.prior(out, len(w.parts), a, first, n)
}

// put appends an element to the index, and its hash to those.
func (w *Writer) put(a Area, r *record) error {
	var raw [deltaSize]byte
	r.encode(raw[:])
	n := elementSize
	if a == Blocks {
		w.cur.elems++
		if w.doc.Header.DeltaIndex {
			binary.LittleEndian.PutUint32(raw[elementSize:], uint32(r.piece))
			n = deltaSize
		}
	}
	if _, err := w.index.Write(raw[:n]); err != nil {
		return w.fail(err)
	}
	if r.size == 0 {
		return nil
	}
	_, err := w.strong.Write(r.strong[:])
	if err == nil && w.seal != nil {
		_, err = w.marks.Write(r.mark[:])
	}
	return w.fail(err)
}

// keep records that a block is as in the parent.
func (w *Writer) keep(a Area, piece int64) error {
	if a == Reserved || w.cur.under == nil {
		return w.fail(fmt.Errorf("store block %d: there is no parent that has it", piece))
	}
	rec, must, err := w.cur.under.kept(piece)
	switch {
	case err != nil:
		return w.fail(err)
	case rec.size == 0:
		return w.fail(fmt.Errorf("store block %d: the parent does not hold it", piece))
	case !must:
		return nil
	}
	return w.put(a, &rec)
}

// skipTo records the blocks before number n as free.
func (w *Writer) skipTo(a Area, n int64) error {
	gap := n - w.cur.next[a]
	if gap < 0 {
		return w.fail(fmt.Errorf("store block %d: %d was stored before", n, w.cur.next[a]-1))
	}
	if a == Blocks && w.doc.Header.DeltaIndex {
		if err := w.free(w.cur.next[a], n); err != nil {
			return err
		}
	} else if err := writeGap(&w.index, gap, elementSize); err != nil {
		return w.fail(err)
	} else if a == Blocks {
		w.cur.elems += gap
	}
	w.cur.next[a] = n
	return nil
}

// free lists the blocks from number from on, and before end, as free in a delta
// index, where the files before it do not say so.
func (w *Writer) free(from, end int64) error {
	for w.cur.under != nil {
		piece, err := w.cur.under.listed(from, end)
		if err != nil {
			return w.fail(err)
		}
		if piece < 0 {
			return nil
		}
		if err := w.put(Blocks, &record{piece: piece}); err != nil {
			return err
		}
		from = piece + 1
	}
	return nil
}

// endReserved closes the reserved area of the partition and begins its blocks,
// once.
func (w *Writer) endReserved() error {
	if w.cur.next[Reserved] < 0 {
		return nil
	}
	if err := w.skipTo(Reserved, w.cur.counts.reserved); err != nil {
		return err
	}
	w.cur.next[Reserved] = -1
	w.cur.countAt = w.index.size
	return w.count(0) // End knows how many there are
}

// End finishes the partition; blocks not stored by now are free.
func (w *Writer) End() error {
	if w.err != nil {
		return w.err
	}
	if err := w.endReserved(); err != nil {
		return err
	}
	if err := w.skipTo(Blocks, w.cur.counts.blocks); err != nil {
		return err
	}
	if err := w.index.patch(w.cur.countAt, binary.LittleEndian.AppendUint32(nil, uint32(w.cur.elems))); err != nil {
		return w.fail(err)
	}
	w.parts = append(w.parts, finishedPart{
		disk:   len(w.metas) - 1,
		index:  section{w.cur.index, w.index.size - w.cur.index},
		strong: section{w.cur.strong, w.strong.size - w.cur.strong},
		marks:  section{w.cur.marks, w.marks.size - w.cur.marks},
	})
	w.cur = nil
	return nil
}
