package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ingot/internal/plan"
)

// ledger is a history in memory that can go back to any moment.
type ledger struct{ changes []change }

func (l *ledger) store(c change) { l.changes = append(l.changes, c) }

// upTo gives what is remembered of the first n changes.
func (l *ledger) upTo(n int) (memory, map[uint64]Run) {
	m, runs := memory{standings: map[string]Standing{}}, map[uint64]Run{}
	for _, c := range l.changes[:n] {
		for _, r := range c.runs {
			runs[r.ID] = r
			m.last = max(m.last, r.ID)
		}
		for name, s := range c.standings {
			m.standings[name] = s
		}
		for _, name := range c.forget {
			delete(m.standings, name)
		}
		if c.paused != nil {
			m.paused = *c.paused
		}
	}
	for _, r := range runs {
		if !r.State.Ended() {
			m.unfinished = append(m.unfinished, r)
		}
	}
	slices.SortFunc(m.unfinished, func(a, b Run) int { return int(a.ID) - int(b.ID) })
	return m, runs
}

func (l *ledger) runs() []Run {
	_, byID := l.upTo(len(l.changes))
	out := []Run{}
	for id := uint64(1); id <= uint64(len(byID)); id++ {
		out = append(out, byID[id])
	}
	return out
}

// world is an engine on a clock of its own.
type world struct {
	*testing.T
	*engine
	ledger  *ledger
	defs    map[string]*plan.Definition
	now     time.Time
	took    time.Duration        // that a run takes
	due     map[uint64]time.Time // when a run under way ends
	end     func(Run) Outcome
	started []Run
}

func newWorld(t *testing.T, start time.Time, defs ...*plan.Definition) *world {
	w := &world{T: t, ledger: &ledger{}, defs: map[string]*plan.Definition{}, now: start, took: 20 * time.Minute, due: map[uint64]time.Time{}}
	w.end = func(Run) Outcome { return Outcome{State: Success} }
	for _, d := range defs {
		if len(d.Destinations) == 0 {
			d.Destinations = []plan.Destination{{Path: "/mnt/" + d.Name}}
		}
		w.defs[d.Name] = d
	}
	w.restart(len(w.ledger.changes))
	return w
}

// restart begins a service anew from the first n changes of its history.
func (w *world) restart(n int) {
	m, _ := w.ledger.upTo(n)
	w.ledger.changes = w.ledger.changes[:n:n]
	w.engine = newEngine(m, 1, w.ledger.store, func(string, *Run) {})
	w.machine = Machine{Host: "host", Boot: "1", BootTime: w.now}
	w.due = map[uint64]time.Time{}
	w.reload()
	w.recover(m.unfinished, w.now)
}

func (w *world) reload() {
	items, present := map[string]*plan.Definition{}, map[string]bool{}
	for name, d := range w.defs {
		items[name], present[name] = d, true
	}
	w.know(items, present, w.now)
}

// turn is a turn of the service at w.now.
func (w *world) turn() {
	for id, at := range w.due {
		if !at.After(w.now) {
			delete(w.due, id)
			w.finish(id, w.end(*w.running[id].run), w.now)
		}
	}
	for _, r := range w.step(w.now) {
		w.started = append(w.started, r)
		w.began(r.ID, Process{PID: int(r.ID)})
		w.due[r.ID] = w.now.Add(w.took)
	}
	if len(w.running) > 1 {
		w.Fatalf("%s: %d runs at a time", w.now, len(w.running))
	}
}

// until lets the time go by. The service sleeps as long as the engine says, and
// never more than an hour.
func (w *world) until(end time.Time) {
	for w.now.Before(end) {
		w.turn()
		next := w.now.Add(time.Hour)
		if at, ok := w.wakeAt(); ok && at.Before(next) {
			next = at
		}
		for _, at := range w.due {
			if at.Before(next) && at.After(w.now) {
				next = at
			}
		}
		w.now = next
	}
}

func (w *world) wakeAt() (time.Time, bool) { return w.engine.wake(w.now) }

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func definition(name string, schedules ...plan.Schedule) *plan.Definition {
	return &plan.Definition{Name: name, TimeZone: "Europe/Berlin", Schedules: schedules}
}

func hm(h, m int) plan.Clock { return plan.Clock(h*60 + m) }

// A year of grandfather, father and son: a run each day, of the right type, on
// both days on which the clocks are changed too.
func TestYear(t *testing.T) {
	loc := zone(t, "Europe/Berlin")
	d := definition("gfs",
		plan.Schedule{Type: plan.Full, Kind: plan.Monthly, Day: 1, At: hm(2, 30)},
		plan.Schedule{Type: plan.Differential, Days: 1 << time.Sunday, At: hm(2, 30)},
		plan.Schedule{Type: plan.Incremental, At: hm(2, 30)})
	w := newWorld(t, time.Date(2027, 12, 31, 12, 0, 0, 0, loc), d)
	w.until(time.Date(2028, 12, 31, 12, 0, 0, 0, loc))
	if len(w.started) != 366 {
		t.Fatalf("%d runs in a leap year", len(w.started))
	}
	for i, r := range w.started {
		day := time.Date(2028, 1, 1+i, 12, 0, 0, 0, loc)
		due := r.Due.In(loc)
		want := plan.Incremental
		if day.Weekday() == time.Sunday {
			want = plan.Differential
		}
		if day.Day() == 1 {
			want = plan.Full
		}
		if due.YearDay() != day.YearDay() || r.Type != want || r.Cause != BySchedule || r.Began.Sub(r.Due) > time.Minute {
			t.Errorf("%s: %s %s by %s at %s", day.Format(time.DateOnly), due, r.Type, r.Cause, r.Began)
		}
	}
	for _, r := range w.ledger.runs() {
		if r.State != Success {
			t.Errorf("run %d is %s", r.ID, r.State)
		}
	}
}

// What would overlap waits for its turn, and nothing is lost or doubled.
func TestOverlapsQueue(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	at := plan.Schedule{At: hm(21, 0)}
	w := newWorld(t, start, definition("a", at), definition("b", at), definition("c", at))
	w.took = 90 * time.Minute
	w.until(start.AddDate(0, 0, 10))
	counts := map[string]int{}
	for i, r := range w.started {
		counts[r.Definition]++
		if i > 0 && r.Began.Before(w.started[i-1].Began.Add(w.took)) {
			t.Errorf("run %d began while %d was under way", r.ID, w.started[i-1].ID)
		}
	}
	if fmt.Sprint(counts) != "map[a:10 b:10 c:10]" {
		t.Error(counts)
	}
}

// A run that takes longer than its interval is followed by one, not by all that
// came due meanwhile, and that one is of the strongest type.
func TestLongRunsDoNotPileUp(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 7, 0, 0, zone(t, "Europe/Berlin"))
	w := newWorld(t, start, definition("a",
		plan.Schedule{Kind: plan.Interval, Every: 10 * time.Minute},
		plan.Schedule{Type: plan.Full, At: hm(13, 0)}))
	w.took = 2 * time.Hour
	w.until(start.Add(5 * time.Hour))
	if len(w.started) != 3 || w.started[1].Type != plan.Full || w.started[1].Merged < 5 {
		t.Errorf("%+v", w.started)
	}
}

// Two definitions never write to the same place at once, though two runs may be
// under way.
func TestOneWriterForEachPlace(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	a, b, c := definition("a"), definition("b"), definition("c")
	a.Destinations = []plan.Destination{{Path: "/mnt/x"}}
	b.Destinations = []plan.Destination{{Path: "/mnt/y"}, {Path: "/mnt/x/"}}
	w := newWorld(t, start, a, b, c)
	w.parallel = 2
	for _, name := range []string{"a", "b", "c"} {
		if _, err := w.ask(Run{Definition: name, Cause: ByUser}, start); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, r := range w.step(start) {
		names = append(names, r.Definition)
	}
	if fmt.Sprint(names) != "[a c]" {
		t.Errorf("%v run at the same time", names)
	}
}

// Off for days: one run makes up for all, where it is to be made up.
func TestMissed(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	at := plan.Schedule{At: hm(2, 0)}
	skip, within := at, at
	skip.Missed.Skip, within.Missed.Within = true, 5*time.Hour
	w := newWorld(t, start, definition("made-up", at), definition("skipped", skip), definition("within", within))
	w.turn()
	w.now = start.AddDate(0, 0, 5)
	w.restart(len(w.ledger.changes))
	w.until(w.now.Add(2 * time.Hour))
	var got []string
	for _, r := range w.ledger.runs() {
		got = append(got, fmt.Sprintf("%s %s %s", r.Definition, r.State, r.Cause))
	}
	slices.Sort(got)
	want := "[made-up success missed skipped missed schedule within missed schedule]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The machine sleeps through the time, wakes up and makes up for it; no restart
// takes part.
func TestSuspend(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	w := newWorld(t, start, definition("a", plan.Schedule{At: hm(21, 0)}))
	w.turn()
	w.now = start.AddDate(0, 0, 3)
	w.until(w.now.Add(time.Hour))
	if len(w.started) != 1 || w.started[0].Cause != ByMissed || w.started[0].Due.Day() != 6 {
		t.Errorf("%+v", w.started)
	}
}

// A clock that was a year ahead for an hour must not stop backups for a year.
func TestClockWrongForAWhile(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	w := newWorld(t, start, definition("a", plan.Schedule{At: hm(21, 0)}))
	w.until(start.AddDate(0, 0, 2))
	w.now = start.AddDate(1, 0, 2)
	w.until(w.now.Add(time.Hour))
	n := len(w.started)
	w.now = start.AddDate(0, 0, 2).Add(time.Hour)
	w.until(start.AddDate(0, 0, 12))
	if got := len(w.started) - n; got != 10 {
		t.Errorf("%d runs in the ten days after the clock was right again", got)
	}
}

// An hour back at the end of summer time, as some set it by hand: nothing runs
// twice.
func TestClockAnHourBack(t *testing.T) {
	start := time.Date(2026, 5, 4, 21, 30, 0, 0, zone(t, "Europe/Berlin"))
	w := newWorld(t, start.Add(-time.Hour), definition("a", plan.Schedule{At: hm(21, 0)}))
	w.until(start)
	w.now = start.Add(-time.Hour)
	w.until(start.Add(time.Hour))
	if len(w.started) != 1 {
		t.Errorf("%d runs", len(w.started))
	}
}

// The service is killed after each single thing it stored, at any moment: no
// run that was to be is lost, none is there twice, and none is left under way.
func TestCrashAnywhere(t *testing.T) {
	loc := zone(t, "Europe/Berlin")
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, loc)
	at := plan.Schedule{At: hm(21, 0)}
	build := func() *world { return newWorld(t, start, definition("a", at), definition("b", at)) }
	whole := build()
	whole.until(start.AddDate(0, 0, 3))
	for n := range whole.ledger.changes {
		w := build()
		for len(w.ledger.changes) <= n && w.now.Before(start.AddDate(0, 0, 3)) {
			w.until(w.now.Add(time.Minute))
		}
		w.restart(min(n, len(w.ledger.changes)))
		w.until(start.AddDate(0, 0, 4))
		checkDays(t, n, w.ledger.runs(), start, 4)
	}
}

// checkDays wants a good run of each definition for each day.
func checkDays(t *testing.T, n int, runs []Run, start time.Time, days int) {
	t.Helper()
	good := map[string]int{}
	for _, r := range runs {
		switch {
		case r.State == Success:
			good[fmt.Sprint(r.Definition, r.Due.In(start.Location()).Day())]++
		case r.State != Interrupted:
			t.Errorf("crash after change %d: run %d is %s", n, r.ID, r.State)
		}
	}
	for d := range days {
		for _, name := range []string{"a", "b"} {
			if got := good[fmt.Sprint(name, start.AddDate(0, 0, d).Day())]; got != 1 {
				t.Errorf("crash after change %d: %s has %d good runs on day %d", n, name, got, d)
			}
		}
	}
}

// Whatever ends the service again and again, a run is not begun for ever.
func TestInterruptedAgainAndAgain(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, start, definition("a"))
	if _, err := w.ask(Run{Definition: "a", Type: plan.Full, Cause: ByUser}, start); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		w.turn()
		w.restart(len(w.ledger.changes))
	}
	var states []State
	for _, r := range w.ledger.runs() {
		states = append(states, r.State)
		if r.Type != plan.Full {
			t.Errorf("run %d is %s", r.ID, r.Type)
		}
	}
	if fmt.Sprint(states) != "[interrupted interrupted failure]" {
		t.Error(states)
	}
}

func TestRetries(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	d := definition("a", plan.Schedule{At: hm(21, 0)})
	d.Limits = plan.Limits{Retries: 2, RetryAfter: 30 * time.Minute}
	w := newWorld(t, start, d)
	w.end = func(Run) Outcome { return Outcome{State: Failed, Error: "no"} }
	w.until(start.Add(22 * time.Hour))
	if len(w.started) != 3 || w.started[2].Cause != ByRetry || w.started[2].Of != w.started[1].ID {
		t.Fatalf("%+v", w.started)
	}
	if gap := w.started[1].Began.Sub(w.started[0].Began.Add(w.took)); gap < 30*time.Minute || gap > 46*time.Minute {
		t.Errorf("tried again after %s", gap)
	}
}

// On battery: the run waits, and is the same one when it is made.
func TestSkippedWaits(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	at := plan.Schedule{At: hm(21, 0)}
	at.Missed.Within = 3 * time.Hour
	for _, c := range []struct {
		battery time.Duration // after it was due
		want    State
	}{{time.Hour, Success}, {8 * time.Hour, Skipped}} {
		w := newWorld(t, start, definition("a", at))
		w.took = time.Second
		w.end = func(r Run) Outcome {
			if w.now.Sub(r.Due) < c.battery {
				return Outcome{State: Skipped, Error: "on battery"}
			}
			return Outcome{State: Success}
		}
		w.until(start.Add(20 * time.Hour))
		runs := w.ledger.runs()
		if len(runs) != 1 || runs[0].State != c.want {
			t.Errorf("%s on battery: %+v", c.battery, runs)
		}
	}
}

func TestPausing(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	w := newWorld(t, start, definition("a", plan.Schedule{At: hm(21, 0)}))
	w.pause(true)
	w.until(start.AddDate(0, 0, 1))
	if len(w.started) > 0 || len(w.queue) != 1 {
		t.Errorf("%d started, %d wait while the queue is held", len(w.started), len(w.queue))
	}
	w.restart(len(w.ledger.changes)) // it stays held
	w.pause(false)
	w.until(start.AddDate(0, 0, 1).Add(time.Hour))
	if len(w.started) != 1 {
		t.Errorf("%d started after it went on", len(w.started))
	}
	if err := w.pauseOne("a", true, w.now); err != nil {
		t.Fatal(err)
	}
	w.until(start.AddDate(0, 0, 5))
	if err := w.pauseOne("a", false, w.now); err != nil {
		t.Fatal(err)
	}
	w.until(start.AddDate(0, 0, 5).Add(time.Hour))
	if len(w.started) != 1 {
		t.Error("what was due while the definition was paused was made up for")
	}
	if err := w.pauseOne("nobody", true, w.now); err == nil {
		t.Error("a definition that is not there can be paused")
	}
}
