package block

import "iter"

// Subtract is what is in a and not in b. It walks both as it goes and holds
// neither. An error of b matters as far as a reaches.
func Subtract(a, b Map) Map { return difference{a, b} }

type difference struct{ a, b Map }

// Extents implements Map.
func (d difference) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		next, stop := iter.Pull2(d.b.Extents())
		defer stop()
		gone := cursor{next: next}
		gone.step()
		for e, err := range d.a.Extents() {
			if err == nil {
				e, err = gone.cut(e, yield)
			}
			if err != nil {
				yield(Extent{}, err)
				return
			}
			if e.Len < 0 {
				return
			}
			if e.Len > 0 && !yield(e, nil) {
				return
			}
		}
	}
}

// cut yields what is left of e before and between the extents of the cursor,
// and returns what is left behind them. Its length is negative when nobody
// wants more.
func (c *cursor) cut(e Extent, yield func(Extent, error) bool) (Extent, error) {
	for c.ok && c.err == nil && c.e.Off < e.End() {
		if before := c.e.Off - e.Off; before > 0 {
			if !yield(Extent{e.Off, before}, nil) {
				return Extent{Len: -1}, nil
			}
		}
		if c.e.End() >= e.End() { // it may reach into what follows
			return Extent{e.End(), 0}, nil
		}
		if from := max(e.Off, c.e.End()); from > e.Off {
			e = Extent{from, e.End() - from}
		}
		c.step()
	}
	return e, c.err
}
