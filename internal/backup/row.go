package backup

import (
	"context"
	"fmt"
	"iter"

	"ingot/internal/block"
	"ingot/internal/image"
)

// known is what the parent holds of the blocks of a partition; the zero value
// knows nothing.
type known struct {
	walk *image.Walk
	fast *fast

	buf       []image.Known
	untouched []bool
}

// known is what the parent holds of partition i, and how that is used. Stop it.
func (r *run) known(ctx context.Context, i int) (*known, error) {
	k := new(known)
	var err error
	if k.fast, err = r.fast(ctx, i); err != nil || r.target.base == nil {
		return k, err
	}
	k.walk, err = r.target.base.Walk(0, i)
	return k, err
}

func (k *known) stop() {
	if k.fast != nil && k.fast.must != nil {
		k.fast.must.Stop()
	}
}

// row is a window, or a part of one, with what is known of its blocks. All of it
// is valid until the next row.
type row struct {
	window
	known     []image.Known // nil: there is no parent
	untouched []bool        // blocks that are as in the parent, by their MFT; nil: unknown
	same      bool          // all of them are, and none is read
}

// rows adds to windows, of blocks of size bytes, what is known of them, and
// cuts them where blocks that are read and blocks that are not come together.
func (k *known) rows(windows iter.Seq2[window, error], size int64) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for w, err := range windows {
			if err != nil {
				yield(row{}, fmt.Errorf("read the map of used clusters: %w", err))
				return
			}
			r, err := k.row(w, size)
			if err != nil {
				yield(row{}, err)
				return
			}
			if r.untouched == nil || k.fast.check {
				if !yield(r, nil) {
					return
				}
				continue
			}
			for r.n > 0 {
				if !yield(r.cut(size), nil) {
					return
				}
			}
		}
	}
}

// row asks what is known of a window.
func (k *known) row(w window, size int64) (r row, err error) {
	r.window = w
	if k.walk == nil {
		return r, nil
	}
	k.buf = k.buf[:0]
	for i := range w.n {
		one, err := k.walk.At(w.first + i)
		if err != nil {
			return r, fmt.Errorf("read what the set holds: %w", err)
		}
		k.buf = append(k.buf, one)
	}
	r.known = k.buf
	if r.untouched, err = k.fast.untouched(k.untouched, w.first, w.n, size, k.buf); r.untouched != nil {
		k.untouched = r.untouched
	}
	return r, err
}

// cut takes off the front of a row as many blocks as are to be read, or not to
// be read, alike. The used extents of the rest are shifted in place, so what was
// cut off has a copy of its own.
func (r *row) cut(size int64) row {
	n := int64(1)
	for n < r.n && r.untouched[n] == r.untouched[0] {
		n++
	}
	out := row{window: window{first: r.first, n: n}, known: r.known[:n], untouched: r.untouched[:n], same: r.untouched[0]}
	end := n * size
	rest := make([]block.Extent, 0, len(r.used))
	for _, e := range r.used {
		if e.Off < end {
			out.used = append(out.used, block.Extent{Off: e.Off, Len: min(e.End(), end) - e.Off})
		}
		if e.End() > end {
			from := max(e.Off, end)
			rest = append(rest, block.Extent{Off: from - end, Len: e.End() - from})
		}
	}
	r.first, r.n, r.used, r.known, r.untouched = r.first+n, r.n-n, rest, r.known[n:], r.untouched[n:]
	return out
}

// take copies a row into an item.
func (it *item) take(r *row) {
	it.first, it.n, it.same = r.first, r.n, r.same
	it.used = append(it.used[:0], r.used...)
	it.untouched = append(it.untouched[:0], r.untouched...)
	it.known = nil
	if r.known != nil {
		it.known = append(it.held[:0], r.known...)
		it.held = it.known
	}
}
