package backup

import (
	"iter"

	"ingot/internal/block"
)

// window is a row of neighbouring blocks with at least one used byte in each.
type window struct {
	first, n int64          // blocks
	used     []block.Extent // what is used, from the start of the window; valid until the next one
}

// windows cuts the used map of an area into windows of at most per blocks.
func windows(m block.Map, blockSize, per int64) iter.Seq2[window, error] {
	return func(yield func(window, error) bool) {
		var cur window
		for e, err := range m.Extents() {
			if err != nil {
				yield(window{}, err)
				return
			}
			for e.Len > 0 {
				b := e.Off / blockSize
				if cur.n > 0 && (b > cur.first+cur.n || b >= cur.first+per) {
					if !yield(cur, nil) {
						return
					}
					cur.n = 0
				}
				if cur.n == 0 {
					cur = window{first: b, used: cur.used[:0]}
				}
				end := min(e.End(), (cur.first+per)*blockSize)
				cur.used = append(cur.used, block.Extent{Off: e.Off - cur.first*blockSize, Len: end - e.Off})
				cur.n = (end-1)/blockSize + 1 - cur.first
				e = block.Extent{Off: end, Len: e.End() - end}
			}
		}
		if cur.n > 0 {
			yield(cur, nil)
		}
	}
}

// zeroFree sets the bytes of raw that are in none of the used extents to zero.
func zeroFree(raw []byte, used []block.Extent) {
	var pos int64
	for _, e := range used {
		clear(raw[pos:e.Off])
		pos = e.End()
	}
	clear(raw[pos:])
}
