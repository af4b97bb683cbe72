package block

import (
	"fmt"
	"iter"
)

// Piece is a range of a Reader and what of it matters.
type Piece struct {
	Extent
	Used []Extent // ascending, relative to the piece
}

// Bytes is how much of the piece matters.
func (p *Piece) Bytes() (n int64) {
	for _, e := range p.Used {
		n += e.Len
	}
	return n
}

// Pieces cuts what m holds of size bytes for a copy that stores whole units: a
// piece is a row of units that have a byte in m each, and never goes across a
// multiple of limit, which is one of unit. The last unit may be short.
func Pieces(m Map, unit, limit, size int64) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		var cur Piece
		for e, err := range Clip(m, 0, size).Extents() {
			if err != nil {
				yield(Piece{}, err)
				return
			}
			for e.Len > 0 {
				start := e.Off / unit * unit
				if cur.Len > 0 && (start > cur.End() || e.Off >= cur.Off/limit*limit+limit) {
					if !yield(cur, nil) {
						return
					}
					cur = Piece{}
				}
				if cur.Len == 0 {
					cur.Off = start
				}
				end := min(e.End(), cur.Off/limit*limit+limit)
				cur.Used = append(cur.Used, Extent{e.Off - cur.Off, end - e.Off})
				cur.Len = min((end+unit-1)/unit*unit, size) - cur.Off
				e = Extent{end, e.End() - end}
			}
		}
		if cur.Len > 0 {
			yield(cur, nil)
		}
	}
}

// Load reads the piece from r into the front of buf, with zeros where nothing
// matters, so that what was deleted does not come along. It reads at once what
// is dense, and what is not extent by extent.
func (p *Piece) Load(r Reader, buf []byte) error {
	buf = buf[:p.Len]
	if p.Bytes() < p.Len/8 {
		clear(buf)
		for _, e := range p.Used {
			if _, err := r.ReadAt(buf[e.Off:e.End()], p.Off+e.Off); err != nil {
				return fmt.Errorf("read %d bytes at byte %d: %w", e.Len, p.Off+e.Off, err)
			}
		}
		return nil
	}
	if _, err := r.ReadAt(buf, p.Off); err != nil {
		return fmt.Errorf("read %d bytes at byte %d: %w", p.Len, p.Off, err)
	}
	var pos int64
	for _, e := range p.Used {
		clear(buf[pos:e.Off])
		pos = e.End()
	}
	clear(buf[pos:])
	return nil
}

// Filled adds to out the stretches of units of the loaded piece that are not
// zeros, relative to the piece.
func (p *Piece) Filled(buf []byte, unit int64, out []Extent) []Extent {
	for off := int64(0); off < p.Len; off += unit {
		e := Extent{off, min(unit, p.Len-off)}
		if Zeros(buf[e.Off:e.End()]) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].End() == e.Off {
			out[n-1].Len += e.Len
		} else {
			out = append(out, e)
		}
	}
	return out
}

// Intersect is what of size bytes is in both a and b.
func Intersect(a, b Map, size int64) Map {
	return Subtract(Clip(a, 0, size), Subtract(Whole(size), b))
}

// Shift is m with all of it off bytes further on.
func Shift(m Map, off int64) Map { return shifted{m, off} }

type shifted struct {
	m   Map
	off int64
}

// Extents implements Map.
func (s shifted) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for e, err := range s.m.Extents() {
			if err == nil {
				e.Off += s.off
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
