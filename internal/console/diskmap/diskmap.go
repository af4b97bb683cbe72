package diskmap

import (
	"cmp"
	"slices"
)

// Gap is the kind of a segment that no partition has.
const Gap = "gap"

// Part is a partition, in bytes of its disk.
type Part struct {
	Index     int // of the caller; -1 for a gap
	Off, Size int64
	Used      int64  // less than 0 when it is not known
	Kind      string // os, data, boot, rec, linux
}

// Segment is where a part is drawn.
type Segment struct {
	Part
	X, W float64 // in percent of the lane
	// Fill is how much of it is in use, in percent of the part; less than 0 when
	// it is not known.
	Fill float64
	// Stretched says that it is drawn more than three times as wide as to scale.
	Stretched bool
}

// smallest is the width that the name of a part needs, in thousandths of a lane.
func smallest(p Part) float64 {
	switch {
	case p.Kind == Gap:
		return 22
	case p.Size < 100<<20:
		return 94
	case p.Kind == "boot", p.Kind == "rec":
		return 126
	}
	return 150
}

// Layout gives the segments of a disk of size bytes, in the order of their
// offsets, side by side from 0 to 100 %. Parts that lie over each other, as only
// a damaged table has them, are drawn one after the other.
func Layout(size int64, parts []Part) []Segment {
	all := withGaps(size, parts)
	var total, floors float64
	for _, p := range all {
		total += float64(max(p.Size, 0))
		floors += smallest(p)
	}
	rest, shrink := max(0, 1000-floors), min(1, 1000/max(floors, 1))
	out, x := make([]Segment, 0, len(all)), 0.0
	for _, p := range all {
		share := float64(max(p.Size, 0)) / max(total, 1)
		w := (smallest(p)*shrink + rest*share) / 10
		out = append(out, Segment{Part: p, X: x, W: w, Fill: fill(p), Stretched: w > 300*share})
		x += w
	}
	if n := len(out); n > 0 {
		out[n-1].W = 100 - out[n-1].X // whatever the sums have lost
	}
	return out
}

// fill is how much of a part is in use; a little of something is seen.
func fill(p Part) float64 {
	if p.Used < 0 || p.Size <= 0 {
		return -1
	}
	f := min(100, 100*float64(p.Used)/float64(p.Size))
	if p.Used > 0 {
		f = max(f, 1.5)
	}
	return f
}

// withGaps gives the parts by offset, with the gaps that are worth drawing.
func withGaps(size int64, parts []Part) []Part {
	sorted := slices.Clone(parts)
	slices.SortStableFunc(sorted, func(a, b Part) int { return cmp.Compare(a.Off, b.Off) })
	worth := max(8<<20, size/500)
	var out []Part
	at := int64(0)
	gap := func(to int64) {
		if to-at >= worth {
			out = append(out, Part{Index: -1, Off: at, Size: to - at, Used: -1, Kind: Gap})
		}
	}
	for _, p := range sorted {
		gap(p.Off)
		out = append(out, p)
		if end := p.Off + p.Size; end > at {
			at = end
		}
	}
	gap(size)
	return out
}
