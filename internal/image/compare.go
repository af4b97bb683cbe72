package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"ingot/internal/dest"
	"ingot/internal/pipeline"
)

// compareChains compares a point in time with what it is to become: the same
// blocks with the same hashes, and the same stored bytes in the new file. Its
// metadata is checked by MD5.
func compareChains(ctx context.Context, store dest.Store, access *Access, from, to recipe) (err error) {
	was, err := from.open(ctx, store, access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, was.Close()) }()
	is, err := to.open(ctx, store, access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, is.Close()) }()
	own := is.number[is.Doc.Header.FileNumber]
	for i := range own.metas {
		if err := own.metas[i].check(own.blob); err != nil {
			return err
		}
	}
	if err := sameShape(was.Doc, is.Doc); err != nil {
		return damaged("%v", err)
	}
	read, stop := pipeline.From(pairs(was, is, own), func(it *pairItem, p pair) { it.pair = p })
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(2*Chunk), pipeline.Stages[pairItem]{
		New:   func() *pairItem { return new(pairItem) },
		Read:  read,
		Work:  (*pairItem).compare,
		Write: func(*pairItem) error { return nil },
	})
}

// pair is two rows of stored bytes that must be equal.
type pair struct{ a, b stretch }

type pairItem struct {
	pair
	bufs [2][]byte
}

// compare reads both rows and compares them.
func (it *pairItem) compare() error {
	for i, s := range []stretch{it.a, it.b} {
		if int64(cap(it.bufs[i])) < s.len {
			it.bufs[i] = make([]byte, max(s.len, Chunk))
		}
		it.bufs[i] = it.bufs[i][:s.len]
		if _, err := s.f.blob.ReadAt(it.bufs[i], s.off); err != nil {
			return fmt.Errorf("read %s at byte %d: %w", s.f.name, s.off, err)
		}
	}
	if !bytes.Equal(it.bufs[0], it.bufs[1]) {
		return damaged("%s holds other bytes at byte %d than %s at byte %d", it.b.f.name, it.b.off, it.a.f.name, it.a.off)
	}
	return nil
}

// pairs walks two chains side by side. It ends with an error where they do not
// hold the same blocks, and yields the stored bytes of those that the second
// chain has in file own; the others were not touched.
func pairs(was, is *Chain, own *file) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		j := &joiner{own: own, yield: yield}
		for i, d := range was.disks {
			for k, v := range d.Partitions {
				if err := j.volumes(v, is.disks[i].Partitions[k]); err != nil {
					if !j.ended {
						yield(pair{}, fmt.Errorf("partition %d: %w", v.Doc.Header.Number, err))
					}
					return
				}
			}
		}
		_ = j.flush() // nobody wants more: nothing is left to be said
	}
}

// joiner puts neighbours of both chains into one pair.
type joiner struct {
	own   *file
	cur   pair
	yield func(pair, error) bool
	ended bool // nobody wants more
}

// errEnded ends a walk whose pairs nobody wants.
var errEnded = errors.New("the comparison was ended")

// volumes walks two volumes side by side.
func (j *joiner) volumes(was, is *Volume) error {
	if len(was.spaces) != len(is.spaces) {
		return damaged("the reserved area is missing")
	}
	for i := range was.spaces {
		a, err := was.records(&was.spaces[i])
		if err != nil {
			return err
		}
		b, err := is.records(&is.spaces[i])
		if err != nil {
			return err
		}
		for {
			x, more, err := a()
			if err != nil {
				return err
			}
			y, also, err := b()
			if err != nil {
				return err
			}
			if more != also || more && !x.holds(&y) {
				return damaged("block %d is not what block %d was", y.piece, x.piece)
			}
			if !more {
				break
			}
			if err := j.add(was.chain, is.chain, &x, &y); err != nil {
				return err
			}
		}
	}
	return nil
}

// holds says whether two records are of the same content.
func (r *record) holds(o *record) bool {
	return r.piece == o.piece && r.size == o.size && r.sum == o.sum && (!r.hasStrong || !o.hasStrong || r.strong == o.strong)
}

// add has the stored bytes of two records compared, at once with their
// neighbours.
func (j *joiner) add(was, is *Chain, x, y *record) error {
	a := stretch{was.number[int64(x.element.file)], x.pos, int64(x.size)}
	b := stretch{is.number[int64(y.element.file)], y.pos, int64(y.size)}
	if a.f == nil || b.f == nil {
		return damaged("block %d is in file number %d, which is not there", y.piece, y.element.file)
	}
	if b.f != j.own {
		return nil
	}
	c := &j.cur
	if c.a.f == a.f && c.a.off+c.a.len == a.off && c.b.off+c.b.len == b.off && c.a.len+a.len <= Chunk {
		c.a.len, c.b.len = c.a.len+a.len, c.b.len+b.len
		return nil
	}
	err := j.flush()
	j.cur = pair{a, b}
	return err
}

func (j *joiner) flush() error {
	if j.cur.a.len == 0 {
		return nil
	}
	if j.ended = !j.yield(j.cur, nil); j.ended {
		return errEnded
	}
	j.cur = pair{}
	return nil
}
