package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"ingot/internal/block"
)

// Content is what fills a range of a disk, a partition for one: bytes, and
// which of them matter.
type Content struct {
	Off    int64 // on the disk, in bytes
	Reader block.Reader
	Used   block.Map // relative to Reader; nil is all of it
}

func (c *Content) end() int64 { return c.Off + c.Reader.Size() }

// Assembled is a whole disk put together from its table and the contents of its
// partitions: what a restore onto a disk of zeros would give. It is a
// block.Reader; what nobody fills reads as zeros.
type Assembled struct {
	Layout *Layout
	size   int64
	table  []Write   // ascending; goes over the contents
	parts  []Content // ascending, apart
}

var _ block.Reader = (*Assembled)(nil)

// Assemble puts a disk of l.Size bytes together. The table is that of Writes, so
// that a backup GPT is there even when nobody kept it. Contents may come in any
// order; they must lie on the disk and apart.
func (l *Layout) Assemble(contents ...Content) (*Assembled, error) {
	a := &Assembled{Layout: l, size: l.Size, parts: slices.Clone(contents)}
	var err error
	if a.table, err = l.Writes(l.Size); err != nil {
		return nil, fmt.Errorf("assemble a disk: %w", err)
	}
	slices.SortFunc(a.table, func(x, y Write) int { return cmp.Compare(x.Off, y.Off) })
	slices.SortFunc(a.parts, func(x, y Content) int { return cmp.Compare(x.Off, y.Off) })
	var end int64
	for i := range a.parts {
		c := &a.parts[i]
		switch {
		case c.Off < end:
			return nil, fmt.Errorf("assemble a disk: the contents at byte %d begin within what ends at byte %d", c.Off, end)
		case c.Reader.Size() > a.size-c.Off:
			return nil, fmt.Errorf("assemble a disk: the contents at byte %d end at byte %d, the disk has %d", c.Off, c.end(), a.size)
		}
		end = c.end()
	}
	return a, nil
}

// Size implements block.Reader: that of the disk in bytes.
func (a *Assembled) Size() int64 { return a.size }

// Used is the map of what matters: the table, and of each content what its own
// map holds.
func (a *Assembled) Used() block.Map {
	var table []block.Extent
	for _, w := range a.table {
		table = append(table, block.Extent{Off: w.Off, Len: int64(len(w.Data))})
	}
	return block.Merge(block.NewExtents(table...), placed(a.parts))
}

// placed is the map of contents in their places.
type placed []Content

// Extents implements block.Map.
func (m placed) Extents() iter.Seq2[block.Extent, error] {
	return m.ExtentsIn(block.Extent{Len: math.MaxInt64})
}

// ExtentsIn implements block.Seeker.
func (m placed) ExtentsIn(in block.Extent) iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for _, c := range m {
			lo, hi := max(in.Off, c.Off), min(in.End(), c.end())
			if lo >= hi {
				continue
			}
			used := c.Used
			if used == nil {
				used = block.Whole(c.Reader.Size())
			}
			for e, err := range block.In(used, block.Extent{Off: lo - c.Off, Len: hi - lo}) {
				if err != nil {
					yield(block.Extent{}, fmt.Errorf("the contents at byte %d: %w", c.Off, err))
					return
				}
				if !yield(block.Extent{Off: c.Off + e.Off, Len: e.Len}, nil) {
					return
				}
			}
		}
	}
}

// ReadAt implements block.Reader.
func (a *Assembled) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > a.size {
		return 0, fmt.Errorf("read byte %d of a disk of %d bytes", off, a.size)
	}
	whole := len(p)
	p = p[:min(int64(len(p)), a.size-off)]
	n, err := a.fill(p, off)
	a.overlay(p[:n], off)
	if err == nil && n < whole {
		err = io.EOF
	}
	return n, err
}

// fill reads contents, and zeros between them.
func (a *Assembled) fill(p []byte, off int64) (int, error) {
	i, _ := slices.BinarySearchFunc(a.parts, off, func(c Content, at int64) int { return cmp.Compare(c.end(), at+1) })
	done := 0
	for ; done < len(p) && i < len(a.parts); i++ {
		c, at := &a.parts[i], off+int64(done)
		if at < c.Off {
			gap := p[done:][:min(c.Off-at, int64(len(p)-done))]
			clear(gap)
			done += len(gap)
			at += int64(len(gap))
		}
		want := p[done:]
		want = want[:max(min(int64(len(want)), c.end()-at), 0)]
		if len(want) == 0 {
			continue
		}
		n, err := c.Reader.ReadAt(want, at-c.Off)
		done += n
		if n < len(want) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return done, fmt.Errorf("read byte %d of the disk: %w", at, err)
		}
	}
	clear(p[done:])
	return len(p), nil
}

// overlay puts the table over p, which was read at off.
func (a *Assembled) overlay(p []byte, off int64) {
	for _, w := range a.table {
		if lo := max(w.Off, off); lo < min(w.Off+int64(len(w.Data)), off+int64(len(p))) {
			copy(p[lo-off:], w.Data[lo-w.Off:])
		}
	}
}
