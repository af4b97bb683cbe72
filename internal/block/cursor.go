package block

import "iter"

// Cursor walks a Map once, along with something else that ascends. Stop it.
type Cursor struct {
	c    cursor
	stop func()
}

// NewCursor begins a walk.
func NewCursor(m Map) *Cursor {
	next, stop := iter.Pull2(m.Extents())
	c := &Cursor{cursor{next: next}, stop}
	c.c.step()
	return c
}

// Meets says whether the map holds a byte of e, which begins at or behind the
// start of the one asked for before.
func (c *Cursor) Meets(e Extent) (bool, error) {
	for c.c.ok && c.c.err == nil && c.c.e.End() <= e.Off {
		c.c.step()
	}
	return c.c.ok && c.c.e.Off < e.End(), c.c.err
}

// Within gives what the map holds of e, relative to its start. e begins at or
// behind the end of the one asked for before.
func (c *Cursor) Within(e Extent) ([]Extent, error) {
	var out []Extent
	for c.c.ok && c.c.err == nil && c.c.e.Off < e.End() {
		if lo, hi := max(c.c.e.Off, e.Off), min(c.c.e.End(), e.End()); lo < hi {
			out = append(out, Extent{lo - e.Off, hi - lo})
		}
		if c.c.e.End() > e.End() {
			break
		}
		c.c.step()
	}
	return out, c.c.err
}

// Stop ends the walk.
func (c *Cursor) Stop() { c.stop() }
