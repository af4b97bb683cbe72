package retention

import (
	"fmt"
	"slices"

	"ingot/internal/plan"
)

// Space is what is known of the room on a destination, in bytes.
type Space struct {
	Free int64
	Need int64 // what is still to be written
	// Own is the ID of the set that is being written. It never goes.
	Own string
}

// DecideSpace says which sets go so that at least rules.MinFree bytes are free
// after Need more have been written: the oldest first, one operation each. Free space is
// better measured again after each of them than reckoned from their sizes; ask
// again then.
//
// Within the scope of the rules any set may go, whatever limits and GFS say of it, but the one that
// is being written, one with a protected point, and one without which
// its disk would have fewer good points than the minimum. With rules.DropLast, no
// Minimum set, and a full to come, those of Run.Disk go below one good point
// when nothing else is left.
//
// Decision.Short is what is wanting after all of that. With MinFree off nothing goes.
func DecideSpace(rules plan.Retention, sets []Set, run Run, space Space) Decision {
	f := arrange(sets, run.Now)
	l := lowSpace{rules: rules, run: run, own: space.Own, free: space.Free, goal: max(0, rules.MinFree) + space.Need}
	ruled := f.ruled(rules.Scope, run)
	var ops []Op
	if rules.MinFree > 0 {
		ops = l.purge(ruled)
	}
	return Decision{Verdicts: f.verdicts(), Ops: ops, Short: max(0, l.goal-l.free)}
}

type lowSpace struct {
	rules      plan.Retention
	run        Run
	own        string
	free, goal int64
}

func (l *lowSpace) purge(sets folder) (ops []Op) {
	good := map[string]int{} // points of each disk that can be restored
	for _, s := range sets {
		good[s.Disk] += s.good()
	}
	for _, s := range sets {
		left, held := good[s.Disk]-s.good(), l.held(s)
		if held == "" && s.good() > 0 && left < l.rules.Least() {
			held = "needed for the minimum of good points"
		}
		if held != "" {
			s.say(held)
			continue
		}
		ops = append(ops, l.drop(s, "the oldest set goes"))
		good[s.Disk] = left
	}
	for _, s := range sets {
		if s.points[0].action == Keep && l.mayDropLast(s) && l.held(s) == "" {
			ops = append(ops, l.drop(s, "the last good set goes, as the rules allow: until the new full is complete there is none"))
		}
	}
	return ops
}

// good is how many points of the set can be restored.
func (s *set) good() int {
	n := 0
	for _, p := range s.points {
		if p.whole {
			n++
		}
	}
	return n
}

// held says why a set may not go whatever the minimum is; empty when it may.
func (l *lowSpace) held(s *set) string {
	switch {
	case l.free >= l.goal:
		return "enough space is free"
	case s.ID == l.own:
		return "the set that is written to"
	case slices.ContainsFunc(s.points, func(p *point) bool { return p.Protected }):
		return "its set has a protected point"
	}
	return ""
}

func (s *set) say(why string) {
	for _, p := range s.points {
		p.place = why
	}
}

// mayDropLast says whether the user allowed that the set goes although it is
// the last good one: only a full of the same disk makes up for it.
func (l *lowSpace) mayDropLast(s *set) bool {
	return l.rules.DropLast && l.rules.Minimum <= 0 && l.run.Coming == plan.Full && s.Disk == l.run.Disk
}

func (l *lowSpace) drop(s *set, why string) Op {
	doom := fmt.Sprintf("%s short of free space: %s", bytes(l.goal-l.free), why)
	for _, p := range s.points {
		p.doom = doom
		l.free += p.Size
	}
	return remove(DeleteSet, s.points)
}

// bytes is a size in words.
func bytes(n int64) string {
	const mib, gib = 1 << 20, 1 << 30
	if n < gib {
		return fmt.Sprintf("%d MiB", (n+mib-1)/mib)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/gib)
}
