package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ingot/internal/dest"
)

// splitting is what a Writer needs to write one backup as several files.
type splitting struct {
	ctx   context.Context // of the run that writes them
	store dest.Store
	name  func(number int64) string
	room  int64 // how many bytes of data and lists a file can take
	parts []part

	// Of a backup that may need several media:
	next    func(ctx context.Context, full error, number int64) error // asks for the next one; nil: there is one only
	most    int64                                                     // Options.Split
	reserve int64                                                     // what the end of a part may take
}

// part is a file that is complete and has no name yet.
type part struct {
	name string
	file dest.Pending
}

const (
	// partReserve is what the end of a part may take beside its JSON: headers, a
	// seal, the footer.
	partReserve = 4 << 10
	// MinSplit is the least that makes sense: below it the descriptions of the
	// parts would be longer than what they hold.
	MinSplit = 64 << 10
)

func newSplitting(ctx context.Context, store dest.Store, doc *Document, opts Options) (*splitting, error) {
	if opts.Split < MinSplit && (opts.NextMedium == nil || opts.Split > 0) {
		return nil, fmt.Errorf("split into files of %d bytes: %d is the least", opts.Split, MinSplit)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("write image metadata: %w", err)
	}
	// It grows by an entry in the history of each partition for each part.
	reserve := int64(2*len(text) + partReserve)
	s := &splitting{ctx: ctx, store: store, name: opts.PartName, next: opts.NextMedium, most: opts.Split, reserve: reserve}
	if s.next != nil {
		return s, s.medium(doc.Header.FileNumber)
	}
	if reserve > opts.Split/2 {
		return nil, fmt.Errorf("split into files of %d bytes: the description of the disks alone takes %d", opts.Split, reserve)
	}
	s.room = opts.Split - reserve
	return s, nil
}

// leastOnMedium is how much room a medium must have for a part to be begun on it.
const leastOnMedium = 1 << 20

// medium measures how large the part of that number may become on the medium that
// is there, and asks for another one as long as there is no room.
func (s *splitting) medium(number int64) error {
	for {
		free, err := s.store.Free(s.ctx)
		if err == nil && free < 0 {
			return errors.New("the destination does not say how much room it has: it cannot be filled and exchanged")
		}
		// File systems need some of it for themselves.
		room := free - free/64 - s.reserve
		if s.most > 0 {
			room = min(room, s.most-s.reserve)
		}
		if err == nil && room >= leastOnMedium {
			s.room = room
			return nil
		}
		if err == nil {
			err = fmt.Errorf("it has room for %d bytes", max(room, 0))
		}
		if err := s.next(s.ctx, err, number); err != nil {
			return err
		}
	}
}

// finish gives a part of a backup on several media its name while its medium is
// there.
func (s *splitting) finish(p part, next int64) error {
	if err := p.file.Commit(s.ctx); err != nil {
		return err
	}
	return s.medium(next)
}

// nextPart ends the file that is being written, which then holds blocks only, and
// begins the next one. Source: FILE_LAYOUT.md, split_file: a later file has the
// index.
func (w *Writer) nextPart() error {
	ended, number := w.split.name(w.doc.Header.FileNumber), w.doc.Header.FileNumber+1
	if number > 0xFFFF {
		return errors.New("the backup has more parts than the layout can count: choose larger ones")
	}
	if w.ahead > 0 { // the part is in the unfinished image
		return w.priorPart(ended, number)
	}
	if err := w.endPart(); err != nil {
		return err
	}
	w.done += w.pos
	w.nowPart(number)
	p := part{ended, w.file}
	if w.split.next == nil {
		w.split.parts = append(w.split.parts, p)
	} else if err := w.split.finish(p, number); err != nil {
		return err
	}
	return w.begin(w.split.ctx, w.split.store, w.split.name(number))
}

// endPart writes the end of a file that holds blocks only.
func (w *Writer) endPart() error {
	h := &w.doc.Header
	h.SplitFile, h.IndexPosition, h.DiskCount = true, w.pos, int64(len(w.doc.Disks))
	parent := w.seal
	if w.seal != nil {
		w.seal = new(fileSeal) // a part stands on nothing
	}
	err := w.writeEnd(0, func() {})
	w.seal = parent
	h.SplitFile = false
	if err != nil {
		return err
	}
	// It does not change any more.
	if f, ok := w.file.(dest.Kept); ok && w.log != nil {
		return f.Sync()
	}
	return nil
}

// nowPart has the document be that of the next part.
func (w *Writer) nowPart(number int64) {
	w.doc.Header.FileNumber = number
	for i := range w.doc.Disks {
		for k := range w.doc.Disks[i].Partitions {
			p := &w.doc.Disks[i].Partitions[k].Header
			p.History = append(p.History, FileHistory{Name: w.split.name(number), Number: number})
			p.HistoryCount = int64(len(p.History))
		}
	}
}

// commit names all files, the one with the index last: before that nobody takes
// the others for a point in time.
func (s *splitting) commit(ctx context.Context, last dest.Pending) error {
	for i := range s.parts {
		if err := s.parts[i].file.Commit(ctx); err != nil {
			return errors.Join(err, s.undo(ctx, i), s.abort(), last.Abort())
		}
	}
	if err := last.Commit(ctx); err != nil {
		return errors.Join(err, s.undo(ctx, len(s.parts)))
	}
	return nil
}

// undo removes the first n parts.
func (s *splitting) undo(ctx context.Context, n int) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, p := range s.parts[:n] {
		errs = append(errs, s.store.Remove(ctx, p.name))
	}
	return errors.Join(errs...)
}

func (s *splitting) abort() error {
	var errs []error
	for _, p := range s.parts {
		errs = append(errs, p.file.Abort())
	}
	return errors.Join(errs...)
}
