package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"ingot/internal/dest"
)

// merger is one consolidation under way.
type merger struct {
	*Consolidation
	w     *Writer
	c     *Chain // Into with all it needs
	own   *file  // Into
	moved map[int64]bool
	store dest.Copier // nil: bytes pass through the program
	tell  func(bytes int64)
	wait  stretch // bytes that are about to be copied
	weak  bool    // a block of the current partition has no strong hash
}

// stretch is a row of bytes of one file.
type stretch struct {
	f        *file
	off, len int64
}

// write makes the new file under the name tmp: the blocks of Into where they
// were, so that every element that names them stays true, then those of the
// removed files that are still needed, then the metadata.
func (c *Consolidation) write(ctx context.Context, store dest.Store, tmp string, opts Options, progress func(int64)) (err error) {
	chain, err := c.recipe().open(ctx, store, c.set.access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	if err := chain.CheckIndex(ctx); err != nil {
		return err
	}
	pending, err := store.Create(ctx, tmp)
	if err != nil {
		return err
	}
	m := &merger{Consolidation: c, c: chain, own: chain.number[c.Into.Number()], moved: map[int64]bool{}, tell: progress}
	m.store, _ = pending.(dest.Copier)
	m.w = newWriter(m.own.doc, m.own.keys, opts.TempDir)
	m.w.into(pending, pending)
	m.w.taken, m.w.encode = m.own, m.document
	if s := m.w.seal; s != nil {
		// It takes the place of Into, on the base of From.
		s.replaced = append(slices.Clone(m.own.seal.replaced), m.own.seal.tag)
		s.parent = chain.number[c.From.Number()].seal.parent
	}
	for _, r := range c.Removed {
		for _, n := range append(r.Doc.Header.MergedFiles, r.Number()) {
			m.moved[n] = true
		}
	}
	if err := m.all(ctx); err != nil {
		return errors.Join(err, m.w.Abort())
	}
	return m.w.Commit(ctx)
}

// all writes everything but the end that Commit writes.
func (m *merger) all(ctx context.Context) error {
	m.w.doc.Header.DeltaIndex = m.deltas()
	if err := m.append(stretch{m.own, 0, m.own.end}); err != nil {
		return err
	}
	for i, d := range m.c.disks {
		list, err := rawList(m.own, m.own.disks[i].list)
		if err != nil {
			return err
		}
		m.w.metas = append(m.w.metas, list)
		for k := range d.Partitions {
			if err := m.partition(ctx, i, k); err != nil {
				return fmt.Errorf("partition %d: %w", d.Partitions[k].Doc.Header.Number, err)
			}
		}
	}
	return m.flush()
}

// names gives the first number among these that an element of the file names,
// -1 when none does.
func (f *file) names(numbers map[int64]bool) (int64, error) {
	for i := range f.disks {
		for k := range f.disks[i].tables {
			for _, a := range []Area{Reserved, Blocks} {
				r := f.disks[i].tables[k].reader(a)
				for {
					rec, ok, err := r.next()
					if err != nil {
						return -1, err
					}
					if !ok {
						break
					}
					if rec.size > 0 && numbers[int64(rec.element.file)] {
						return int64(rec.element.file), nil
					}
				}
			}
		}
	}
	return -1, nil
}

// deltas says whether all indexes of the run are delta indexes, so that that of
// the new file is one too.
func (m *merger) deltas() bool {
	return !slices.ContainsFunc(m.run, func(p *Member) bool { return !p.Doc.Header.DeltaIndex })
}

// rawList gives a metadata list as it stands in a file.
func rawList(f *file, list []metaBlock) ([]byte, error) {
	var out []byte
	for i := range list {
		m := &list[i]
		if m.size > maxDiskMeta {
			return nil, damaged("metadata block %q at byte %d has %d bytes", m.name, m.pos, m.size)
		}
		payload := make([]byte, m.size)
		if _, err := f.blob.ReadAt(payload, m.pos); err != nil {
			return nil, fmt.Errorf("read metadata block %q at byte %d: %w", m.name, m.pos, err)
		}
		out = append(append(out, m.encode()...), payload...)
	}
	return out, nil
}

// partition writes the index of a partition, and appends the blocks it moves.
func (m *merger) partition(ctx context.Context, i, k int) error {
	own := &m.own.disks[i].tables[k]
	m.weak = false
	if err := m.w.Begin(own.counts.reserved, own.limit[Blocks]); err != nil {
		return err
	}
	if err := m.area(ctx, Reserved, ReservedPiece, own.reader(Reserved).next); err != nil {
		return err
	}
	if err := m.w.endReserved(); err != nil {
		return err
	}
	state, err := m.state(i, k)
	if err != nil {
		return err
	}
	piece := m.own.doc.Disks[i].Partitions[k].Header.BlockSize
	if err := m.area(ctx, Blocks, piece, state.next); err != nil {
		return err
	}
	if err := m.w.End(); err != nil {
		return err
	}
	done := &m.w.parts[len(m.w.parts)-1]
	if m.weak {
		done.strong.size = 0 // some would be missing: then there are none
	}
	for _, b := range own.list {
		if b.name != nameIndex && b.name != nameStrong && b.name != nameMarks {
			done.others = append(done.others, b)
		}
	}
	return nil
}

// state is what the new index of a partition lists: what the delta indexes of
// the run list, the newest of each block, or all that Into holds.
func (m *merger) state(i, k int) (*stateReader, error) {
	if !m.w.doc.Header.DeltaIndex {
		return newState(m.c.disks[i].Partitions[k].tables)
	}
	var tables []*table
	for _, p := range m.run {
		tables = append(tables, &m.c.number[p.Number()].disks[i].tables[k])
	}
	s, err := newState(tables)
	if err == nil {
		s.bare = true
	}
	return s, err
}

// area writes the elements of one area.
func (m *merger) area(ctx context.Context, a Area, piece int64, next func() (record, bool, error)) error {
	for {
		rec, ok, err := next()
		if err != nil || !ok {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if rec.size > 0 {
			if err := m.place(&rec, piece); err != nil {
				return fmt.Errorf("block %d: %w", rec.piece, err)
			}
			m.weak = m.weak || !rec.hasStrong
		}
		if err := m.w.skipTo(a, rec.piece); err != nil {
			return err
		}
		if err := m.w.put(a, &rec); err != nil {
			return err
		}
		m.w.cur.next[a] = rec.piece + 1
	}
}

// place gives an element the place its block has in the new file; a block of a
// file that is to go is appended.
func (m *merger) place(rec *record, piece int64) error {
	f := m.c.number[int64(rec.element.file)]
	if f == nil {
		return damaged("its index element names file %d, which is not part of this image", rec.element.file)
	}
	if err := rec.check(f, piece); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch {
	case f == m.own:
		rec.element.file = uint16(m.own.number())
	case m.moved[f.number()]:
		from := stretch{f, rec.pos, int64(rec.size)}
		rec.pos, rec.element.file = m.w.pos, uint16(m.own.number())
		return m.append(from)
	}
	return nil
}

// maxStretch is how many bytes are copied between two looks at the clock.
const maxStretch = 16 << 20

// append adds bytes of another file to the new one. Neighbours are copied in
// one go.
func (m *merger) append(s stretch) error {
	m.w.pos += s.len
	if m.wait.f == s.f && m.wait.off+m.wait.len == s.off && m.wait.len < maxStretch {
		m.wait.len += s.len
		return nil
	}
	err := m.flush()
	m.wait = s
	return err
}

// least is how few bytes the store is asked to copy by itself: below, that
// costs more than reading and writing them.
const least = 128 << 10

// flush copies what waits.
func (m *merger) flush() error {
	s := m.wait
	m.wait = stretch{}
	for s.len > 0 {
		n := min(s.len, maxStretch)
		if err := appendBytes(m.w.out, m.store, stretch{s.f, s.off, n}); err != nil {
			return m.w.fail(err)
		}
		m.tell(n)
		s.off, s.len = s.off+n, s.len-n
	}
	return nil
}

// appendBytes copies bytes of a file to the end of another, which out writes.
func appendBytes(out *bufio.Writer, store dest.Copier, s stretch) error {
	var err error
	if store != nil && s.len >= least {
		if err = out.Flush(); err == nil {
			err = store.CopyFrom(s.f.blob, s.off, s.len)
		}
	} else {
		_, err = io.CopyN(out, io.NewSectionReader(s.f.blob, s.off, s.len), s.len)
	}
	if err != nil {
		return fmt.Errorf("copy %d bytes at byte %d of %s: %w", s.len, s.off, s.f.name, err)
	}
	return nil
}

// document is the JSON of the new file: that of Into, with what Ingot does not
// know of it too, and with the type and the parent of From.
func (m *merger) document(doc *Document) ([]byte, error) {
	var text []byte
	for i := range m.own.root {
		if b := &m.own.root[i]; b.name == nameJSON {
			var err error
			if text, err = b.payload(m.own.blob, maxJSON); err != nil {
				return nil, err
			}
		}
	}
	merged := slices.Clone(doc.Header.MergedFiles)
	for n := range m.moved {
		merged = append(merged, n)
	}
	slices.Sort(merged)
	parent := m.From.Doc.Auxiliary.Parent
	return patchJSON(text, map[string]map[string]any{
		"_header": {
			"backup_type": m.From.Doc.Header.BackupType, "merged_files": slices.Compact(merged),
			"index_file_position": doc.Header.IndexPosition, "delta_index": doc.Header.DeltaIndex,
		},
		"_auxiliary_data": {"ingot_parent": parent},
	})
}

// patchJSON sets fields of objects within an object; a field that is set to
// nothing goes.
func patchJSON(text []byte, set map[string]map[string]any) ([]byte, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(text, &top); err != nil {
		return nil, err
	}
	for name, fields := range set {
		obj := make(map[string]json.RawMessage)
		if raw, ok := top[name]; ok {
			if err := json.Unmarshal(raw, &obj); err != nil {
				return nil, err
			}
		}
		for key, v := range fields {
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			if obj[key] = raw; bytes.Equal(raw, []byte("null")) {
				delete(obj, key)
			}
		}
		raw, err := json.Marshal(obj)
		if err != nil {
			return nil, err
		}
		top[name] = raw
	}
	return json.Marshal(top)
}
