package block

import "iter"

// Joined is a map of extents that come in order: those that touch become one.
// walk calls add for each until that is false; its error ends the map.
func Joined(walk func(add func(Extent) bool) error) Map { return joined(walk) }

type joined func(add func(Extent) bool) error

// Extents implements Map.
func (walk joined) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		var cur Extent
		left := false // the one who asked wants no more
		err := walk(func(e Extent) bool {
			if cur.Len > 0 && cur.End() == e.Off {
				cur.Len += e.Len
				return true
			}
			left = left || cur.Len > 0 && !yield(cur, nil)
			cur = e
			return !left
		})
		if left || cur.Len > 0 && !yield(cur, nil) {
			return
		}
		if err != nil {
			yield(Extent{}, err)
		}
	}
}
