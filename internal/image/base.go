package image

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ingot/internal/dest"
)

// Base is what a differential or incremental is based on.
type Base struct {
	// Parent is the point in time in which unchanged blocks are: the full for a
	// differential, the newest one of the set for an incremental.
	Parent *Chain
	// Member is its file.
	Member *Member
	// Number and Increment are what the new file is to have.
	Number, Increment int64

	// later are files behind the parent, which a differential does not need.
	// Readers that do not know that lay its index over theirs all the same, so
	// it lists every block that one of them lists.
	later []*file
}

// OpenBase opens what a new point in time of this type, TypeDiff or TypeInc, is
// to be based on.
func (s *Set) OpenBase(ctx context.Context, store dest.Store, typ string) (*Base, error) {
	newest := s.Newest()
	if newest == nil {
		return nil, fmt.Errorf("%w: set %s holds no point in time", ErrMissing, s.ID)
	}
	b := &Base{Member: newest}
	for _, m := range slices.Concat(s.Members, s.Leftover, s.Orphans) {
		b.Number = max(b.Number, m.Number()+1)
		b.Increment = max(b.Increment, m.Doc.Header.IncrementNumber+1)
		for _, n := range m.Doc.Header.MergedFiles {
			b.Number = max(b.Number, n+1)
		}
	}
	if b.Number > 0xFFFF || b.Increment > 0xFFFF {
		return nil, fmt.Errorf("%w: set %s has used up its file numbers", ErrUnsupported, s.ID)
	}
	var err error
	if typ == TypeDiff {
		if b.Member, err = s.Full(newest); err != nil {
			return nil, err
		}
	}
	if b.Parent, err = s.Open(ctx, store, b.Member); err != nil {
		return nil, err
	}
	if typ == TypeDiff {
		err = b.openLater(ctx, store, s)
	}
	if err == nil {
		err = b.Parent.CheckIndex(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Base) openLater(ctx context.Context, store dest.Store, s *Set) error {
	for _, m := range s.Points() {
		if m.Number() <= b.Member.Number() {
			continue
		}
		f, err := openFile(ctx, store, m.Name, s.access)
		if err != nil {
			return err
		}
		b.later = append(b.later, f)
		if err := sameShape(b.Parent.Doc, f.doc); err != nil {
			return damaged("%s and %s are of one set, but %v", b.Member.Name, m.Name, err)
		}
	}
	return nil
}

// Close closes the files.
func (b *Base) Close() error {
	errs := []error{b.Parent.Close()}
	for _, f := range b.later {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

// Strong says whether the parent has strong hashes of all its blocks; where it
// has not, MD5 decides what changed.
func (b *Base) Strong() bool {
	for _, d := range b.Parent.disks {
		for _, v := range d.Partitions {
			for _, t := range v.tables {
				if !t.strong.there() && t.counts.blocks > 0 {
					return false
				}
			}
		}
	}
	return true
}

// Walk asks what the parent holds of the blocks of a partition, in ascending
// order. The index is read along the way and not held.
type Walk struct {
	state *stateReader
	rec   record
	ok    bool
}

// Walk begins a walk over partition part of disk disk, both counted from 0.
func (b *Base) Walk(disk, part int) (*Walk, error) {
	return newWalk(b.Parent.disks[disk].Partitions[part].tables)
}

func newWalk(tables []*table) (*Walk, error) {
	state, err := newState(tables)
	if err != nil {
		return nil, err
	}
	// A delta index by itself also says what has become free.
	state.bare = len(tables) == 1 && tables[0].delta
	w := &Walk{state: state}
	return w, w.step()
}

func (w *Walk) step() (err error) {
	w.rec, w.ok, err = w.state.next()
	return err
}

// to goes to the first stored block from number piece on.
func (w *Walk) to(piece int64) error {
	for w.ok && w.rec.piece < piece {
		if err := w.step(); err != nil {
			return err
		}
	}
	return nil
}

// At says what is known of a block.
func (w *Walk) At(piece int64) (k Known, err error) {
	if err := w.to(piece); err != nil {
		return k, err
	}
	if w.ok && w.rec.piece == piece {
		k = Known{Stored: true, Sum: w.rec.sum, Strong: w.rec.strong, HasStrong: w.rec.hasStrong}
	}
	return k, nil
}

// underlay is what a Writer must know of what lies under a partition: the
// elements of the parent, and which blocks its index has to list even where they
// are as in the parent. It is asked for ascending blocks.
type underlay struct {
	parent *Walk
	later  []*Walk // the elements of each file behind the parent, free ones too
	all    bool    // every block that the parent holds is to be listed
}

// underlay gives that of a partition, for a delta index or a full one.
func (b *Base) underlay(disk, part int, delta bool) (*underlay, error) {
	u := &underlay{all: !delta}
	var err error
	if u.parent, err = b.Walk(disk, part); err != nil {
		return nil, err
	}
	for _, f := range b.later {
		t := &f.disks[disk].tables[part]
		// Over a full index all must be said anew: what it leaves out is free.
		u.all = u.all || !t.delta
		w, err := newWalk([]*table{t})
		if err != nil {
			return nil, err
		}
		u.later = append(u.later, w)
	}
	return u, nil
}

// kept gives the parent's record of a block, and whether it must be listed.
func (u *underlay) kept(piece int64) (rec record, must bool, err error) {
	if err := u.to(piece); err != nil {
		return rec, false, err
	}
	if u.parent.ok && u.parent.rec.piece == piece {
		rec = u.parent.rec
	}
	must = u.all
	for _, w := range u.later {
		must = must || w.ok && w.rec.piece == piece
	}
	return rec, must, nil
}

// listed gives the first block from number from on, and before end, that the
// parent holds or one of the files behind it lists; -1 when there is none.
func (u *underlay) listed(from, end int64) (int64, error) {
	if err := u.to(from); err != nil {
		return -1, err
	}
	low := end
	for _, w := range append(u.later, u.parent) {
		if w.ok {
			low = min(low, w.rec.piece)
		}
	}
	if low == end {
		return -1, nil
	}
	return low, nil
}

func (u *underlay) to(piece int64) error {
	for _, w := range u.later {
		if err := w.to(piece); err != nil {
			return err
		}
	}
	return u.parent.to(piece)
}
