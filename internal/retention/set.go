package retention

import (
	"cmp"
	"slices"
	"time"

	"ingot/internal/plan"
)

// Set is a backup set as retention sees it.
type Set struct {
	ID string
	// Disk is the same for sets that hold the same partitions of the same disk.
	Disk string
	// Begun is when the first backup of the set was made. It is a fact of the set
	// and does not change when its full is rolled forward (backupset_time of
	// the layout). When it is not known the time of the first point stands in.
	Begun time.Time
	// Current is true for the set that is written to: it is newer than all
	// others, whatever the dates say. At most one of each disk is, and none of a
	// disk of which no backups are made any more.
	Current bool
	Points  []Point // in any order
}

// Point is one backup: a point in time that can be restored if its chain is whole.
type Point struct {
	Type      plan.Type
	Increment int // increment_number: counts the backups of the set
	Time      time.Time
	Files     []int    // file numbers, ascending; more than one when it is split
	Names     []string // of the files
	Size      int64    // bytes of all files
	Protected bool
	// Whole is true when the files of this point are there, complete and
	// undamaged. What it is based on speaks for itself.
	Whole bool
}

// point is a Point in its place, with what is said for and against it.
type point struct {
	Point
	set    *set
	parent *point    // what it is based on; nil for a full, or when there is nothing
	whole  bool      // with all it is based on
	since  time.Time // its time for reckoning ages

	doom  string // why it should go; empty when it should not
	pin   string // why it must stay; empty when it need not
	place string // which rule lets it stay

	action Action
	into   *point // which takes it up
	note   string // what happens to it although it stays, or why it stays although it is doomed
}

func (p *point) stays() bool { return p.pin != "" || p.doom == "" }

// set is a Set with its points in order.
type set struct {
	Set
	points []*point
	alone  string // why no rule is applied to it
	order  int    // among all sets of the folder
}

// folder is what rules are applied to: sets from the oldest to the newest.
type folder []*set

// arrange puts sets and points in order and chains the points.
func arrange(sets []Set, now time.Time) folder {
	f := make(folder, 0, len(sets))
	for _, s := range sets {
		f = append(f, newSet(s, now))
	}
	slices.SortStableFunc(f, func(a, b *set) int {
		return cmp.Or(compareBool(a.Current, b.Current), a.Begun.Compare(b.Begun), cmp.Compare(a.ID, b.ID))
	})
	for i, s := range f {
		s.order = i
	}
	return f
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func newSet(in Set, now time.Time) *set {
	s := &set{Set: in}
	for _, p := range in.Points {
		s.points = append(s.points, &point{Point: p, set: s, action: Keep})
	}
	slices.SortStableFunc(s.points, func(a, b *point) int {
		return cmp.Or(cmp.Compare(a.Increment, b.Increment), slices.Compare(a.Files, b.Files), a.Time.Compare(b.Time))
	})
	if s.Begun.IsZero() && len(s.points) > 0 {
		s.Begun = s.points[0].Time
	}
	s.chain(now)
	return s
}

// chain finds what each point is based on: an incremental on the point before
// it, a differential on the full.
func (s *set) chain(now time.Time) {
	var full *point
	for i, p := range s.points {
		switch {
		case p.Type == plan.Full:
			full = p
		case p.Type == plan.Differential:
			p.parent = full
		case i > 0:
			p.parent = s.points[i-1]
		}
		p.whole = p.Whole && (p.Type == plan.Full || p.parent != nil && p.parent.whole)
		p.since = earliest(now, latest(p.Time, s.Begun))
		if p.parent != nil {
			p.since = latest(p.since, p.parent.since)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// regular says whether the set is one full and what follows it.
func (s *set) regular() bool {
	for i, p := range s.points {
		if (p.Type == plan.Full) != (i == 0) {
			return false
		}
	}
	return true
}

// newest walks the points of the sets from the newest to the oldest.
func (f folder) newest() func(yield func(*point) bool) {
	return func(yield func(*point) bool) {
		for _, s := range slices.Backward(f) {
			for _, p := range slices.Backward(s.points) {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// disks gives the sets of each disk, the disks in the order of their oldest sets.
func (f folder) disks() []folder {
	var out []folder
	at := map[string]int{}
	for _, s := range f {
		i, ok := at[s.Disk]
		if !ok {
			i = len(out)
			at[s.Disk] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], s)
	}
	return out
}

// ruled are the sets that rules are applied to; the others learn why not.
func (f folder) ruled(scope plan.Scope, run Run) folder {
	var out folder
	for _, s := range f {
		switch {
		case scope == plan.Matching && run.Disk != "" && s.Disk != run.Disk:
			s.alone = "another disk: the rules are for matching sets"
		case s.Begun.After(run.Now) && !s.Current:
			s.alone = "left alone: its set began in the future, " + date(s.Begun)
		case len(s.points) > 0:
			out = append(out, s)
		}
	}
	return out
}

func date(t time.Time) string { return t.Format(time.DateOnly) }
