package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"ingot/internal/dest"
)

// compareChains compares a point in time with what it is to become: the same
// blocks with the same hashes, and the same stored bytes in the new file. Its
// metadata is checked by MD5.
func compareChains(ctx context.Context, store dest.Store, access *Access, old, new recipe) (err error) {
	was, err := old.open(ctx, store, access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, was.Close()) }()
	is, err := new.open(ctx, store, access)
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
	cmp := &comparison{ctx: ctx, own: own}
	return cmp.chains(was, is)
}

// comparison compares the stored bytes of two chains, as far as the second one
// has them in file own.
type comparison struct {
	ctx  context.Context
	own  *file
	a, b stretch // bytes that are to be equal and were not compared yet
	bufs [2][]byte
}

func (c *comparison) chains(was, is *Chain) error {
	if err := sameShape(was.Doc, is.Doc); err != nil {
		return damaged("%v", err)
	}
	for i, d := range was.disks {
		for k, v := range d.Partitions {
			if err := c.volumes(v, is.disks[i].Partitions[k]); err != nil {
				return fmt.Errorf("partition %d: %w", v.Doc.Header.Number, err)
			}
		}
	}
	return c.flush()
}

// volumes walks two volumes side by side.
func (c *comparison) volumes(was, is *Volume) error {
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
			if err := c.add(was.chain, is.chain, &x, &y); err != nil {
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
func (c *comparison) add(was, is *Chain, x, y *record) error {
	a := stretch{was.number[int64(x.element.file)], x.pos, int64(x.size)}
	b := stretch{is.number[int64(y.element.file)], y.pos, int64(y.size)}
	if a.f == nil || b.f == nil {
		return damaged("block %d is in file number %d, which is not there", y.piece, y.element.file)
	}
	if b.f != c.own {
		return nil // untouched
	}
	if c.a.f == a.f && c.a.off+c.a.len == a.off && c.b.off+c.b.len == b.off && c.a.len+a.len <= Chunk {
		c.a.len, c.b.len = c.a.len+a.len, c.b.len+b.len
		return nil
	}
	err := c.flush()
	c.a, c.b = a, b
	return err
}

func (c *comparison) flush() error {
	if c.a.len == 0 {
		return nil
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	for i, s := range []stretch{c.a, c.b} {
		if int64(cap(c.bufs[i])) < s.len {
			c.bufs[i] = make([]byte, max(s.len, Chunk))
		}
		c.bufs[i] = c.bufs[i][:s.len]
		if _, err := s.f.blob.ReadAt(c.bufs[i], s.off); err != nil {
			return fmt.Errorf("read %s at byte %d: %w", s.f.name, s.off, err)
		}
	}
	if !bytes.Equal(c.bufs[0], c.bufs[1]) {
		return damaged("%s holds other bytes at byte %d than %s at byte %d", c.b.f.name, c.b.off, c.a.f.name, c.a.off)
	}
	c.a, c.b = stretch{}, stretch{}
	return nil
}
