package image

import (
	"bufio"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"ingot/internal/dest"
)

// repoint has the files behind into that name blocks of the files gone name
// those of into instead, which holds the same. Only full indexes, and files of
// other programs, do so. Each of them is replaced as a whole, by a copy with
// another index; until then the files gone must stay.
func (s *Set) repoint(ctx context.Context, store dest.Store, into *Member, gone []*Member) error {
	numbers := make(map[int64]bool)
	for _, m := range gone {
		for _, n := range append(m.Doc.Header.MergedFiles, m.Number()) {
			numbers[n] = true
		}
	}
	for _, p := range s.Points() {
		if p.Number() <= into.Number() {
			continue
		}
		if err := s.repointOne(ctx, store, into, p, numbers); err != nil {
			return fmt.Errorf("have %s name the blocks of %s: %w", p.Name, into.Name, err)
		}
	}
	return nil
}

func (s *Set) repointOne(ctx context.Context, store dest.Store, into, p *Member, gone map[int64]bool) (err error) {
	f, err := openFile(ctx, store, p.Name, s.access)
	if err != nil {
		return err
	}
	n, err := f.names(gone)
	if err != nil || n < 0 {
		return errors.Join(err, f.close())
	}
	is, err := s.Open(ctx, store, into)
	if err != nil {
		return errors.Join(err, f.close())
	}
	tmp := p.Name + mergingSuffix
	r := &repointer{ctx: ctx, f: f, is: is, gone: gone}
	err = r.write(store, tmp)
	if err = errors.Join(err, is.Close(), f.close()); err != nil {
		return err
	}
	if err := s.same(ctx, store, p, tmp); err != nil {
		return errors.Join(err, store.Remove(ctx, tmp))
	}
	return store.Rename(ctx, tmp, p.Name)
}

// same compares a point with what it is to become, the file tmp in its place
// and no leftovers: the same blocks, the same bytes.
func (s *Set) same(ctx context.Context, store dest.Store, p *Member, tmp string) error {
	r, err := s.recipe(p)
	if err != nil {
		return err
	}
	return compareChains(ctx, store, s.access, r, r.without(tmp, func(string) bool { return false }))
}

// repointer copies a file with another index.
type repointer struct {
	ctx  context.Context
	f    *file
	is   *Chain // where the blocks are now
	gone map[int64]bool
	out  *bufio.Writer
	meta io.Writer // out, and the seal's tag on the way
	copy dest.Copier
	at   int64 // how much of f was written
}

func (r *repointer) write(store dest.Store, tmp string) error {
	if err := removeOld(r.ctx, store, tmp); err != nil {
		return err
	}
	pending, err := store.Create(r.ctx, tmp)
	if err != nil {
		return err
	}
	r.out = bufio.NewWriterSize(pending, 64<<10)
	r.meta = r.out
	r.copy, _ = pending.(dest.Copier)
	if err = errors.Join(r.all(), r.out.Flush()); err != nil {
		return errors.Join(err, pending.Abort())
	}
	return pending.Commit(r.ctx)
}

func (r *repointer) all() error {
	var mac hash.Hash
	s := new(fileSeal)
	root := r.f.root[0].pos - metaHeaderSize
	if old := r.f.seal; old != nil {
		s.parent, s.replaced = old.parent, append(slices.Clone(old.replaced), old.tag)
		var err error
		if mac, err = s.begin(r.f.keys, &r.f.doc.Header, root); err != nil {
			return err
		}
		r.meta = io.MultiWriter(r.out, mac)
	}
	for i := range r.f.disks {
		for k := range r.f.disks[i].tables {
			if err := r.table(i, k); err != nil {
				return err
			}
		}
	}
	if mac == nil {
		return r.upTo(r.f.blob.Size())
	}
	last := &r.f.root[len(r.f.root)-1] // the old seal
	if err := r.upTo(last.pos - metaHeaderSize); err != nil {
		return err
	}
	mac.Sum(s.tag[:0])
	_, err := r.out.Write(append(s.block(), footer(root)...))
	return err
}

// upTo copies the file as it is, up to byte end.
func (r *repointer) upTo(end int64) error {
	for r.at < end {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if r.at >= r.f.end { // metadata
			_, err := io.Copy(r.meta, io.NewSectionReader(r.f.blob, r.at, end-r.at))
			r.at = end
			return err
		}
		n := min(end-r.at, r.f.end-r.at, maxStretch)
		if err := appendBytes(r.out, r.copy, stretch{r.f, r.at, n}); err != nil {
			return err
		}
		r.at += n
	}
	return nil
}

// table writes the index of a partition with its elements pointed anew.
func (r *repointer) table(i, k int) error {
	t := &r.f.disks[i].tables[k]
	m := t.list[len(t.list)-1]
	if t.index != io.ReaderAt(r.f.blob) {
		return fmt.Errorf("%w: its index is not in order", ErrUnsupported)
	}
	if err := r.upTo(m.pos - metaHeaderSize); err != nil {
		return err
	}
	payload := &spool{}
	defer payload.close()
	if err := r.elements(payload, t, r.is.disks[i].Partitions[k]); err != nil {
		return err
	}
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(payload, 0, m.size)); err != nil {
		return err
	}
	h.Sum(m.sum[:0])
	_, err := r.meta.Write(m.encode())
	if err == nil {
		_, err = io.Copy(r.meta, io.NewSectionReader(payload, 0, m.size))
	}
	r.at = m.pos + m.size
	return err
}

// elements writes the payload of an index.
func (r *repointer) elements(out *spool, t *table, v *Volume) error {
	m := &t.list[len(t.list)-1]
	raw := make([]byte, deltaSize)
	for _, a := range []Area{Reserved, Blocks} {
		// The count before the elements stays.
		if _, err := r.f.blob.ReadAt(raw[:4], t.pos[a]-4); err != nil {
			return fmt.Errorf("read $INDEX at byte %d: %w", t.pos[a]-4, err)
		}
		if _, err := out.Write(raw[:4]); err != nil {
			return err
		}
		now, err := v.recordsOf(a)
		if err != nil {
			return err
		}
		if err := r.area(out, t, a, now); err != nil {
			return err
		}
	}
	if out.size != m.size {
		return fmt.Errorf("an index of %d bytes became one of %d", m.size, out.size)
	}
	return out.settle()
}

// area writes the elements of one area; now gives what into holds of it, in
// ascending order.
func (r *repointer) area(out *spool, t *table, a Area, now func() (record, bool, error)) error {
	size, count := t.elem(), t.counts.blocks
	if a == Reserved {
		size, count = elementSize, t.counts.reserved
	}
	var is record
	more := true
	raw := make([]byte, size)
	in := bufio.NewReader(io.NewSectionReader(r.f.blob, t.pos[a], size*count))
	for i := range count {
		if _, err := io.ReadFull(in, raw); err != nil {
			return fmt.Errorf("read $INDEX: %w", err)
		}
		was := record{piece: i}
		was.decode(raw, size == deltaSize)
		if was.size > 0 && r.gone[int64(was.element.file)] {
			for more && (is.size == 0 || is.piece < was.piece) {
				var err error
				if is, more, err = now(); err != nil {
					return err
				}
			}
			if !more || !was.holds(&is) {
				return damaged("it names block %d of file number %d, which does not hold what the newer file holds", was.piece, was.element.file)
			}
			is.encode(raw)
		}
		if _, err := out.Write(raw); err != nil {
			return err
		}
	}
	return nil
}
