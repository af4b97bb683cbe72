package block

import "iter"

// Differ gives what is in one of two maps and not in the other.
func Differ(a, b Map) Map { return unlike{a, b} }

type unlike struct{ a, b Map }

// Extents implements Map. Extents may touch where one map ends and the other
// begins.
func (d unlike) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		var heads [2]cursor
		for i, m := range []Map{d.a, d.b} {
			next, stop := iter.Pull2(m.Extents())
			defer stop()
			heads[i].next = next
			heads[i].step()
		}
		for heads[0].ok || heads[1].ok {
			low := lowest(heads[:])
			if low.err != nil {
				yield(Extent{}, low.err)
				return
			}
			other := &heads[0]
			if low == other {
				other = &heads[1]
			}
			if other.ok && other.e.Off == low.e.Off {
				end := min(low.e.End(), other.e.End())
				low.leave(end)
				other.leave(end)
				continue
			}
			end := low.e.End()
			if other.ok {
				end = min(end, other.e.Off)
			}
			if !yield(Extent{low.e.Off, end - low.e.Off}, nil) {
				return
			}
			low.leave(end)
		}
	}
}

// leave goes to the first byte from end on; end lies within the extent or
// behind it.
func (c *cursor) leave(end int64) {
	if end == c.e.End() {
		c.step()
		return
	}
	c.e = Extent{end, c.e.End() - end}
}
