package retention

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"ingot/internal/plan"
)

// random makes folders and rules of every kind, sound and odd.
type random struct{ *rand.Rand }

func (r random) chance(percent int) bool { return r.IntN(100) < percent }

func (r random) folder() model {
	var m model
	state := 0
	at := now.AddDate(0, 0, -r.IntN(500))
	odd, jumpy, guarded := r.chance(30), r.chance(30), r.IntN(20)
	for i := range r.IntN(7) {
		s := &modelSet{id: fmt.Sprint("set", i), disk: string(rune('d' + r.IntN(3)*r.IntN(2))), current: r.chance(20)}
		full := 0
		for n := range 1 + r.IntN(12) {
			state++
			at = at.Add(time.Duration(r.IntN(96)) * time.Hour * time.Duration(r.IntN(2)))
			f := &modelFile{kind: plan.Incremental, number: n, time: at, from: state - 1, to: state, size: int64(r.IntN(10)) << 28}
			switch {
			case n == 0 || odd && r.chance(3):
				f.kind, f.from, full = plan.Full, 0, state
			case r.chance(20):
				f.kind, f.from = plan.Differential, full
			}
			if jumpy && r.chance(20) {
				f.time = f.time.AddDate(0, 0, r.IntN(1200)-700)
			}
			f.bad, f.guarded = odd && r.chance(15), r.chance(guarded)
			s.files = append(s.files, f)
		}
		s.begun = s.files[0].time
		if odd && r.chance(20) { // A file that is not there at all, perhaps the full.
			s.files = slices.Delete(s.files, 0, 1)
			if len(s.files) > 0 {
				s.files[0].bad = true
			}
		}
		if len(s.files) > 0 {
			m = append(m, s)
		}
	}
	return m
}

func (r random) keep() plan.Keep {
	if r.chance(40) {
		return plan.Keep{}
	}
	k := plan.Keep{N: 1 + r.IntN(6), Unit: plan.Unit(r.IntN(4))}
	if k.Unit == plan.Days {
		k.N *= 20
	}
	return k
}

func (r random) rules() plan.Retention {
	rules := plan.Retention{
		SyntheticFull: r.chance(50), DropLast: r.chance(30), Minimum: r.IntN(4) * r.IntN(2), MinFree: plan.DefaultMinFree,
	}
	if r.chance(80) {
		rules.Full, rules.Differential, rules.Incremental = r.keep(), r.keep(), r.keep()
	}
	if r.chance(40) {
		rules.GFS = plan.GFS{Daily: r.IntN(8), Weekly: r.IntN(4), Monthly: r.IntN(4), Yearly: r.IntN(3)}
	}
	if r.chance(30) {
		rules.Scope = plan.AllSets
	}
	return rules
}

func (r random) run() Run {
	run := Run{Now: now, Disk: []string{"", "d", "e"}[r.IntN(3)]}
	if run.Disk != "" && r.chance(50) {
		run.Coming = []plan.Type{plan.Full, plan.Differential, plan.Incremental}[r.IntN(3)]
	}
	return run
}

// TestNoChainBreaks is the promise of the package, over random folders.
func TestNoChainBreaks(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	kinds := map[Kind]int{}
	for i := range uint64(20000) {
		r := random{rand.New(rand.NewPCG(seed, i))}
		m, rules, run := r.folder(), r.rules(), r.run()
		d := Decide(rules, shuffled(r, m.sets()), run)
		for _, op := range d.Ops {
			kinds[op.Kind]++
		}
		err := checkDecision(m, rules, d)
		if again := Decide(rules, after(t, m, d).sets(), run); err == nil && len(again.Ops) > 0 {
			err = fmt.Errorf("a second decision finds %s", steps(again))
		}
		if err != nil {
			t.Fatalf("seed %d, case %d: %v\nrules %+v, run %+v\n%s\n%s", seed, i, err, rules, run, describe(m, d), steps(d))
		}
	}
	for _, k := range []Kind{DeleteSet, Delete, Merge, Roll} {
		if kinds[k] < 300 {
			t.Errorf("only %d operations of kind %q: the cases are too tame", kinds[k], k)
		}
	}
}

// TestSpaceBreaksNothing does the same for the purge of whole sets.
func TestSpaceBreaksNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	ops, last := 0, 0
	for i := range uint64(20000) {
		r := random{rand.New(rand.NewPCG(seed, i))}
		m, rules, run := r.folder(), r.rules(), r.run()
		space := Space{Free: int64(r.IntN(9)) << 30, Need: int64(r.IntN(3)) << 30}
		if len(m) > 0 && r.chance(50) {
			space.Own = m[r.IntN(len(m))].id
		}
		d := DecideSpace(rules, shuffled(r, m.sets()), run, space)
		if rules.DropLast && rules.Minimum == 0 && run.Coming == plan.Full {
			last++
			rules.Minimum = -1 // tells checkDecision that nothing need be left
		}
		err := checkDecision(m, rules, d)
		if slices.ContainsFunc(d.Ops, func(op Op) bool { return op.Set == space.Own || op.Kind != DeleteSet }) {
			err = fmt.Errorf("its own set, or something else than a set, goes")
		}
		ops += len(d.Ops)
		for _, op := range d.Ops {
			for _, p := range op.Points {
				space.Free += p.Size
			}
		}
		if want := max(0, rules.MinFree+space.Need-space.Free); d.Short != want {
			err = fmt.Errorf("short by %d, want %d", d.Short, want)
		}
		if err != nil {
			t.Fatalf("seed %d, case %d: %v\nrules %+v, run %+v, space %+v\n%s\n%s", seed, i, err, rules, run, space, describe(m, d), steps(d))
		}
	}
	if ops < 1000 || last < 300 {
		t.Errorf("only %d operations, %d cases with DropLast", ops, last)
	}
}

// checkDecision carries a decision out and looks at the folder after every step.
func checkDecision(before model, rules plan.Retention, d Decision) error {
	table := map[string]Action{}
	for _, row := range d.Rows() {
		table[fmt.Sprint(row.Set, row.Point)] = row.Verdict
		if row.Reason == "" {
			return fmt.Errorf("%s %d: no reason", row.Set, row.Point)
		}
	}
	m := before.clone()
	var err error
	look := func() {
		if err == nil {
			err = checkState(before, m, rules, table)
		}
	}
	for _, op := range d.Ops {
		if e := m.apply(op, look); e != nil {
			return e
		}
	}
	if err != nil {
		return err
	}
	return checkOutcome(before, m, table)
}

// checkState is what must be true whenever the machine may stop.
func checkState(before, m model, rules plan.Retention, table map[string]Action) error {
	for _, s := range before {
		for _, f := range s.files {
			left := m.set(s.id)
			if left != nil && left.file(f.number) != nil && s.restores(f) && !left.restores(left.file(f.number)) {
				return fmt.Errorf("%s %d is still there, could be restored and cannot any more", s.id, f.number)
			}
			stays := table[fmt.Sprint(s.id, f.number)] == Keep
			if f.guarded && !stays {
				return fmt.Errorf("%s %d is protected and does not stay", s.id, f.number)
			}
			if !stays {
				continue
			}
			if left == nil || left.file(f.number) == nil {
				return fmt.Errorf("%s %d is to stay and is gone", s.id, f.number)
			}
			if linked(s, f) && !linked(left, left.file(f.number)) {
				return fmt.Errorf("%s %d is to stay and has lost what it is based on", s.id, f.number)
			}
		}
		had, has := len(before.states(s.disk)), len(m.states(s.disk))
		if least := min(rules.Least(), had); rules.Minimum >= 0 && has < least {
			return fmt.Errorf("disk %s has %d points that can be restored, the minimum is %d", s.disk, has, least)
		}
	}
	return nil
}

// linked says whether all that a file is based on is there, damaged or not.
func linked(s *modelSet, f *modelFile) bool {
	for f.from != 0 {
		i := slices.IndexFunc(s.files, func(g *modelFile) bool { return g.to == f.from })
		if i < 0 {
			return false
		}
		f = s.files[i]
	}
	return true
}

// checkOutcome compares what is there in the end with the table.
func checkOutcome(before, m model, table map[string]Action) error {
	for _, s := range before {
		for _, f := range s.files {
			there := m.set(s.id) != nil && m.set(s.id).file(f.number) != nil
			if stays := table[fmt.Sprint(s.id, f.number)] == Keep; stays != there {
				return fmt.Errorf("%s %d: the table says %s, it is there: %t", s.id, f.number, table[fmt.Sprint(s.id, f.number)], there)
			}
		}
	}
	return nil
}

// after is the folder once a decision was carried out.
func after(t *testing.T, m model, d Decision) model {
	t.Helper()
	m = m.clone()
	for _, op := range d.Ops {
		if err := m.apply(op, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func shuffled(r random, sets []Set) []Set {
	r.Shuffle(len(sets), reflect.Swapper(sets))
	for _, s := range sets {
		r.Shuffle(len(s.Points), reflect.Swapper(s.Points))
	}
	return sets
}

func describe(m model, d Decision) string {
	out := ""
	for _, v := range d.Verdicts {
		f := m.set(v.Set).file(v.Point.Increment)
		out += fmt.Sprintf("%s %s current %t: %2d %s %s bad %-5t restores %-5t %d->%d %s: %s\n", v.Disk, v.Set, m.set(v.Set).current, f.number, f.kind,
			f.time.Format(time.DateTime), f.bad, m.set(v.Set).restores(f), f.from, f.to, v.Action, v.Reason)
	}
	return out
}
