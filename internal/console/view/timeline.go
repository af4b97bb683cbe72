package view

import (
	"fmt"
	"time"
)

// Lane is one set of restore points on a timeline. Name, Note and Marks (in
// order of time) are given; Draw fills in the rest, in pixels.
type Lane struct {
	Name, Note string
	Marks      []Mark

	Y     float64
	Lines []Line
	Gaps  []Gap
}

// Mark is a restore point on a timeline.
type Mark struct {
	Type   string // full, differential or incremental
	Time   time.Time
	Name   string // said of it, to those who do not see it too
	Link   string
	Broken bool // cannot be restored
	Chosen bool

	X, Y float64
}

// Line joins two points: Path is for the d of an SVG path.
type Line struct {
	Path   string
	Broken bool
}

// Gap is where a chain is broken.
type Gap struct{ X, Y float64 }

// Tick is a date on the axis.
type Tick struct {
	X     float64
	Label string
}

// Timeline is a drawing of lanes.
type Timeline struct {
	Width, Height float64
	Fold          float64 // where older time begins to be narrower; 0 for nowhere
	Now           float64 // 0 when it is not on the drawing
	Ticks         []Tick
	Lanes         []Lane
}

// Sizes of the drawing.
const (
	lineLeft   = 134.0 // of it the names
	lineWide   = 1070.0
	lineMost   = 3000.0 // however many points there are
	lineRight  = 16.0
	lineTop    = 34.0
	lineFoot   = 22.0
	laneHigh   = 46.0
	hang       = 20.0 // of increments below the backup they start from
	olderShare = 0.36
	recent     = 31 * 24 * time.Hour
	tickApart  = 76.0
	nowRoom    = 92.0 // that no date takes from the word now
	markApart  = 9.0
)

// Draw places lanes on an axis of time, which ends now or soon after the last
// point. When the last month is the smaller part of it, what is older is drawn
// narrower. The drawing is wider where points are many, up to a limit.
func Draw(lanes []Lane, now time.Time) Timeline {
	a, ok := newAxis(lanes, now)
	if !ok {
		return Timeline{}
	}
	t := Timeline{Width: a.wide, Ticks: a.ticks(), Lanes: lanes}
	if a.folded {
		t.Fold = a.middle()
	}
	if !a.end.Before(now) {
		t.Now = a.x(now)
	}
	y := lineTop + 14
	for i := range lanes {
		lanes[i].Y = y
		y += laneHigh + lanes[i].draw(a)
	}
	t.Height = y + lineFoot - 14
	return t
}

// draw places the points of a lane and joins them. It gives the room that is
// needed below.
func (l *Lane) draw(a axis) (below float64) {
	var base, last *Mark // the full or differential that increments hang from, and the point before
	for i := range l.Marks {
		m := &l.Marks[i]
		m.X, m.Y = a.x(m.Time), l.Y
		hangs := m.Type == "incremental"
		if hangs {
			m.Y, below = l.Y+hang, hang+6
		}
		from := last
		if !hangs {
			from = base
		}
		l.join(from, m)
		if last = m; !hangs {
			base = m
		}
	}
	return below
}

// join draws the line from a point to the one that needs it, which a full does
// not. A point whose base is not drawn has a line from the left: it is broken
// when the point is.
func (l *Lane) join(from, to *Mark) {
	switch {
	case to.Type == "full":
		return
	case from == nil:
		l.Lines = append(l.Lines, Line{fmt.Sprintf("M%.1f %.1fH%.1f", to.X-16, to.Y, to.X), to.Broken})
		if to.Broken {
			l.Gaps = append(l.Gaps, Gap{to.X - 16, to.Y})
		}
		return
	case from.Y < to.Y:
		bend := min(4, max(to.X-from.X, 0))
		l.Lines = append(l.Lines, Line{fmt.Sprintf("M%.1f %.1fV%.1fq0 4 %.1f 4H%.1f", from.X, from.Y+6, to.Y-4, bend, to.X), to.Broken})
	default:
		l.Lines = append(l.Lines, Line{fmt.Sprintf("M%.1f %.1fH%.1f", from.X, to.Y, to.X), to.Broken})
	}
	if to.Broken && !from.Broken {
		l.Gaps = append(l.Gaps, Gap{(max(from.X, to.X-60) + to.X) / 2, to.Y})
	}
}

// axis is time from left to right.
type axis struct {
	start, end time.Time
	fold       time.Time
	folded     bool
	wide       float64
}

// newAxis makes the axis on which all points have a place; ok is false without
// any.
func newAxis(lanes []Lane, now time.Time) (a axis, ok bool) {
	for _, l := range lanes {
		for _, m := range l.Marks {
			if !ok || m.Time.Before(a.start) {
				a.start = m.Time
			}
			if !ok || m.Time.After(a.end) {
				a.end = m.Time
			}
			ok = true
		}
	}
	a.start, a.end = a.start.In(now.Location()), a.end.In(now.Location())
	switch since := now.Sub(a.end); {
	case since >= 0 && since <= recent:
		a.end = now
	default:
		a.end = a.end.Add(max(a.end.Sub(a.start)/40, time.Hour))
	}
	a.start = a.start.Add(-max(a.end.Sub(a.start)/60, time.Hour))
	if day := a.end.AddDate(0, 0, -1); a.start.After(day) {
		a.start = day
	}
	a.fold = a.end.Add(-recent)
	a.folded = a.end.Sub(a.start) > 2*recent
	a.wide = width(lanes, a)
	return a, ok
}

// width is how wide the drawing is to be, so that points keep apart.
func width(lanes []Lane, a axis) float64 {
	most := 0
	for _, l := range lanes {
		n := 0
		for _, m := range l.Marks {
			if !a.folded || m.Time.After(a.fold) {
				n++
			}
		}
		most = max(most, n)
	}
	need := markApart * float64(most)
	if a.folded {
		need /= 1 - olderShare
	}
	return min(max(lineWide, lineLeft+need+lineRight), lineMost)
}

// middle is where the fold is.
func (a axis) middle() float64 { return lineLeft + olderShare*(a.wide-lineRight-lineLeft) }

// x is the place of a moment.
func (a axis) x(t time.Time) float64 {
	from, to, left, right := a.start, a.end, lineLeft, a.wide-lineRight
	switch {
	case a.folded && t.Before(a.fold):
		to, right = a.fold, a.middle()
	case a.folded:
		from, left = a.fold, a.middle()
	}
	return left + (right-left)*float64(t.Sub(from))/float64(to.Sub(from))
}

// ticks are the dates on the axis, no two so close that they touch.
func (a axis) ticks() (out []Tick) {
	add := func(from, to time.Time) {
		next, label := calendar(to.Sub(from))
		for t := next(from); t.Before(to); t = next(t) {
			x := a.x(t)
			if n := len(out); (n == 0 || x-out[n-1].X >= tickApart) && x > lineLeft && x < a.wide-lineRight-nowRoom {
				out = append(out, Tick{x, label(t)})
			}
		}
	}
	if a.folded {
		add(a.start, a.fold)
		add(a.fold, a.end)
		return out
	}
	add(a.start, a.end)
	return out
}

// calendar gives the dates that divide a span: next is the first one after a
// moment. There are at most some dozens in the span, or one for each year.
func calendar(span time.Duration) (next func(time.Time) time.Time, label func(time.Time) string) {
	const day = 24 * time.Hour
	date := func(t time.Time, y, m, d int) time.Time {
		return time.Date(t.Year()+y, t.Month()+time.Month(m), d, 0, 0, 0, 0, t.Location())
	}
	format := func(layout string) func(time.Time) string {
		return func(t time.Time) string { return t.Format(layout) }
	}
	switch {
	case span <= 2*day:
		return func(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }, format("Mon 15:04")
	case span <= 62*day:
		return func(t time.Time) time.Time { return date(t, 0, 0, t.Day()+1) }, format("Mon 2 Jan")
	case span <= 3*366*day:
		return func(t time.Time) time.Time { return date(t, 0, 1, 1) }, func(t time.Time) string {
			if t.Month() == time.January {
				return t.Format("2006")
			}
			return t.Format("Jan")
		}
	}
	return func(t time.Time) time.Time { return time.Date(t.Year()+1, 1, 1, 0, 0, 0, 0, t.Location()) }, format("2006")
}
