package preview

import (
	"slices"
	"sort"
	"time"

	"ingot/internal/plan"
	"ingot/internal/retention"
)

// Calendar is what will happen.
type Calendar struct {
	From, To time.Time
	Runs     []Run
	// Held are the points in time that there are at the end, the oldest first.
	Held []Point
	// Events are the schedules that wait for something other than the clock, in
	// words.
	Events []string
	after  [][]Point // what there is when each of Runs is done
	// Cut says that there were more runs than MostRuns: To is that of the last.
	Cut bool
}

// Run is one backup, and what retention did with it.
type Run struct {
	Time   time.Time
	Type   plan.Type // as it will be: the first is a full
	Asked  plan.Type // as the schedules say
	Reason string
	// Deleted and Merged are how many points went, Points how many there are
	// when it is done.
	Deleted, Merged, Points int
	// Fulls is how many fulls there are at the most while it runs.
	Fulls int
}

// Point is a point in time that can be restored.
type Point struct {
	Time time.Time
	Type plan.Type
}

// MostRuns is how many runs are looked at: 60 days of one each hour.
const MostRuns = 1500

// Simulate lets days pass from a moment on, by the clock of local (of the
// machine; nil is time.Local). host is for random delays.
func Simulate(d *plan.Definition, from time.Time, days int, local *time.Location, host string) (*Calendar, error) {
	loc, err := d.Location(local)
	if err != nil {
		return nil, err
	}
	from = from.In(loc)
	c := &Calendar{From: from, To: from.AddDate(0, 0, days)}
	s := &simulation{Definition: d, Calendar: c}
	for i := range d.Schedules {
		if d.Schedules[i].Event() {
			c.Events = append(c.Events, d.Schedules[i].Type.String()+" "+d.Schedules[i].String())
		}
	}
	now := plan.Situation{Now: from, Local: loc, Host: host}
	var st plan.State
	for {
		run, next, settled := d.Due(st, now)
		st = settled
		if run != nil {
			st = run.State
			s.run(run, now.Now)
		}
		if c.Cut = len(c.Runs) == MostRuns; c.Cut {
			c.To = now.Now
		}
		if next.IsZero() || next.After(c.To) || c.Cut {
			break
		}
		now.Now = next.In(loc)
	}
	c.Held = s.held()
	return c, nil
}

// At gives the points in time that there are at t, the oldest first.
func (c *Calendar) At(t time.Time) []Point {
	n := sort.Search(len(c.Runs), func(i int) bool { return c.Runs[i].Time.After(t) })
	if n == 0 {
		return nil
	}
	return c.after[n-1]
}

// simulation is a folder with the backups of one disk.
type simulation struct {
	*plan.Definition
	*Calendar
	sets []retention.Set // the oldest first
}

// disk is the one there is.
const disk = "disk"

func (s *simulation) run(due *plan.Run, now time.Time) {
	r := Run{Time: now, Type: due.Type, Asked: due.Type, Reason: due.Reason}
	if len(s.sets) == 0 {
		r.Type = plan.Full
	}
	rules := s.Retention
	if rules.PurgeBefore {
		s.purge(&r, retention.Run{Now: now, Disk: disk, Coming: r.Type})
	}
	s.backup(r.Type, now)
	r.Fulls = len(s.sets)
	if !rules.PurgeBefore {
		s.purge(&r, retention.Run{Now: now, Disk: disk})
	}
	for _, set := range s.sets {
		r.Points += len(set.Points)
	}
	s.Runs, s.after = append(s.Runs, r), append(s.after, s.held())
}

func (s *simulation) held() (out []Point) {
	for _, set := range s.sets {
		for _, p := range set.Points {
			out = append(out, Point{p.Time, p.Type})
		}
	}
	return out
}

func (s *simulation) backup(typ plan.Type, now time.Time) {
	if typ == plan.Full {
		for i := range s.sets {
			s.sets[i].Current = false
		}
		s.sets = append(s.sets, retention.Set{ID: now.UTC().Format(time.RFC3339Nano), Disk: disk, Begun: now, Current: true})
	}
	set := &s.sets[len(s.sets)-1]
	number := 0
	if n := len(set.Points); n > 0 {
		number = set.Points[n-1].Increment + 1
	}
	set.Points = append(set.Points, retention.Point{Type: typ, Increment: number, Time: now, Files: []int{number}, Size: 1, Whole: true})
}

// purge carries out what the rules decide.
func (s *simulation) purge(r *Run, occasion retention.Run) {
	if rules := s.Retention; !rules.Limited() && rules.GFS == (plan.GFS{}) && !rules.SyntheticFull {
		return
	}
	for _, op := range retention.Decide(s.Retention, s.sets, occasion).Ops {
		i := slices.IndexFunc(s.sets, func(set retention.Set) bool { return set.ID == op.Set })
		gone := op.Points
		switch op.Kind {
		case retention.Merge, retention.Roll:
			gone = op.Points[:len(op.Points)-1]
			r.Merged += len(gone)
		default:
			r.Deleted += len(gone)
		}
		if op.Kind == retention.DeleteSet {
			s.sets = slices.Delete(s.sets, i, i+1)
			continue
		}
		set := &s.sets[i]
		set.Points = slices.DeleteFunc(set.Points, func(p retention.Point) bool {
			return slices.ContainsFunc(gone, func(g retention.Point) bool { return g.Increment == p.Increment })
		})
		if op.Kind == retention.Roll {
			set.Points[0].Type = plan.Full
		}
	}
}
