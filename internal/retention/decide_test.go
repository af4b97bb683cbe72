package retention

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/internal/plan"
)

func backups(n int) plan.Keep { return plan.Keep{N: n} }
func days(n int) plan.Keep    { return plan.Keep{N: n, Unit: plan.Days} }

// decideCase is a folder in the words of parse. The last backup is 12 hours old,
// the one before it a day and 12 hours, and so on: keep 3 days keeps three.
type decideCase struct {
	name  string
	rules plan.Retention
	sets  []string
	run   Run
	want  string // verdicts
	steps string
}

func (c decideCase) check(t *testing.T) {
	m := parse(t, c.sets...)
	c.run.Now = now
	d := Decide(c.rules, m.sets(), c.run)
	if got := letters(d); got != c.want || steps(d) != c.steps {
		t.Errorf("verdicts %q, want %q\nsteps %q, want %q\n%s", got, c.want, steps(d), c.steps, describe(m, d))
	}
	if err := checkDecision(m, c.rules, d); err != nil {
		t.Error(err)
	}
	if again := Decide(c.rules, after(t, m, d).sets(), c.run); len(again.Ops) > 0 {
		t.Errorf("a second decision finds %s", steps(again))
	}
}

func checkAll(t *testing.T, cases []decideCase) {
	for _, c := range cases {
		t.Run(c.name, c.check)
	}
}

func TestEveryRuleAlone(t *testing.T) {
	checkAll(t, []decideCase{
		{"no rules", plan.Retention{}, []string{"F D I I", "F I", "F"}, Run{}, "kkkk kk k", ""},
		{"no sets", plan.Retention{Full: backups(1)}, nil, Run{}, "", ""},
		{"the example of the product: full, differential, 6 incrementals", plan.Retention{Incremental: backups(4)},
			[]string{"F D I I I I I I"}, Run{}, "kkmmkkkk", "merge A 2-4"},
		{"a full takes its set with it", plan.Retention{Full: backups(2)},
			[]string{"F I I", "F D I", "F I"}, Run{}, "ddd kkk kk", "delete set A"},
		{"fulls by age", plan.Retention{Full: days(3)}, []string{"F", "F", "F", "F", "F"}, Run{}, "d d k k k", "delete set A; delete set B"},
		{"incrementals do not save an old full", plan.Retention{Full: days(2)},
			[]string{"F I I I", "F"}, Run{}, "dddd k", "delete set A"},
		{"an old set that is still written to stays", plan.Retention{Full: days(2)}, []string{"F I I I"}, Run{}, "kkkk", ""},
		{"a differential takes its incrementals with it", plan.Retention{Differential: backups(1)},
			[]string{"F I D I I D I"}, Run{}, "kkdddkk", "delete A 2-4"},
		{"differentials by age", plan.Retention{Differential: days(2)}, []string{"F D D I D"}, Run{}, "kdddk", "delete A 1-1; delete A 2-3"},
		{"differentials over sets", plan.Retention{Differential: backups(2)},
			[]string{"F D D", "F D"}, Run{}, "kdk kk", "delete A 1-1"},
		{"incrementals at the end of a run have nothing to be merged into", plan.Retention{Incremental: backups(2)},
			[]string{"F I I D I I"}, Run{}, "kddkkk", "delete A 1-2"},
		{"incrementals over sets", plan.Retention{Incremental: backups(3)},
			[]string{"F I I I", "F I"}, Run{}, "kmkk kk", "merge A 1-2"},
		{"incrementals by age", plan.Retention{Incremental: days(2)}, []string{"F I I I I"}, Run{}, "kmmkk", "merge A 1-3"},
		{"incrementals by weeks", plan.Retention{Incremental: plan.Keep{N: 1, Unit: plan.Weeks}},
			[]string{"F I I ~6 I"}, Run{}, "kmmk", "merge A 1-3"},
		{"incrementals by months", plan.Retention{Incremental: plan.Keep{N: 1, Unit: plan.Months}},
			[]string{"F I I ~29 I"}, Run{}, "kmkk", "merge A 1-2"},
		{"the newest point stays however old it is", plan.Retention{Incremental: days(1)},
			[]string{"F I I@-90 ~9"}, Run{}, "kmk", "merge A 1-2"},
		{"synthetic full", plan.Retention{Incremental: backups(2), SyntheticFull: true},
			[]string{"F I I I I"}, Run{}, "mmkkk", "roll forward A 0-2"},
		{"synthetic full without a limit", plan.Retention{SyntheticFull: true}, []string{"F I I"}, Run{}, "kkk", ""},
		{"synthetic full: not with a differential", plan.Retention{Incremental: backups(2), SyntheticFull: true},
			[]string{"F I I I D I I"}, Run{}, "kdddkkk", "delete A 1-3"},
		{"daily", plan.Retention{GFS: plan.GFS{Daily: 2}}, []string{"F I I= I I="}, Run{}, "kmkmk", "merge A 1-2; merge A 3-4"},
		{"weekly: Monday begins a week", plan.Retention{GFS: plan.GFS{Weekly: 2}},
			[]string{"F I I I I I I I I I"}, Run{}, "kmmmmmkmmk", "merge A 1-6; merge A 7-9"},
		{"monthly", plan.Retention{GFS: plan.GFS{Monthly: 2}}, []string{"F", "F ~30", "F", "F"}, Run{}, "d k d k", "delete set A; delete set C"},
		{"yearly", plan.Retention{GFS: plan.GFS{Yearly: 2}}, []string{"F ~364", "F", "F"}, Run{}, "k d k", "delete set B"},
		{"a minimum alone takes nothing", plan.Retention{Minimum: 1}, []string{"F I", "F"}, Run{}, "kk k", ""},
		{"low space is not the matter of Decide", plan.Retention{MinFree: plan.DefaultMinFree}, []string{"F", "F"}, Run{}, "k k", ""},
	})
}

func TestRulesInPairs(t *testing.T) {
	gfs := plan.GFS{Monthly: 12}
	checkAll(t, []decideCase{
		{"full and incremental", plan.Retention{Full: backups(1), Incremental: backups(2)},
			[]string{"F I I", "F I I I"}, Run{}, "ddd kmkk", "delete set A; merge B 1-2"},
		{"the limit on fulls goes over that on incrementals", plan.Retention{Full: backups(1), Incremental: backups(9)},
			[]string{"F I I", "F"}, Run{}, "ddd k", "delete set A"},
		{"full and differential", plan.Retention{Full: backups(2), Differential: backups(1)},
			[]string{"F D", "F D", "F D"}, Run{}, "dd kd kk", "delete set A; delete B 1-1"},
		{"differential and incremental", plan.Retention{Differential: backups(1), Incremental: backups(2)},
			[]string{"F I D I D I I I"}, Run{}, "kdddkmkk", "delete A 2-3; delete A 1-1; merge A 5-6"},
		{"full by number, incremental by age", plan.Retention{Full: backups(2), Incremental: days(2)},
			[]string{"F I", "F I I", "F I I"}, Run{}, "dd kdd kkk", "delete set A; delete B 1-2"},
		{"full and synthetic full", plan.Retention{Full: backups(1), Incremental: backups(1), SyntheticFull: true},
			[]string{"F I I", "F I I"}, Run{}, "ddd mkk", "delete set A; roll forward B 0-1"},
		{"differential and synthetic full: rolled once the differential goes", plan.Retention{Differential: backups(1), Incremental: backups(2), SyntheticFull: true},
			[]string{"F I* D", "F I I D"}, Run{}, "mkd kkkk", "delete A 2-2; roll forward A 0-1"},
		{"full and GFS: what is named keeps its full, the rest of the set goes", plan.Retention{Full: backups(1), GFS: gfs},
			[]string{"F I I I ~30", "F I"}, Run{}, "kmmk kk", "merge A 1-3"},
		{"full, GFS, synthetic full", plan.Retention{Full: backups(1), SyntheticFull: true, GFS: gfs},
			[]string{"F I I I ~30", "F I"}, Run{}, "mmmk kk", "roll forward A 0-3"},
		{"incremental and GFS: both keep", plan.Retention{Incremental: backups(2), GFS: gfs},
			[]string{"F I I ~30 I I I"}, Run{}, "kmkmkk", "merge A 1-2; merge A 3-4"},
		{"differential and GFS: the named incremental keeps its differential", plan.Retention{Differential: backups(1), GFS: gfs},
			[]string{"F D I I ~30 D"}, Run{}, "kkmkk", "merge A 2-3"},
		{"GFS and GFS", plan.Retention{GFS: plan.GFS{Daily: 2, Weekly: 2}},
			[]string{"F I I I I I"}, Run{}, "kmkmkk", "merge A 1-2; merge A 3-4"},
		{"GFS and synthetic full: the full moves on to what is named", plan.Retention{SyntheticFull: true, GFS: plan.GFS{Daily: 2}},
			[]string{"F I I I"}, Run{}, "mmkk", "roll forward A 0-2"},
		{"full and minimum", plan.Retention{Full: backups(1), Minimum: 3}, []string{"F", "F", "F", "F"}, Run{}, "d k k k", "delete set A"},
		{"incremental and minimum", plan.Retention{Incremental: backups(1), Minimum: 3}, []string{"F I I I I"}, Run{}, "kmkkk", "merge A 1-2"},
		{"differential and minimum", plan.Retention{Differential: backups(1), Minimum: 2}, []string{"F D D"}, Run{}, "kkk", ""},
		{"synthetic full and minimum", plan.Retention{Incremental: backups(1), SyntheticFull: true, Minimum: 4},
			[]string{"F I I I I"}, Run{}, "mkkkk", "roll forward A 0-1"},
		{"GFS and minimum", plan.Retention{Minimum: 3, GFS: plan.GFS{Daily: 1}}, []string{"F I I I"}, Run{}, "kkkk", ""},
	})
}

func TestPurgeBefore(t *testing.T) {
	full, diff, inc := Run{Disk: "d", Coming: plan.Full}, Run{Disk: "d", Coming: plan.Differential}, Run{Disk: "d", Coming: plan.Incremental}
	checkAll(t, []decideCase{
		{"the coming full counts", plan.Retention{Full: backups(2)}, []string{"F", "F", "F"}, full, "d d k", "delete set A; delete set B"},
		{"keep 1: the last good set stays until there is another", plan.Retention{Full: backups(1)}, []string{"F I", "F I I"}, full, "dd kkk", "delete set A"},
		{"the last good set need not be the last", plan.Retention{Full: backups(1)}, []string{"F I", "F I", "F! I"}, full, "dd kk kk", "delete set A"},
		{"DropLast is for low space only", plan.Retention{Full: backups(1), DropLast: true}, []string{"F I"}, full, "kk", ""},
		{"a coming differential counts", plan.Retention{Differential: backups(2)}, []string{"F D I D"}, diff, "kddk", "delete A 1-2"},
		{"a coming incremental counts", plan.Retention{Incremental: backups(2)}, []string{"F I I I"}, inc, "kmmk", "merge A 1-3"},
		{"a synthetic full before the backup leaves the points that one after it leaves", plan.Retention{Incremental: backups(1), SyntheticFull: true},
			[]string{"F I I I"}, inc, "mmmk", "roll forward A 0-3"},
		{"another type does not count", plan.Retention{Full: backups(2)}, []string{"F", "F"}, inc, "k k", ""},
		{"over all sets the first full of a new disk counts", plan.Retention{Full: backups(2), Scope: plan.AllSets},
			[]string{"F", "F"}, Run{Disk: "new", Coming: plan.Full}, "d k", "delete set A"},
		{"another disk does not count", plan.Retention{Full: backups(1), Scope: plan.AllSets}, []string{"F", "e: F"}, Run{Disk: "e", Coming: plan.Full}, "k k", ""},
	})
}

func TestScope(t *testing.T) {
	one := plan.Retention{Full: backups(1), Incremental: backups(1)}
	all := one
	all.Scope = plan.AllSets
	folder := []string{"F I", "e: F", "F I I", "e: F I I"}
	checkAll(t, []decideCase{
		{"matching: each disk by itself", one, folder, Run{}, "dd d kmk kmk", "delete set A; delete set B; merge C 1-2; merge D 1-2"},
		{"matching: only the disk of the backup", one, folder, Run{Disk: "e"}, "kk d kkk kmk", "delete set B; merge D 1-2"},
		{"matching: no set of the disk", one, folder, Run{Disk: "x"}, "kk k kkk kkk", ""},
		{"all: fulls are counted together, the last good set of each disk stays", all, folder, Run{Disk: "e"}, "dd d kmk kmk",
			"delete set A; delete set B; merge C 1-2; merge D 1-2"},
		{"all: sets of a former layout go", plan.Retention{Full: backups(2), Scope: plan.AllSets},
			[]string{"old: F", "old: ? F", "F", "F"}, Run{Disk: "d"}, "d k k k", "delete set A"},
		{"matching: sets of a former layout stay", plan.Retention{Full: backups(2)},
			[]string{"old: F", "old: ? F", "F", "F"}, Run{Disk: "d"}, "k k k k", ""},
	})
}

func TestProtected(t *testing.T) {
	checkAll(t, []decideCase{
		{"a protected full keeps its set from going, not what is in it", plan.Retention{Full: backups(1)},
			[]string{"F* I I", "F"}, Run{}, "kdd k", "delete A 1-2"},
		{"a protected incremental keeps its full, older ones are merged into it", plan.Retention{Full: backups(1)},
			[]string{"F I I* I", "F"}, Run{}, "kmkd k", "delete A 3-3; merge A 1-2"},
		{"a protected incremental keeps its differential", plan.Retention{Differential: backups(1)},
			[]string{"F D I I* D"}, Run{}, "kkmkk", "merge A 2-3"},
		{"a protected incremental is not merged", plan.Retention{Incremental: backups(1)}, []string{"F I I* I I"}, Run{}, "kmkmk", "merge A 1-2; merge A 3-4"},
		{"a protected full is not rolled forward", plan.Retention{Incremental: backups(1), SyntheticFull: true}, []string{"F* I I"}, Run{}, "kmk", "merge A 1-2"},
		{"a full is rolled forward into a protected incremental", plan.Retention{Incremental: backups(1), SyntheticFull: true},
			[]string{"F I I* I I"}, Run{}, "mmkmk", "merge A 3-4; roll forward A 0-2"},
	})
}

func TestDamaged(t *testing.T) {
	checkAll(t, []decideCase{
		{"a damaged full takes no place", plan.Retention{Full: backups(2)}, []string{"F", "F", "F!", "F"}, Run{}, "d k k k", "delete set A"},
		{"a damaged full goes when a whole one would", plan.Retention{Full: backups(1)}, []string{"F!", "F", "F"}, Run{}, "d d k", "delete set A; delete set B"},
		{"damaged fulls are not the last good set", plan.Retention{Full: days(1)}, []string{"F ~9", "F!", "F!"}, Run{}, "k d k", "delete set B"},
		{"a set without a full", plan.Retention{Full: backups(1)}, []string{"I I", "F"}, Run{}, "dd k", "delete set A"},
		{"a set without a full is not merged", plan.Retention{Incremental: backups(1)}, []string{"D I I", "F I I I"}, Run{}, "kkk kmmk", "merge B 1-3"},
		{"a set without a full goes when all its incrementals would", plan.Retention{Incremental: backups(1)}, []string{"I I ", "F I"}, Run{}, "dd kk", "delete set A"},
		{"a set with two fulls is left as it is", plan.Retention{Incremental: backups(1)}, []string{"F I F I I"}, Run{}, "kkkkk", ""},
		{"nothing is merged into a damaged incremental", plan.Retention{Incremental: backups(1)}, []string{"F I I I! I", "F"}, Run{}, "kmkkk k", "merge A 1-2"},
		{"damaged incrementals before one that stays are not merged, those before them are", plan.Retention{Incremental: backups(1)},
			[]string{"F I I I! I*", "F I"}, Run{}, "kmkkk kk", "merge A 1-2"},
		{"damaged incrementals go at the end of a run", plan.Retention{Incremental: backups(1)}, []string{"F I I! I", "F I"}, Run{}, "kddd kk", "delete A 1-3"},
		{"no roll over a damaged incremental", plan.Retention{Incremental: backups(1), SyntheticFull: true}, []string{"F I I I! I*", "F I"}, Run{}, "mmkkk kk", "roll forward A 0-2"},
		{"a damaged point is no minimum", plan.Retention{Incremental: backups(1), Minimum: 2}, []string{"F I I I I!"}, Run{}, "kmkkk", "merge A 1-2"},
		{"a damaged point is not the newest of its day", plan.Retention{GFS: plan.GFS{Daily: 1}}, []string{"F", "F", "F!="}, Run{}, "d k k", "delete set A"},
		{"a damaged point that GFS would not name goes", plan.Retention{GFS: plan.GFS{Daily: 1}}, []string{"F!", "F"}, Run{}, "d k", "delete set A"},
	})
}

func TestClock(t *testing.T) {
	checkAll(t, []decideCase{
		{"ties within a set go by number", plan.Retention{Incremental: backups(1)}, []string{"F I= I= I="}, Run{}, "kmmk", "merge A 1-3"},
		{"ties of sets go by ID", plan.Retention{Full: backups(1)}, []string{"F", "F="}, Run{}, "d k", "delete set A"},
		{"the clock jumped back within a set: number goes over time", plan.Retention{Incremental: backups(2)},
			[]string{"F I I I@-400"}, Run{}, "kmkk", "merge A 1-2"},
		{"no point is older than what it is based on", plan.Retention{Incremental: days(4)}, []string{"F I I@-400 I I"}, Run{}, "kkkkk", ""},
		{"the clock was ahead: the age is 0", plan.Retention{Incremental: days(2)}, []string{"F I I@400 ~5 I"}, Run{}, "kmkk", "merge A 1-2"},
		{"a set that began in the future is left alone and takes no place", plan.Retention{Full: backups(1)},
			[]string{"? F", "F@400 I", "F"}, Run{}, "d kk k", "delete set A"},
		{"but not the one that is written to", plan.Retention{Incremental: backups(1)}, []string{"F@400 I I"}, Run{}, "kmk", "merge A 1-2"},
		{"the set that is written to is the newest, whatever its date", plan.Retention{Full: backups(1)},
			[]string{"F", "F@-900 I"}, Run{}, "d kk", "delete set A"},
		{"a set does not age when its full is rolled forward to a point with an earlier date", plan.Retention{Full: days(15), Incremental: backups(1), SyntheticFull: true},
			[]string{"F@8 I I ~14", "F I"}, Run{}, "mmk kk", "roll forward A 0-2"},
		{"a future point lies in the newest day only", plan.Retention{GFS: plan.GFS{Daily: 2}}, []string{"F I@400 I I"}, Run{}, "kmkk", "merge A 1-2"},
	})
}

func TestDaysBeginWhereTheClockSays(t *testing.T) {
	sets := []Set{{ID: "A", Current: true, Points: []Point{
		{Type: plan.Full, Time: time.Date(2026, 11, 23, 22, 30, 0, 0, time.UTC), Whole: true}, // the 24th in Berlin
		{Type: plan.Incremental, Increment: 1, Time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Whole: true},
		{Type: plan.Incremental, Increment: 2, Time: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Whole: true},
	}}}
	rules := plan.Retention{SyntheticFull: true, GFS: plan.GFS{Daily: 3}}
	if d := Decide(rules, sets, Run{Now: now}); len(d.Ops) != 0 {
		t.Errorf("in UTC these are three days: %s", steps(d))
	}
	east := time.FixedZone("east", 2*60*60)
	if d := Decide(rules, sets, Run{Now: now.In(east)}); steps(d) != "roll forward A 0-1" {
		t.Errorf("in the east these are two days: %q", steps(d))
	}
}

func TestReasons(t *testing.T) {
	m := parse(t, "F ~60", "F I I* I D", "F I! I", "F@900", "F I I I I", "e: F")
	m[4].current = true
	rules := plan.Retention{Full: backups(2), Incremental: backups(2), Differential: days(2), GFS: plan.GFS{Monthly: 2}}
	reasons(t, Decide(rules, m.sets(), Run{Now: now, Disk: "d"}),
		"A 0 keep: monthly 2026-09",
		"B 0 keep: full 3 of keep 2; others that stay are based on it",
		"B 1 merge: goes with its full: full 3 of keep 2; merged into 2",
		"B 2 keep: protected; takes up 1 older",
		"B 3 delete: goes with its full: full 3 of keep 2",
		"B 4 delete: goes with its full: full 3 of keep 2",
		"C 0 keep: full 2 of keep 2",
		"C 1 delete: incremental 5 of keep 2, damaged",
		"C 2 delete: incremental 5 of keep 2, damaged",
		"D 0 keep: left alone: its set began in the future, 2029-05-07",
		"E 0 keep: full 1 of keep 2",
		"E 1 merge: incremental 4 of keep 2; merged into 3",
		"E 2 merge: incremental 3 of keep 2; merged into 3",
		"E 3 keep: incremental 2 of keep 2; takes up 2 older",
		"E 4 keep: the newest good point, monthly 2026-11",
		"F 0 keep: another disk: the rules are for matching sets")
	reasons(t, Decide(plan.Retention{Full: backups(1), Minimum: 2}, parse(t, "F", "F I", "F").sets(), Run{Now: now, Disk: "d", Coming: plan.Full}),
		"A 0 delete: full 4 of keep 1",
		"B 0 keep: full 3 of keep 1; others that stay are based on it",
		"B 1 keep: minimum of 2",
		"C 0 keep: minimum of 2; the last good set stays until the new full is complete")
	reasons(t, Decide(plan.Retention{Incremental: days(9), SyntheticFull: true}, parse(t, "F I I I! I ~20", "F I ~9 I").sets(), Run{Now: now}),
		"A 0 merge: the full is rolled forward; merged into 2",
		"A 1 merge: incremental of 2026-10-21, keep 9 days; merged into 2",
		"A 2 keep: incremental of 2026-10-22, keep 9 days; becomes the full",
		"A 3 delete: incremental of 2026-10-23, keep 9 days, damaged",
		"A 4 delete: incremental of 2026-10-24, keep 9 days, damaged",
		"B 0 merge: the full is rolled forward; merged into 1",
		"B 1 keep: incremental of 2026-11-15, keep 9 days; becomes the full",
		"B 2 keep: the newest good point")
}

func reasons(t *testing.T, d Decision, want ...string) {
	t.Helper()
	var got []string
	for _, r := range d.Rows() {
		got = append(got, fmt.Sprintf("%s %d %s: %s", r.Set, r.Point, r.Verdict, r.Reason))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRowsAreJSON(t *testing.T) {
	m := parse(t, "F I I")
	d := Decide(plan.Retention{Incremental: backups(1)}, m.sets(), Run{Now: now})
	text, err := json.Marshal(d.Rows()[1])
	want := `{"set":"A","disk":"d","point":1,"file":"","type":"inc","time":"2026-11-24T00:00:00Z","size_bytes":1073741824,"verdict":"merge","into":2,"reason":"incremental 2 of keep 1; merged into 2"}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v\nwant %s", text, err, want)
	}
}
