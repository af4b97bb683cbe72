package retention

import (
	"testing"

	"ingot/internal/plan"
)

// Each backup of the folders below takes 1 GiB.
func TestDecideSpace(t *testing.T) {
	const gib = 1 << 30
	low := plan.Retention{MinFree: 5 * gib}
	with := func(change func(*plan.Retention)) plan.Retention {
		r := low
		change(&r)
		return r
	}
	drop := with(func(r *plan.Retention) { r.DropLast = true })
	full := Run{Disk: "d", Coming: plan.Full}
	for _, c := range []struct {
		name  string
		rules plan.Retention
		sets  []string
		run   Run
		space Space
		steps string
		short int64
	}{
		{"enough is free", low, []string{"F", "F"}, Run{}, Space{Free: 5 * gib}, "", 0},
		{"off", plan.Retention{}, []string{"F", "F"}, Run{}, Space{Free: 1, Need: 2}, "", 1},
		{"one goes", low, []string{"F I", "F", "F"}, Run{}, Space{Free: 3 * gib}, "delete set A", 0},
		{"as many as needed, the oldest first", low, []string{"F", "F", "F"}, Run{}, Space{Free: 3 * gib}, "delete set A; delete set B", 0},
		{"what is to be written counts", low, []string{"F", "F", "F"}, Run{}, Space{Free: 5 * gib, Need: 1}, "delete set A", 0},
		{"the last one stays", low, []string{"F", "F"}, Run{}, Space{Free: 0}, "delete set A", 4 * gib},
		{"its own set stays", low, []string{"F", "F", "F"}, Run{}, Space{Free: 3 * gib, Own: "A"}, "delete set B; delete set C", 0},
		{"a set with a protected point stays", low, []string{"F I*", "F", "F"}, Run{}, Space{Free: 4 * gib}, "delete set B", 0},
		{"the minimum stays", with(func(r *plan.Retention) { r.Minimum = 3 }), []string{"F", "F", "F I"}, Run{}, Space{Free: 0}, "delete set A", 4 * gib},
		{"a set that is too large for the minimum stays, a smaller one goes", with(func(r *plan.Retention) { r.Minimum = 3 }),
			[]string{"F I", "F", "F"}, Run{}, Space{Free: 4 * gib}, "delete set B", 0},
		{"a damaged set is not the last good one", low, []string{"F", "F!"}, Run{}, Space{Free: 0}, "delete set B", 4 * gib},
		{"a damaged set goes though there are fewer than the minimum", with(func(r *plan.Retention) { r.Minimum = 3 }),
			[]string{"F!", "F"}, Run{}, Space{Free: 0}, "delete set A", 4 * gib},
		{"the last good one of another disk stays", with(func(r *plan.Retention) { r.Scope = plan.AllSets }),
			[]string{"e: F", "F", "F"}, Run{Disk: "d"}, Space{Free: 4 * gib}, "delete set B", 0},
		{"sets of other disks are not for the matching scope", low, []string{"e: F", "e: F", "F"}, Run{Disk: "d"}, Space{Free: 0}, "", 5 * gib},
		{"sets of other disks go with all sets", with(func(r *plan.Retention) { r.Scope = plan.AllSets }),
			[]string{"e: F", "e: F", "F"}, Run{Disk: "d"}, Space{Free: 4 * gib}, "delete set A", 0},
		{"GFS and limits do not hold it back", with(func(r *plan.Retention) { r.Full.N = 9; r.GFS.Daily = 9 }),
			[]string{"F", "F"}, Run{}, Space{Free: 4 * gib}, "delete set A", 0},
		{"a set that began in the future stays", low, []string{"F@400", "F", "F"}, Run{}, Space{Free: 0}, "delete set B", 4 * gib},
		{"the last good one goes for a new full where that is allowed", drop, []string{"F", "F"}, full, Space{Free: 3 * gib}, "delete set A; delete set B", 0},
		{"but only if it must", drop, []string{"F", "F"}, full, Space{Free: 4 * gib}, "delete set A", 0},
		{"not for an incremental", drop, []string{"F", "F"}, Run{Disk: "d", Coming: plan.Incremental}, Space{}, "delete set A", 4 * gib},
		{"not when a minimum is set", with(func(r *plan.Retention) { r.DropLast, r.Minimum = true, 1 }), []string{"F", "F"}, full, Space{}, "delete set A", 4 * gib},
		{"not when protected", drop, []string{"F", "F*"}, full, Space{}, "delete set A", 4 * gib},
		{"not that of another disk", with(func(r *plan.Retention) { r.DropLast, r.Scope = true, plan.AllSets }),
			[]string{"e: F", "F"}, full, Space{}, "delete set B", 4 * gib},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, c.sets...)
			c.run.Now = now
			d := DecideSpace(c.rules, m.sets(), c.run, c.space)
			if steps(d) != c.steps || d.Short != c.short {
				t.Errorf("%q short of %d, want %q short of %d\n%s", steps(d), d.Short, c.steps, c.short, describe(m, d))
			}
		})
	}
}

func TestSpaceReasons(t *testing.T) {
	rules := plan.Retention{MinFree: plan.DefaultMinFree, DropLast: true, Scope: plan.AllSets}
	m := parse(t, "F*", "F", "e: F", "F")
	m[0].files[0].bad = true
	reasons(t, DecideSpace(rules, m.sets(), Run{Now: now, Disk: "d", Coming: plan.Full}, Space{Free: 3<<30 + 1<<29}),
		"A 0 keep: its set has a protected point",
		"B 0 delete: 1.5 GiB short of free space: the oldest set goes",
		"C 0 keep: needed for the minimum of good points",
		"D 0 delete: 512 MiB short of free space: the last good set goes, as the rules allow: until the new full is complete there is none")
	reasons(t, DecideSpace(rules, parse(t, "F", "F").sets(), Run{Now: now}, Space{Free: 4 << 30, Own: "B"}),
		"A 0 delete: 1.0 GiB short of free space: the oldest set goes",
		"B 0 keep: enough space is free")
}
