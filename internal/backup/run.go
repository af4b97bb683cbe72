package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"ingot/internal/block"
	"ingot/internal/dest"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/pipeline"
)

// Result is what an image became.
type Result struct {
	Name    string `json:"file"`  // that holds the index
	Files   int64  `json:"files"` // it consists of, this one the last
	ImageID string `json:"image_id"`
	Type    string `json:"type"`
	Based   string `json:"based_on,omitempty"` // the file an incremental or differential needs
	Read    int64  `json:"read_bytes"`         // of the source
	Unread  int64  `json:"unread_bytes"`       // in use on the source, in blocks known to be as they were
	Changed int64  `json:"changed_bytes"`      // of these, in blocks that are stored
	Written int64  `json:"stored_bytes"`       // of the image file
	Resumed int64  `json:"resumed_bytes"`      // of these, that an earlier run had written
	// Bad are the ranges of the source that could not be read and are zeros in the
	// image, the first ones; BadBytes is how much all of them are.
	Bad      []BadRange `json:"unreadable,omitempty"`
	BadBytes int64      `json:"unreadable_bytes,omitempty"`
	// Parts says of the NTFS partitions how it was found what changed; nil where
	// nobody asked for more than to read all.
	Parts []PartResult `json:"partitions,omitempty"`
}

// run is one image under way.
type run struct {
	*Plan
	w       *image.Writer
	target  *Target
	meter   *job.Meter
	log     *job.Log
	doc     *image.Document
	changed int64
	unread  int64
	parts   []PartResult

	bad      []BadRange
	badBytes int64
}

// Run writes the image of a plan into store, as what target says; nil is a
// full. When it fails, or ctx ends, there is no file of that name.
func (p *Plan) Run(ctx context.Context, store dest.Store, target *Target, name Naming, log *job.Log) (*Result, error) {
	if target == nil {
		target = &Target{Type: image.TypeFull}
	}
	u, err := p.unfinished(ctx, store, target, name, log)
	if err != nil {
		return nil, err
	}
	res, err := p.run(ctx, store, target, name, u, log)
	if u != nil && err != nil && ctx.Err() == nil && !errors.Is(err, image.ErrPaused) {
		log.Note("the unfinished image %s is given up, and a new one begun: %v", u.Name, err)
		_ = u.Drop(ctx, store) // it may have gone already
		return p.run(ctx, store, target, name, nil, log)
	}
	return res, err
}

// run writes an image, going on with u, which may be nil.
func (p *Plan) run(ctx context.Context, store dest.Store, target *Target, name Naming, u *image.Unfinished, log *job.Log) (*Result, error) {
	doc, opts, err := p.begin(target, name, u)
	if err != nil {
		return nil, err
	}
	first := doc.Header.FileNumber
	w, err := image.Create(ctx, store, opts.PartName(first), doc, opts)
	if err != nil {
		return nil, err
	}
	r := &run{Plan: p, w: w, target: target, doc: doc, log: log, meter: log.Stage("image", p.Bytes)}
	if err := r.write(ctx); err != nil {
		return nil, w.Stop(err)
	}
	r.meter.End()
	if p.Source.Changed != nil {
		if err := p.Source.Changed(); err != nil {
			return nil, errors.Join(fmt.Errorf("the source did not hold still: %w", err), w.Abort())
		}
	}
	if err := w.Commit(ctx); err != nil {
		return nil, err
	}
	return &Result{
		Name: opts.PartName(doc.Header.FileNumber), Files: doc.Header.FileNumber - first + 1,
		ImageID: doc.Header.ImageID, Type: target.Type, Based: target.Based(), Resumed: w.Resumed(),
		Read: p.Bytes - r.unread, Unread: r.unread, Changed: r.changed, Written: w.Size(), Parts: r.parts,
		Bad: r.bad, BadBytes: r.badBytes,
	}, nil
}

func (r *run) write(ctx context.Context) error {
	l := r.Source.Layout
	if err := r.w.Disk(l.Track0, l.EBRs); err != nil {
		return err
	}
	for i := range r.Parts {
		r.meter.Object(r.Parts[i].Name())
		if err := r.writePart(ctx, i); err != nil {
			return fmt.Errorf("image %s: %w", r.Parts[i].Name(), err)
		}
	}
	return nil
}

// area is one of the rows of pieces a partition is stored in.
type area struct {
	area  image.Area
	base  int64 // of its first byte in the partition
	size  int64
	piece int64
	used  block.Map // relative to base
	zeros block.Map // what of used is stored as zeros
}

func (a *area) count() int64 { return (a.size + a.piece - 1) / a.piece }

// areas are the reserved area, where the file system has one, and the blocks.
func (part *Part) areas() (reserved, blocks area) {
	start := part.Info.DataStart
	reserved = area{image.Reserved, 0, start, image.ReservedPiece, block.Whole(start), block.Extents{}}
	rest := part.Len - start
	return reserved, area{image.Blocks, start, rest, part.BlockSize,
		block.Clip(part.Volume.Used(), start, rest), block.Clip(part.Volume.Zeroed(), start, rest)}
}

func (r *run) writePart(ctx context.Context, i int) error {
	part := &r.Parts[i]
	reserved, blocks := part.areas()
	if err := r.w.Begin(reserved.count(), blocks.count()); err != nil {
		return err
	}
	if err := r.writeArea(ctx, part, &reserved, &known{}); err != nil {
		return err
	}
	k, err := r.known(ctx, i)
	defer k.stop()
	if err != nil {
		return err
	}
	before := r.badBytes
	if err := r.writeArea(ctx, part, &blocks, k); err != nil {
		return err
	}
	if k.fast != nil && r.badBytes > before {
		k.fast.key.Source = image.SourceUnread // the next one is to try again
	}
	r.note(i, k.fast)
	return r.w.End()
}

// item is one window on its way through the pipeline.
type item struct {
	row
	held  []image.Known  // the memory of known
	read  []block.Extent // what of the row's used bytes is read; the rest becomes zeros
	enc   *image.Encoder
	raw   []byte
	batch image.Batch
	bad   []BadRange // what of it could not be read
}

func (r *run) writeArea(ctx context.Context, part *Part, a *area, k *known) error {
	next, stop := iter.Pull2(k.rows(windows(a.used, a.piece, max(image.Chunk/a.piece, 1)), a.piece))
	defer stop()
	zeros := newZeros(a.zeros)
	defer zeros.stop()
	encoder, err := r.w.Encoders(a.area)
	if err != nil {
		return err
	}
	workers := r.opts.Workers
	if workers == 0 {
		workers = pipeline.Items(2 * max(image.Chunk, a.piece)) // raw and stored
	}
	return pipeline.Run(ctx, workers, pipeline.Stages[item]{
		New: func() *item { return &item{enc: encoder()} },
		Read: func(it *item) error {
			row, err, ok := next()
			if !ok {
				return io.EOF
			}
			it.take(&row)
			if err == nil {
				it.batch.Prior, err = r.w.Prior(it.batch.Prior[:0], a.area, row.first, row.n)
			}
			it.read = zeros.leave(it.read[:0], it.used, it.first*a.piece)
			return err
		},
		// Reading is part of the work: with several reads under way, the disk
		// has the next one at hand while the cores compress.
		Work: func(it *item) error {
			it.bad = nil
			if it.same {
				it.batch.Keep(it.first, it.n)
				return nil
			}
			s := salvager{ctx: ctx, sector: r.Source.Layout.SectorSize, stop: r.opts.OnReadError == OnReadErrorStop}
			if err := a.read(part.reader, it, &s); err != nil {
				return err
			}
			it.bad = s.bad
			zeroFree(it.raw, it.read)
			it.enc.Encode(&it.batch, it.first, it.raw, int(a.piece), it.known)
			return nil
		},
		Write: func(it *item) error {
			var n int64
			for _, e := range it.read {
				n += e.Len
			}
			r.meter.Add(n)
			if err := r.lost(part, it.bad); err != nil {
				return err
			}
			if a.area == image.Blocks { // the reserved area is stored each time
				r.changed += it.batch.Changed(len(it.raw), int(a.piece))
			}
			k.fast.count(it, n)
			return r.w.Put(a.area, &it.batch)
		},
	})
}

// read fills the item with its window of the source: with one large read, or
// with one for each extent that matters when these are few. Should the large one
// fail, perhaps only free space is unreadable, or what becomes zeros, which nobody
// needs; of what does matter as much is read as can be.
func (a *area) read(r block.Reader, it *item, s *salvager) error {
	off := it.first * a.piece
	size := min(it.n*a.piece, a.size-off)
	if int64(cap(it.raw)) < size {
		it.raw = make([]byte, max(image.Chunk, size))
	}
	it.raw = it.raw[:size]
	var wanted int64
	for _, e := range it.read {
		wanted += e.Len
	}
	if wanted >= size/8 {
		if _, err := r.ReadAt(it.raw, a.base+off); err == nil {
			return nil
		}
	}
	s.r = r
	for _, e := range it.read {
		at := a.base + off + e.Off
		if err := s.read(it.raw[e.Off:e.End()], at); err != nil {
			return fmt.Errorf("read bytes %d to %d of the partition: %w", at, at+e.Len-1, err)
		}
	}
	return nil
}
