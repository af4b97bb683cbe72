package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"ingot/internal/dest"
	"ingot/internal/image/internal/seal"
)

var (
	// ErrPaused is wrapped by the error of a run that a later one can go on with.
	ErrPaused = errors.New("the image is unfinished, and a later run can go on with it")
	// ErrMoved: a block of the source is not what the unfinished image holds.
	ErrMoved = errors.New("the source has changed since the unfinished image was begun")
)

// asked is what an image was to be. One that is to be something else cannot go on
// with its file.
type asked struct {
	Shape       string  `json:"disk or partitioning"`
	Blocks      []int64 `json:"block size"`
	Compression string  `json:"compression"`
	AES         string  `json:"encryption"`
	HMAC        string  `json:"password"` // its check, as the image itself has it
	Conceal     bool    `json:"concealment of hashes"`
	Type        string  `json:"type"`
	Number      int64   `json:"file number"`
	Increment   int64   `json:"increment number"`
	Parent      string  `json:"backup it is based on"`
	Delta       bool    `json:"kind of index"`
	Split       int64   `json:"size of parts"`
	Rule        string  `json:"rule of what is stored"`
}

func askedFor(doc *Document, opts *Options) *asked {
	h, e := &doc.Header, &doc.Encryption
	a := &asked{
		Shape: (&Member{Doc: doc}).Shape(), Compression: doc.Compression.Level, AES: e.AESType, HMAC: e.HMAC, Conceal: e.Conceal,
		Type: h.BackupType, Number: h.FileNumber, Increment: h.IncrementNumber, Delta: opts.Base != nil && !opts.FullIndex,
		Split: opts.Split, Rule: opts.Rule,
	}
	if opts.Base != nil {
		a.Parent = opts.Base.Member.Doc.Header.BackupGUID
	}
	for i := range doc.Disks {
		for k := range doc.Disks[i].Partitions {
			p := &doc.Disks[i].Partitions[k]
			a.Blocks = append(a.Blocks, p.Header.BlockSize, p.FileSystem.ReservedLength)
		}
	}
	return a
}

// differs says in words what of a is not as in b; "" when all is.
func (a *asked) differs(b *asked) string {
	was, is := a.fields(), b.fields()
	for i := range was {
		if was[i][1] != is[i][1] {
			return "its " + was[i][0] + " is not the same"
		}
	}
	return ""
}

// fields are the names and values, in the order of the struct.
func (a *asked) fields() (out [][2]string) {
	text, _ := json.Marshal(a) // of plain fields: it cannot fail
	dec := json.NewDecoder(bytes.NewReader(text))
	_, _ = dec.Token()
	for dec.More() {
		name, _ := dec.Token()
		var value json.RawMessage
		_ = dec.Decode(&value)
		out = append(out, [2]string{name.(string), string(value)})
	}
	return out
}

// Unfinished is an image that a run has left.
type Unfinished struct {
	Name  string // of its first file
	Began time.Time
	Bytes int64 // that it has

	head  segmentHead
	files []leftFile // as of the last segment
	left  dest.Left  // of the journal
}

// Shape is that of the image: see Member.Shape.
func (u *Unfinished) Shape() string { return u.head.Asked.Shape }

// orphanAge is how old a file must be that belongs to no journal before it goes:
// the run that writes it may be on another machine.
const orphanAge = 10 * time.Minute

// ReadUnfinished finds the images that runs have left in a store, and deletes
// files that nobody can go on with.
func ReadUnfinished(ctx context.Context, store dest.Store) ([]*Unfinished, error) {
	keeper, ok := store.(dest.Keeper)
	if !ok {
		return nil, nil
	}
	left, err := keeper.Left(ctx)
	if errors.Is(err, dest.ErrNoKeep) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*Unfinished
	wanted := make(map[string]bool)
	for _, l := range left {
		if !strings.HasSuffix(l.Name, journalSuffix) {
			continue
		}
		u, err := readUnfinished(ctx, keeper, l)
		if err != nil || !u.there(left) {
			continue // an orphan, below
		}
		out, wanted[l.Key] = append(out, u), true
		for _, f := range u.files {
			wanted[f.Key] = true
		}
	}
	for _, l := range left {
		if !wanted[l.Key] && time.Since(l.Time) > orphanAge {
			if err := keeper.Drop(ctx, l.Key); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// there says whether the files are.
func (u *Unfinished) there(left []dest.Left) bool {
	for _, f := range u.files {
		if !slices.ContainsFunc(left, func(l dest.Left) bool { return l.Key == f.Key && l.Size >= f.Size }) {
			return false
		}
	}
	return len(u.files) > 0
}

// Drop deletes an unfinished image.
func (u *Unfinished) Drop(ctx context.Context, store dest.Store) error {
	keeper := store.(dest.Keeper)
	errs := []error{keeper.Drop(ctx, u.left.Key)}
	for _, f := range u.files {
		errs = append(errs, keeper.Drop(ctx, f.Key))
	}
	return errors.Join(errs...)
}

// Fits says in words why an image of the document cannot go on with u; "" when
// it can. The document then has the identity of the one begun.
func (u *Unfinished) Fits(doc *Document, opts *Options) string {
	return u.head.Asked.differs(askedFor(doc, opts))
}

// Adopt gives a document the identity of the image begun. For a new set its
// encryption is settled after that: keys depend on it.
func (u *Unfinished) Adopt(doc *Document) {
	doc.Header.ImageID, doc.Header.BackupGUID = u.head.ImageID, u.head.GUID
}

// readUnfinished reads what a journal says, without trusting it.
func readUnfinished(ctx context.Context, keeper dest.Keeper, l dest.Left) (*Unfinished, error) {
	f, err := keeper.Take(ctx, l.Key, l.Size)
	if err != nil {
		return nil, err
	}
	u := &Unfinished{left: l}
	err = u.segments(f, nil, false, func(s *segment) error {
		if u.head.Asked == nil {
			u.head = s.segmentHead
		}
		u.files = s.Files
		return nil
	})
	if err == nil && u.head.Asked == nil {
		err = errors.New("the journal is empty")
	}
	for _, f := range u.files {
		u.Bytes += f.Size
	}
	u.Name, u.Began = u.head.Name, u.head.Began
	return u, errors.Join(err, f.Leave())
}

// segment is one of a journal.
type segment struct {
	segmentHead
	pos, size int64 // of its records
}

const (
	maxSegmentHead = 16 << 20 // a line for each of 65535 parts
	// maxSegmentRecords: one window of blocks may come on top of the buffer.
	maxSegmentRecords = 2 * journalBuffer
)

// segments walks through the whole segments of a journal. With check each one's
// is compared, and the walk ends before the first that is not right: a run that
// was cut short may have left half of one.
func (u *Unfinished) segments(r io.ReaderAt, keys *seal.Keys, check bool, yield func(*segment) error) error {
	var before []byte
	for pos := int64(0); pos < u.left.Size; {
		s, end, err := readSegmentHead(r, pos, u.left.Size)
		if err != nil {
			return nil // the end of what is whole
		}
		if check {
			h := segmentCheck(keys, before)
			if _, err := io.Copy(h, io.NewSectionReader(r, pos, end-pos)); err != nil {
				return fmt.Errorf("read the journal: %w", err)
			}
			var is [32]byte
			if _, err := r.ReadAt(is[:], end); err != nil {
				return fmt.Errorf("read the journal: %w", err)
			}
			if before = h.Sum(nil); !seal.Equal(before, is[:]) {
				return nil
			}
		}
		if err := yield(s); err != nil {
			return err
		}
		pos = end + 32
	}
	return nil
}

// readSegmentHead reads the head of the segment at pos; end is where its check
// stands.
func readSegmentHead(r io.ReaderAt, pos, size int64) (s *segment, end int64, err error) {
	var lens [8]byte
	if _, err := r.ReadAt(lens[:], pos); err != nil {
		return nil, 0, err
	}
	head, recs := int64(binary.LittleEndian.Uint32(lens[:])), int64(binary.LittleEndian.Uint32(lens[4:]))
	s = &segment{pos: pos + 8 + head, size: recs}
	end = s.pos + recs
	if head > maxSegmentHead || recs > maxSegmentRecords || recs%journalRecordSize != 0 || end+32 > size {
		return nil, 0, errors.New("it was cut short")
	}
	text := make([]byte, head)
	if _, err := r.ReadAt(text, pos+8); err != nil {
		return nil, 0, err
	}
	if err := json.Unmarshal(text, &s.segmentHead); err != nil {
		return nil, 0, err
	}
	if pos == 0 && (s.Version != journalVersion || s.Asked == nil) {
		return nil, 0, fmt.Errorf("the journal has version %d", s.Version)
	}
	return s, end, nil
}

// Prior is what an unfinished image holds of a block.
type Prior struct {
	Stored bool
	record record
}

// replay gives what an unfinished image holds, in the order in which it was
// stored.
type replay struct {
	segs []segment
	file dest.Kept // the journal
	recs []byte    // of the segment under way, what is left of it
	n    int64     // records in all
}

// resume takes up an unfinished image: its journal and files are those of j from
// now on. Each byte is read and compared with the journal first.
func (u *Unfinished) resume(j *journal) (*replay, error) {
	p := new(replay)
	f, err := j.store.Take(j.ctx, u.left.Key, u.left.Size)
	if err != nil {
		return nil, err
	}
	j.file, p.file = f, f
	size := int64(0)
	if err := u.segments(f, j.keys, true, func(s *segment) error {
		p.segs = append(p.segs, *s)
		p.n += s.size / journalRecordSize
		size = s.pos + s.size + 32
		return nil
	}); err != nil {
		return nil, err
	}
	if len(p.segs) == 0 {
		return nil, errors.New("nothing in its journal is whole")
	}
	if err := f.Leave(); err != nil {
		return nil, err
	}
	if j.file, err = j.store.Take(j.ctx, u.left.Key, size); err != nil {
		return nil, err
	}
	p.file = j.file
	j.check = make([]byte, 32)
	if _, err := j.file.ReadAt(j.check, size-32); err != nil {
		return nil, err
	}
	last := p.segs[len(p.segs)-1].Files
	for _, l := range last {
		f, err := j.store.Take(j.ctx, l.Key, l.Size)
		if err != nil {
			return nil, err
		}
		j.files, j.sizes = append(j.files, f), append(j.sizes, l.Size)
	}
	return p, p.compare(j)
}

// compare reads what the segments say is in the files.
func (p *replay) compare(j *journal) error {
	done := make([]int64, len(j.files))
	buf := make([]byte, 1<<20)
	for i := range p.segs {
		s := &p.segs[i]
		h := xxhash.New()
		for k, l := range s.Files {
			if k >= len(j.files) || l.Key != j.files[k].Key() || l.Size < done[k] {
				return errors.New("its journal contradicts itself")
			}
			if err := j.ctx.Err(); err != nil {
				return err
			}
			section := io.NewSectionReader(j.files[k], done[k], l.Size-done[k])
			if n, err := io.CopyBuffer(onlyWriter{h}, section, buf); err != nil || n != section.Size() {
				return errors.Join(fmt.Errorf("its bytes %d to %d cannot be read back", done[k], l.Size-1), err)
			}
			done[k] = l.Size
		}
		if s.Sum != json.Number(strconv.FormatUint(h.Sum64(), 10)) {
			return errors.New("what was written last is not there as it was written")
		}
	}
	return nil
}

// onlyWriter hides all but Write, so that CopyBuffer uses its buffer.
type onlyWriter struct{ io.Writer }

// next gives the next record without taking it; false at the end.
func (p *replay) next() ([]byte, bool, error) {
	for len(p.recs) == 0 {
		if len(p.segs) == 0 {
			return nil, false, nil
		}
		s := &p.segs[0]
		p.segs = p.segs[1:]
		p.recs = make([]byte, s.size)
		if _, err := p.file.ReadAt(p.recs, s.pos); err != nil {
			return nil, false, fmt.Errorf("read the journal of the unfinished image: %w", err)
		}
	}
	return p.recs[:journalRecordSize], true, nil
}

// prior appends what is held of n blocks from number first on. What is held of
// blocks before them, in the order of storing, was in use when it was stored.
func (p *replay) prior(out []Prior, part int, a Area, first, n int64) ([]Prior, error) {
	for i := range n {
		b, ok, err := p.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			out = append(out, make([]Prior, n-i)...)
			return out, nil
		}
		at := [3]int64{int64(binary.LittleEndian.Uint16(b)), int64(b[2]), int64(binary.LittleEndian.Uint32(b[4:]))}
		switch slices.Compare(at[:], []int64{int64(part), int64(a), first + i}) {
		case -1:
			return nil, fmt.Errorf("%w: block %d of partition %d is not in use any more", ErrMoved, at[2], at[0]+1)
		case 1:
			out = append(out, Prior{})
			continue
		}
		r := record{piece: first + i, element: element{size: binary.LittleEndian.Uint32(b[8:])}}
		copy(r.sum[:], b[12:])
		copy(r.strong[:], b[28:])
		copy(r.mark[:], b[28+strongSize:])
		out = append(out, Prior{Stored: true, record: r})
		p.recs = p.recs[journalRecordSize:]
	}
	return out, nil
}

// takeUp goes on with an unfinished image.
func (w *Writer) takeUp(u *Unfinished) error {
	p, err := u.resume(w.log)
	if err == nil && w.split == nil && len(w.log.files) != 1 {
		err = errors.New("it has parts")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("go on with the unfinished image %s: %w", u.Name, err), w.log.leave())
	}
	w.replay, w.ahead, w.resumed = p, p.n, u.Bytes
	w.log.good = true
	w.into(w.log.files[0], w.log)
	return nil
}

// priorPart goes to the next part of an unfinished image.
func (w *Writer) priorPart(ended string, number int64) error {
	i := len(w.split.parts)
	if i+1 >= len(w.log.files) {
		return fmt.Errorf("%w: its parts end elsewhere", ErrMoved)
	}
	w.split.parts = append(w.split.parts, part{ended, w.file})
	w.done += w.log.sizes[i]
	w.nowPart(number)
	w.into(w.log.files[i+1], w.log)
	return nil
}

// caughtUp checks, when the last block of an unfinished image has come, that its
// file ends behind it.
func (w *Writer) caughtUp() error {
	if end := w.log.sizes[len(w.log.sizes)-1]; w.pos != end {
		return fmt.Errorf("go on with the unfinished image: its blocks end at byte %d, its file at %d", w.pos, end)
	}
	return nil
}
