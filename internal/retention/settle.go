package retention

import (
	"fmt"
	"slices"

	"ingot/internal/plan"
)

// run is a full or differential and the incrementals that follow it, each
// based on the one before.
type run struct {
	anchor *point
	incs   []*point
}

// runs cuts a set. In a regular set the first run is that of the full.
func (s *set) runs() []run {
	var out []run
	for _, p := range s.points {
		if len(out) == 0 || p.Type != plan.Incremental {
			out = append(out, run{anchor: p})
			continue
		}
		last := &out[len(out)-1]
		last.incs = append(last.incs, p)
	}
	return out
}

// settle brings the set to where only the points are left that stay, as far as
// no chain breaks.
func (s *set) settle(synthetic bool) []Op {
	if !slices.ContainsFunc(s.points, (*point).stays) {
		return []Op{remove(DeleteSet, s.points)}
	}
	if !s.regular() {
		for _, p := range s.points {
			if !p.stays() {
				p.remark("its set does not begin with its only full and is left as it is")
			}
		}
		return nil
	}
	var ops []Op
	runs := s.runs()
	for _, r := range runs[1:] {
		gone := r.settleDifferential(&ops)
		synthetic = synthetic && gone
	}
	if synthetic {
		runs[0].roll(&ops)
	}
	runs[0].settle(&ops)
	return ops
}

// settleDifferential says whether the whole run goes.
func (r run) settleDifferential(ops *[]Op) (gone bool) {
	if !r.anchor.stays() && !slices.ContainsFunc(r.incs, (*point).stays) {
		*ops = append(*ops, remove(Delete, append([]*point{r.anchor}, r.incs...)))
		return true
	}
	r.settle(ops)
	return false
}

// settle deletes the incrementals that go at the end of a run, and merges each
// stretch of others into the one that follows it. The anchor stays.
func (r run) settle(ops *[]Op) {
	if !r.anchor.stays() && r.anchor.note == "" {
		r.anchor.remark("others that stay are based on it")
	}
	end := len(r.incs)
	for end > 0 && !r.incs[end-1].stays() {
		end--
	}
	if end < len(r.incs) {
		*ops = append(*ops, remove(Delete, r.incs[end:]))
	}
	r.incs = r.incs[:end]
	r.merge(ops)
}

// merge has each stretch of incrementals that go taken up by the next one. The
// last one before a damaged one takes up others but stays itself, and nothing
// is done from there on.
func (r run) merge(ops *[]Op) {
	begin := 0
	for i, p := range r.incs {
		dead := i+1 < len(r.incs) && !r.incs[i+1].whole
		switch {
		case p.stays():
		case !p.whole:
			p.remark("damaged, and others that stay are based on it")
		case dead:
			p.remark("it cannot be merged into a damaged one")
		}
		if p.whole && (p.stays() || dead) {
			if begin < i {
				*ops = append(*ops, takeUp(Merge, r.incs[begin:i+1], fmt.Sprintf("takes up %d older", i-begin)))
			}
			begin = i + 1
		}
	}
}

// roll makes a full of the anchor and its oldest incrementals: those that go,
// and one that is doomed but pinned if it comes next. It stops before a damaged
// one, and it leaves a pinned full alone.
func (r *run) roll(ops *[]Op) {
	k := 0
	for k < len(r.incs) && r.incs[k].whole && !r.incs[k].stays() {
		k++
	}
	if k < len(r.incs) && r.incs[k].whole && r.incs[k].doom != "" {
		k++
	}
	if k == 0 || r.anchor.pin != "" {
		return
	}
	points := append([]*point{r.anchor}, r.incs[:k]...)
	*ops = append(*ops, takeUp(Roll, points, "becomes the full"))
	*r = run{anchor: points[k], incs: r.incs[k:]}
}

func takeUp(kind Kind, points []*point, note string) Op {
	last := points[len(points)-1]
	for _, p := range points[:len(points)-1] {
		p.action, p.into = TakenUp, last
	}
	last.remark(note)
	first := points[0]
	if kind == Roll {
		first = points[1]
	}
	return Op{Kind: kind, Set: last.set.ID, Points: plain(points), Reason: first.doom}
}

// remove deletes points, the newest first.
func remove(kind Kind, points []*point) Op {
	for _, p := range points {
		p.action = Removed
	}
	out := plain(points)
	slices.Reverse(out)
	return Op{Kind: kind, Set: points[0].set.ID, Points: out, Reason: points[0].doom}
}

func plain(points []*point) []Point {
	out := make([]Point, len(points))
	for i, p := range points {
		out[i] = p.Point
	}
	return out
}

// remark adds to the reason of a point.
func (p *point) remark(text string) {
	if p.note != "" {
		text = p.note + "; " + text
	}
	p.note = text
}
