package diskmap

import (
	"fmt"
	"math"
	"testing"
)

const gib = 1 << 30

// disk has n partitions of unlike sizes, out of order, with gaps between some.
func disk(n int) (size int64, parts []Part) {
	at := int64(1 << 20)
	for i := range n {
		p := Part{Index: i, Off: at, Size: int64(1+i%7*i) * gib, Used: int64(i) * gib / 3, Kind: []string{"os", "boot", "data"}[i%3]}
		at += p.Size
		if i%4 == 1 {
			at += 40 * gib
		}
		parts = append([]Part{p}, parts...)
	}
	return at + gib, parts
}

func TestSegmentsFillTheLane(t *testing.T) {
	for _, n := range []int{0, 1, 4, 16, 128} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			size, parts := disk(n)
			x, off, seen := 0.0, int64(-1), map[int]bool{}
			segs := Layout(size, parts)
			for _, s := range segs {
				if math.Abs(s.X-x) > 1e-6 || s.W <= 0 {
					t.Errorf("part %d is at %f, %f wide; the one before ends at %f", s.Index, s.X, s.W, x)
				}
				if s.Off <= off {
					t.Errorf("part %d at byte %d comes after byte %d", s.Index, s.Off, off)
				}
				x, off = s.X+s.W, s.Off
				if s.Kind != Gap {
					seen[s.Index] = true
				}
			}
			if math.Abs(x-100) > 1e-6 || len(seen) != n {
				t.Errorf("the lane ends at %f with %d parts", x, len(seen))
			}
		})
	}
}

func TestGapsAreComputed(t *testing.T) {
	segs := Layout(100*gib, []Part{{Index: 0, Off: 1 << 20, Size: 40 * gib, Used: -1, Kind: "os"}, {Index: 1, Off: 60 * gib, Size: 40 * gib, Used: 10 * gib, Kind: "data"}})
	if len(segs) != 3 || segs[1].Kind != Gap || segs[1].Size != 20*gib-1<<20 {
		t.Fatalf("%+v", segs)
	}
	if segs[0].Fill >= 0 || segs[2].Fill != 25 {
		t.Errorf("fills %f and %f", segs[0].Fill, segs[2].Fill)
	}
}

func TestWhatADamagedTableSays(t *testing.T) {
	big := int64(math.MaxInt64)
	segs := Layout(10*gib, []Part{{Off: 0, Size: big, Used: big}, {Off: gib, Size: -5, Used: 3}, {Off: big - 1, Size: big, Used: -1}, {Off: -gib, Size: gib}})
	x := 0.0
	for _, s := range segs {
		if math.IsNaN(s.W) || s.W < 0 || s.Fill > 100 || math.Abs(s.X-x) > 1e-6 {
			t.Errorf("%+v", s)
		}
		x = s.X + s.W
	}
	if math.Abs(x-100) > 1e-6 {
		t.Errorf("the lane ends at %f", x)
	}
}
