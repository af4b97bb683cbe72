package backup

import (
	"iter"

	"ingot/internal/block"
)

// zeros walks the map of what is stored as zeros, side by side with the windows
// of the used map.
type zeros struct {
	next func() (block.Extent, error, bool)
	stop func()
	cur  block.Extent // not yet behind a window
	ok   bool
}

// newZeros begins a walk over a map in memory, which has no errors.
func newZeros(m block.Map) *zeros {
	z := new(zeros)
	z.next, z.stop = iter.Pull2(m.Extents())
	z.cur, _, z.ok = z.next()
	return z
}

// leave appends to out what of the used extents, which are counted from base,
// is not stored as zeros. Each call begins behind the one before.
func (z *zeros) leave(out, used []block.Extent, base int64) []block.Extent {
	for _, e := range used {
		for e.Len > 0 {
			for z.ok && z.cur.End() <= base+e.Off {
				z.cur, _, z.ok = z.next()
			}
			end := e.End()
			if z.ok {
				end = min(end, max(z.cur.Off-base, e.Off))
			}
			if end > e.Off {
				out = append(out, block.Extent{Off: e.Off, Len: end - e.Off})
			}
			if z.ok {
				end = max(end, min(e.End(), z.cur.End()-base))
			}
			e = block.Extent{Off: end, Len: e.End() - end}
		}
	}
	return out
}
