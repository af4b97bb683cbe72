package retention

import (
	"testing"
	"time"

	"ingot/internal/plan"
)

// template is a way to make backups, as a user would choose it.
type template struct {
	name  string
	rules plan.Retention
	typ   func(day time.Time) plan.Type // of the backup of a day; empty: none
	fails func(day int) bool            // whether the backup of that day does not get done
	// points is the range of how many points there are once the rules have come
	// to act; oldest is how many days old the oldest is then.
	points, oldest [2]int
	every          int // each of the last so many days can be restored
}

func onSundays(t, otherwise plan.Type) func(time.Time) plan.Type {
	return func(day time.Time) plan.Type {
		if day.Weekday() == time.Sunday {
			return t
		}
		return otherwise
	}
}

func monthlyWeeklyDaily(day time.Time) plan.Type {
	if day.Day() == 1 {
		return plan.Full
	}
	return onSundays(plan.Differential, plan.Incremental)(day)
}

func always(t plan.Type) func(time.Time) plan.Type { return func(time.Time) plan.Type { return t } }

var templates = []template{
	{"full monthly, differential weekly, incremental daily",
		plan.Retention{Full: plan.Keep{N: 6, Unit: plan.Months}, Differential: plan.Keep{N: 4, Unit: plan.Weeks}, Incremental: days(14)},
		monthlyWeeklyDaily, nil, [2]int{20, 24}, [2]int{150, 184}, 14},
	{"the same by number", plan.Retention{Full: backups(6), Differential: backups(4), Incremental: backups(12)},
		monthlyWeeklyDaily, nil, [2]int{20, 22}, [2]int{150, 184}, 13},
	{"the same, purged before", plan.Retention{Full: backups(6), Differential: backups(4), Incremental: backups(12), PurgeBefore: true},
		monthlyWeeklyDaily, nil, [2]int{20, 22}, [2]int{150, 184}, 13},
	{"incremental for ever", plan.Retention{Incremental: backups(30), SyntheticFull: true},
		always(plan.Incremental), nil, [2]int{31, 31}, [2]int{30, 30}, 31},
	{"incremental for ever, by age, purged before", plan.Retention{Incremental: days(30), SyntheticFull: true, PurgeBefore: true},
		always(plan.Incremental), nil, [2]int{31, 33}, [2]int{30, 32}, 31},
	{"incremental for ever, merged", plan.Retention{Incremental: backups(30)},
		always(plan.Incremental), nil, [2]int{31, 31}, [2]int{380, 399}, 30},
	{"full weekly, differential daily", plan.Retention{Full: backups(4), Differential: days(10)},
		onSundays(plan.Full, plan.Differential), nil, [2]int{12, 14}, [2]int{21, 28}, 8},
	{"full weekly, purged before", plan.Retention{Full: backups(4), PurgeBefore: true},
		onSundays(plan.Full, ""), nil, [2]int{4, 4}, [2]int{21, 28}, 0},
	{"one full, purged before, and every third does not get done", plan.Retention{Full: backups(1), PurgeBefore: true},
		always(plan.Full), func(day int) bool { return day%3 == 0 }, [2]int{1, 2}, [2]int{0, 3}, 0},
	{"GFS over incrementals for ever", plan.Retention{SyntheticFull: true, GFS: plan.GFS{Daily: 7, Weekly: 4, Monthly: 12, Yearly: 2}},
		always(plan.Incremental), nil, [2]int{18, 22}, [2]int{300, 366}, 7},
	{"GFS over monthly sets", plan.Retention{GFS: plan.GFS{Daily: 7, Weekly: 4, Monthly: 6}},
		monthlyWeeklyDaily, nil, [2]int{15, 30}, [2]int{150, 215}, 7},
	{"GFS and limits", plan.Retention{Full: backups(2), Incremental: backups(6), GFS: plan.GFS{Monthly: 6}},
		func(day time.Time) plan.Type { return onSundays(plan.Full, plan.Incremental)(day) }, nil, [2]int{10, 20}, [2]int{120, 191}, 6},
}

// TestAYear makes a backup a day for 400 days and applies the rules each time.
func TestAYear(t *testing.T) {
	for _, tm := range templates {
		t.Run(tm.name, func(t *testing.T) {
			y := year{t: t, template: tm}
			for n := range 400 {
				y.day = time.Date(2025, 10, 1, 21, 0, 0, 0, time.UTC).AddDate(0, 0, n)
				y.state = n + 1
				y.work(n)
				y.look(n)
			}
		})
	}
}

type year struct {
	t *testing.T
	template
	m     model
	day   time.Time
	state int
	made  []int // states of backups that got done
}

// work is one day: purge, back up, purge, or only those of them that are due.
func (y *year) work(n int) {
	typ := y.typ(y.day)
	if typ == "" {
		return
	}
	if len(y.m) == 0 {
		typ = plan.Full
	}
	if y.rules.PurgeBefore {
		y.purge(n, Run{Now: y.day, Disk: "d", Coming: typ})
	}
	if y.fails != nil && y.fails(n) && n > 0 {
		return
	}
	y.backup(typ)
	if !y.rules.PurgeBefore {
		y.purge(n, Run{Now: y.day, Disk: "d"})
	}
}

func (y *year) backup(typ plan.Type) {
	f := &modelFile{kind: typ, time: y.day, to: y.state, size: 1}
	if typ == plan.Full {
		for _, s := range y.m {
			s.current = false
		}
		y.m = append(y.m, &modelSet{id: y.day.Format("20060102"), disk: "d", begun: y.day, current: true})
	}
	s := y.m[len(y.m)-1]
	if len(s.files) > 0 {
		before := s.files[len(s.files)-1]
		f.number, f.from = before.number+1, before.to
		if typ == plan.Differential {
			f.from = s.files[0].to
		}
	}
	s.files = append(s.files, f)
	y.made = append(y.made, y.state)
}

func (y *year) purge(n int, run Run) {
	d := Decide(y.rules, y.m.sets(), run)
	if err := checkDecision(y.m, y.rules, d); err != nil {
		y.t.Fatalf("day %d: %v\n%s", n, err, describe(y.m, d))
	}
	y.m = after(y.t, y.m, d)
	if again := Decide(y.rules, y.m.sets(), run); len(again.Ops) > 0 {
		y.t.Fatalf("day %d: a second decision finds %s", n, steps(again))
	}
}

// look is what is true in the evening of each day.
func (y *year) look(n int) {
	there := y.m.states("d")
	if len(y.made) > 0 && !there[y.made[len(y.made)-1]] {
		y.t.Fatalf("day %d: the last backup is gone", n)
	}
	total, oldest := 0, 0
	for _, s := range y.m {
		for _, f := range s.files {
			total++
			oldest = max(oldest, y.state-f.to)
		}
	}
	if total != len(there) {
		y.t.Fatalf("day %d: %d of %d points can be restored", n, len(there), total)
	}
	for back := range min(y.every, n) {
		if !there[y.state-back] {
			y.t.Fatalf("day %d: %d days ago cannot be restored", n, back)
		}
	}
	if n < 380 {
		return
	}
	if total < y.points[0] || total > y.points[1] || oldest < y.oldest[0] || oldest > y.oldest[1] {
		y.t.Fatalf("day %d (%s): %d points, want %v; the oldest is %d days old, want %v\n%s", n, y.day.Weekday(), total, y.points, oldest, y.oldest,
			describe(y.m, Decide(y.rules, y.m.sets(), Run{Now: y.day})))
	}
}
