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
	if rules.Scope == plan.AllSets {
		judge(rules.Full, plan.Full, f.fulls(), run.coming(plan.Full, run.Disk), run.Now)
	} else {
		for _, disk := range disks {
			judge(rules.Full, plan.Full, disk.fulls(), run.coming(plan.Full, disk[0].Disk), run.Now)
		}
	}
	for _, disk := range disks {
		disk.spare(run)
		for _, s := range disk {
			condemnWith(s.points[0], s.points[1:], "its full")
		}
		disk.condemnParts(rules, run)
	}
}

// condemnParts applies the limits on differentials and incrementals to the
// sets of one disk.
func (f folder) condemnParts(rules plan.Retention, run Run) {
	judge(rules.Differential, plan.Differential, f.ofType(plan.Differential), run.coming(plan.Differential, f[0].Disk), run.Now)
	for _, s := range f {
		for _, r := range s.runs() {
			if r.anchor.Type == plan.Differential {
				condemnWith(r.anchor, r.incs, "its differential")
			}
		}
	}
	judge(rules.Incremental, plan.Incremental, f.ofType(plan.Incremental), run.coming(plan.Incremental, f[0].Disk), run.Now)
}

// coming is how many backups of a type are about to join those of a disk.
func (r Run) coming(t plan.Type, disk string) int {
	if r.Coming == t && (r.Disk == "" || r.Disk == disk) {
		return 1
	}
	return 0
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
func condemnWith(root *point, based []*point, what string) {
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
	if run.coming(plan.Full, f[0].Disk) > 0 {
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

// judge applies a limit to points of a type, the newest first, when so many
// places are taken already. Damaged points take none.
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
