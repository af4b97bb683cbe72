package retention

import (
	"fmt"
	"slices"
	"time"

	"ingot/internal/plan"
)

// condemn marks what should go by the limits, or, where GFS stands alone, what
// it does not name.
func (f folder) condemn(rules plan.Retention, run Run) {
	if !rules.Limited() {
		if rules.GFS != (plan.GFS{}) {
			f.condemnUnnamed()
		}
		return
	}
	disks := f.disks()
	for _, group := range fullGroups(f, disks, rules.Scope) {
		judge(rules.Full, plan.Full, group.fulls(), group.coming(plan.Full, run), run.Now)
	}
	for _, disk := range disks {
		disk.spare(run)
		for _, s := range disk {
			s.condemnWith(s.points[0], s.points[1:], "its full")
		}
		judge(rules.Differential, plan.Differential, disk.ofType(plan.Differential), disk.coming(plan.Differential, run), run.Now)
		for _, s := range disk {
			for _, r := range s.runs() {
				if r.anchor.Type == plan.Differential {
					s.condemnWith(r.anchor, r.incs, "its differential")
				}
			}
		}
		judge(rules.Incremental, plan.Incremental, disk.ofType(plan.Incremental), disk.coming(plan.Incremental, run), run.Now)
	}
}

// fullGroups are the sets among which fulls are counted.
func fullGroups(all folder, disks []folder, scope plan.Scope) []folder {
	if scope == plan.AllSets {
		return []folder{all}
	}
	return disks
}

// condemnUnnamed dooms what GFS does not name.
func (f folder) condemnUnnamed() {
	for p := range f.newest() {
		if p.place == "" {
			p.doom = "not named by any rule"
		}
	}
}

// condemnWith dooms what goes with a doomed point.
func (s *set) condemnWith(root *point, based []*point, what string) {
	if root.doom == "" {
		return
	}
	for _, p := range based {
		if p.doom == "" {
			p.doom = fmt.Sprintf("goes with %s: %s", what, root.doom)
		}
	}
}

// spare keeps the limit on fulls off the last good set of a disk and off the
// one that is written to.
func (f folder) spare(run Run) {
	why := "the last good set stays"
	if run.Coming == plan.Full && (run.Disk == "" || run.Disk == f[0].Disk) {
		why += " until the new full is complete"
	}
	for p := range f.newest() {
		if p.whole {
			p.set.spare(why)
			break
		}
	}
	for _, s := range f {
		if s.Current {
			s.spare("the set that is written to stays")
		}
	}
}

func (s *set) spare(why string) {
	if p := s.points[0]; p.doom != "" {
		p.place, p.doom = p.doom, ""
		p.remark(why)
	}
}

// fulls are the first points of the sets, the newest first; where a full is
// missing, the first point stands for it.
func (f folder) fulls() []*point {
	var out []*point
	for _, s := range slices.Backward(f) {
		out = append(out, s.points[0])
	}
	return out
}

// ofType are the points of a type, the newest first.
func (f folder) ofType(t plan.Type) []*point {
	var out []*point
	for p := range f.newest() {
		if p.Type == t {
			out = append(out, p)
		}
	}
	return out
}

// coming is how many backups of a type are about to join these.
func (f folder) coming(t plan.Type, run Run) int {
	here := run.Disk == "" || slices.ContainsFunc(f, func(s *set) bool { return s.Disk == run.Disk })
	if run.Coming == t && here {
		return 1
	}
	return 0
}

// judge applies a limit to points of a type, the newest first. Damaged points
// take no place.
func judge(k plan.Keep, t plan.Type, points []*point, taken int, now time.Time) {
	if !k.On() {
		return
	}
	for _, p := range points {
		why, gone := "", false
		if k.Unit == plan.Backups {
			why, gone = fmt.Sprintf("%s %d of keep %d", t, taken+1, k.N), taken >= k.N
		} else {
			why, gone = fmt.Sprintf("%s of %s, keep %s", t, date(p.since.In(now.Location())), k), p.since.Before(k.Cutoff(now))
		}
		if p.whole {
			taken++
		} else {
			why += ", damaged"
		}
		if !gone {
			p.place = why
		} else if p.doom == "" {
			p.doom = why
		}
	}
}
