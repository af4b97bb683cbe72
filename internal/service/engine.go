package service

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"ingot/internal/job"
	"ingot/internal/plan"
)

// engine decides which runs there are and which of them may start. It knows no
// clock, process or file: it is told what happened and when, and gives out what
// is to be done. All that it must not forget goes to store before it comes back.
type engine struct {
	items     map[string]*plan.Definition // the usable ones
	next      map[string]time.Time        // when to ask each of them again
	machine   Machine
	standings map[string]Standing
	queue     []*Run // waiting, in the order of their turn
	running   map[uint64]*work
	paused    bool
	stopping  bool
	last      uint64 // the highest number of a run
	parallel  int
	store     func(change)
	tell      func(name string, r *Run) // of each change of a run
}

// work is a run that is under way and the places it writes to, which stay its
// own though the definition may change.
type work struct {
	run    *Run
	places []string
}

// Machine is what schedules have to know of the machine beside the time.
type Machine struct {
	Host     string
	Boot     string // another one for each start of the machine
	BootTime time.Time
	Idle     time.Duration // how long nobody has used it
	// Volumes are those that are mounted, but for the root, by their paths,
	// with when they appeared.
	Volumes map[string]time.Time
}

// plugged is when a volume that a place of the definition lies on has last
// appeared; zero when there is none.
func (m *Machine) plugged(d *plan.Definition) (last time.Time) {
	for point, at := range m.Volumes {
		for _, dest := range d.Destinations {
			if under(filepath.Clean(dest.Path), point) && at.After(last) {
				last = at
			}
		}
	}
	return last
}

func (m *Machine) situation(d *plan.Definition, now time.Time) plan.Situation {
	return plan.Situation{Now: now, Host: m.Host, Boot: m.Boot, BootTime: m.BootTime, Idle: m.Idle, Plugged: m.plugged(d)}
}

// Limits of the engine.
const (
	maxAttempts = 3 // how often an interrupted run is begun again
	goneLimit   = 7 * 24 * time.Hour
)

func newEngine(m memory, parallel int, store func(change), tell func(string, *Run)) *engine {
	e := &engine{
		items: map[string]*plan.Definition{}, next: map[string]time.Time{}, standings: m.standings, running: map[uint64]*work{}, paused: m.paused,
		last: m.last, parallel: max(1, parallel), store: store, tell: tell,
	}
	if e.standings == nil {
		e.standings = map[string]Standing{}
	}
	return e
}

// recover takes up what a service before this one left: what ran is interrupted
// and queued again, what waited waits.
func (e *engine) recover(unfinished []Run, now time.Time) (interrupted []Run) {
	var c change
	for i := range unfinished {
		r := &unfinished[i]
		if r.State == Queued {
			e.queue = append(e.queue, r)
			continue
		}
		e.close(&c, r, Outcome{State: Interrupted, Error: "the service or the machine ended while it ran"}, now)
		interrupted = append(interrupted, *r)
	}
	e.save(c)
	return interrupted
}

// save stores a change and tells of the runs in it.
func (e *engine) save(c change) {
	if len(c.runs) == 0 && len(c.standings) == 0 && len(c.forget) == 0 && c.paused == nil {
		return
	}
	e.store(c)
	for i := range c.runs {
		r := &c.runs[i]
		switch {
		case r.State == Queued:
			e.tell("job.queued", r)
		case r.State == Running:
			e.tell("job.started", r)
		default:
			e.tell("job.done", r)
		}
	}
}

// set has a standing changed together with what else is in c.
func (e *engine) set(c *change, name string, s Standing) {
	e.standings[name] = s
	if c.standings == nil {
		c.standings = map[string]Standing{}
	}
	c.standings[name] = s
}

// know takes the definitions there are now. present has the names of all files,
// those that are refused too.
func (e *engine) know(items map[string]*plan.Definition, present map[string]bool, now time.Time) {
	var c change
	e.items = items
	e.next = map[string]time.Time{}
	for name := range items {
		if _, ok := e.standings[name]; !ok {
			e.set(&c, name, Standing{Known: now})
		}
	}
	for name, s := range e.standings {
		switch {
		case present[name] && !s.Gone.IsZero():
			s.Gone = time.Time{}
			e.set(&c, name, s)
		case present[name]: // as ever
		case s.Gone.IsZero():
			s.Gone = now
			e.set(&c, name, s)
		case now.Sub(s.Gone) > goneLimit:
			delete(e.standings, name)
			c.forget = append(c.forget, name)
		}
	}
	e.drop(&c, present, now)
	e.save(c)
}

// drop takes runs of definitions that are gone out of the queue.
func (e *engine) drop(c *change, present map[string]bool, now time.Time) {
	e.queue = slices.DeleteFunc(e.queue, func(r *Run) bool {
		if present[r.Definition] {
			return false
		}
		r.State, r.Ended, r.Error = Stopped, now, "its definition is gone"
		c.runs = append(c.runs, *r)
		return true
	})
}

// step looks at all schedules and gives the runs that are to start now; they
// count as running from then on.
func (e *engine) step(now time.Time) []Run {
	e.dueNow(now)
	var c change
	start := e.pick(&c, now)
	e.save(c)
	return start
}

// dueNow queues what has come due.
func (e *engine) dueNow(now time.Time) {
	var c change
	if !e.stopping {
		for _, name := range slices.Sorted(maps.Keys(e.items)) {
			e.consider(&c, e.items[name], now)
		}
	}
	e.save(c)
}

// consider queues what has come due of one definition.
func (e *engine) consider(c *change, d *plan.Definition, now time.Time) {
	s := e.standings[d.Name]
	if s.Paused {
		return
	}
	run, next, state := d.Due(s.Schedule, e.machine.situation(d, now))
	e.next[d.Name] = next
	if run != nil {
		s.Schedule = run.State
		e.set(c, d.Name, s)
		r := Run{Definition: d.Name, Type: run.Type, Cause: causeOf(run), Why: run.Reason, Due: run.For, Until: lastChance(d, run, now)}
		e.enqueue(c, r, now)
		return
	}
	if at := lost(d, s.Schedule, state, now); !at.IsZero() {
		e.last++
		c.runs = append(c.runs, Run{
			ID: e.last, Definition: d.Name, Cause: BySchedule, State: Missed, Due: at, Queued: now, Ended: now,
			Error: "its time passed while nothing could run",
		})
	} else if state.Schedules == s.Schedule.Schedules && !s.Schedule.Handled.IsZero() {
		// Nothing was due in this span, nor will it be when it is looked at
		// again after a crash: no need to store that it was.
		s.Schedule = state
		e.standings[d.Name] = s
		return
	}
	s.Schedule = state
	e.set(c, d.Name, s)
}

// causeOf says why a run of a schedule came to be.
func causeOf(r *plan.Run) Cause {
	if r.Late > plan.Grace {
		return ByMissed
	}
	return BySchedule
}

// lost is the last moment of a schedule that is done with though no run was made
// for it; zero when there is none.
func lost(d *plan.Definition, before, after plan.State, now time.Time) (last time.Time) {
	if before.Schedules != after.Schedules || before.Handled.IsZero() || !after.Handled.After(before.Handled) || d.Disabled {
		return last
	}
	loc, err := d.Location(nil)
	if err != nil {
		return last
	}
	for i := range d.Schedules {
		s := &d.Schedules[i]
		if s.Event() {
			continue
		}
		if at := s.Prev(now, loc); at.After(before.Handled) && at.After(last) {
			last = at
		}
	}
	return last
}

// rank orders the types by what they hold; the plan's own choice is the least,
// since it may become any.
func rank(t plan.Type) int {
	return slices.Index([]plan.Type{"", plan.Incremental, plan.Differential, plan.Full}, t)
}

// enqueue queues a run. One of the same definition that waits already is made
// do for both: it takes the stronger type.
func (e *engine) enqueue(c *change, r Run, now time.Time) Run {
	for _, q := range e.queue {
		if q.Definition != r.Definition {
			continue
		}
		if rank(r.Type) > rank(q.Type) {
			q.Type = r.Type
		}
		if r.NotBefore.Before(q.NotBefore) {
			q.NotBefore = r.NotBefore
		}
		q.Merged += 1 + r.Merged
		c.runs = append(c.runs, *q)
		return *q
	}
	e.last++
	r.ID, r.State, r.Queued = e.last, Queued, now
	e.queue = append(e.queue, &r)
	c.runs = append(c.runs, r)
	return r
}

// pick takes what may start out of the queue.
func (e *engine) pick(c *change, now time.Time) (start []Run) {
	if e.paused || e.stopping {
		return nil
	}
	e.queue = slices.DeleteFunc(e.queue, func(r *Run) bool {
		d := e.items[r.Definition]
		if d == nil || now.Before(r.NotBefore) || len(e.running) >= e.parallel || e.busy(d) {
			return false
		}
		r.State, r.Began = Running, now
		e.running[r.ID] = &work{r, places(d)}
		if s := e.standings[d.Name]; s.Schedule.Began.Before(now) {
			s.Schedule.Began = now
			e.set(c, d.Name, s)
		}
		c.runs = append(c.runs, *r)
		start = append(start, *r)
		return true
	})
	return start
}

// places are where a definition may write.
func places(d *plan.Definition) (out []string) {
	for _, dest := range d.Destinations {
		out = append(out, filepath.Clean(dest.Path))
	}
	return out
}

// busy says whether a run is under way that has the same definition or a place
// in common: there is one writer for each.
func (e *engine) busy(d *plan.Definition) bool {
	for _, w := range e.running {
		if w.run.Definition == d.Name {
			return true
		}
		for _, p := range places(d) {
			if slices.Contains(w.places, p) {
				return true
			}
		}
	}
	return false
}

// began notes the process of a run.
func (e *engine) began(id uint64, p Process) {
	if j := e.running[id]; j != nil {
		j.run.Process = &p
		e.store(change{runs: []Run{*j.run}})
	}
}

// finish notes how a run ended.
func (e *engine) finish(id uint64, o Outcome, now time.Time) (r Run, ok bool) {
	j := e.running[id]
	if j == nil {
		return Run{}, false
	}
	delete(e.running, id)
	var c change
	if again := now.Add(e.wait(j.run.Definition)); o.State == Skipped && j.run.waits(again) {
		e.putOff(&c, j.run, o, again)
	} else {
		e.close(&c, j.run, o, now)
	}
	e.save(c)
	return *j.run, true
}

// waits says whether a run that could not begin is to be tried at t: those of
// schedules are, unless they are not made up.
func (r *Run) waits(t time.Time) bool {
	return (r.Cause == BySchedule || r.Cause == ByMissed) && !t.After(r.Until)
}

// putOff has a run that could not begin wait.
func (e *engine) putOff(c *change, r *Run, o Outcome, until time.Time) {
	r.State, r.Process, r.NotBefore, r.Error, r.Hint = Queued, nil, until, o.Error, o.Hint
	e.queue = append(e.queue, r)
	c.runs = append(c.runs, *r)
}

// close ends a run and has it begun again when it was interrupted, or failed and
// is to be tried again.
func (e *engine) close(c *change, r *Run, o Outcome, now time.Time) {
	r.State, r.Ended, r.Process = o.State, now, nil
	r.ExitCode, r.Error, r.Hint, r.Report = o.ExitCode, o.Error, o.Hint, kept(o.Report)
	again := Run{Definition: r.Definition, Type: r.Type, Due: r.Due, Until: r.Until, Attempt: r.Attempt + 1, Of: r.ID}
	switch {
	case r.State == Interrupted && again.Attempt < maxAttempts:
		again.Cause = ByResume
	case r.State == Interrupted:
		r.State, r.Error = Failed, fmt.Sprintf("interrupted %d times in a row, given up; the last time: %s", maxAttempts, o.Error)
	case r.State == Failed && e.items[r.Definition] != nil && r.Attempt < e.items[r.Definition].Limits.Retries:
		again.Cause, again.NotBefore = ByRetry, now.Add(e.wait(r.Definition))
	}
	c.runs = append(c.runs, *r)
	e.note(c, r, now)
	if again.Cause != "" {
		e.enqueue(c, again, now)
	}
}

// wait is how long a run of a definition waits before it is tried again.
func (e *engine) wait(name string) time.Duration {
	if d := e.items[name]; d != nil && d.Limits.RetryAfter > 0 {
		return d.Limits.RetryAfter
	}
	return plan.DefaultRetryAfter
}

// forever is a moment that does not come.
const forever = 100 * 365 * 24 * time.Hour

// lastChance is until when a run that could not begin is tried again: as long as
// it would be made up for had it been missed. An event is over.
func lastChance(d *plan.Definition, r *plan.Run, now time.Time) time.Time {
	last := now
	loc, err := d.Location(nil)
	if err != nil {
		return last
	}
	for i := range d.Schedules {
		s := &d.Schedules[i]
		if s.Event() || !s.Prev(r.For, loc).Equal(r.For) {
			continue
		}
		until := r.For.Add(forever)
		switch {
		case s.Missed.Skip:
			until = r.For.Add(plan.Grace)
		case s.Missed.Within > 0:
			until = r.For.Add(max(s.Missed.Within, plan.Grace))
		}
		if until.After(last) {
			last = until
		}
	}
	return last
}

// note keeps what the standing of a definition has of its last run.
func (e *engine) note(c *change, r *Run, now time.Time) {
	s, ok := e.standings[r.Definition]
	if !ok {
		return
	}
	if r.State.Good() {
		s.LastGood, s.Alerted = now, time.Time{}
	}
	e.set(c, r.Definition, s)
}

// Errors of what is asked of the engine.
var (
	errUnknown = errors.New("there is no such definition, or it is refused")
	errNoRun   = errors.New("there is no such run under way or waiting")
)

// ask queues a run because somebody or something asked for it.
func (e *engine) ask(r Run, now time.Time) (Run, error) {
	if e.items[r.Definition] == nil {
		return Run{}, fmt.Errorf("%q: %w", r.Definition, errUnknown)
	}
	var c change
	r = e.enqueue(&c, r, now)
	e.save(c)
	return r, nil
}

// cancel takes a run out of the queue; running is true when its process has to
// be stopped instead.
func (e *engine) cancel(id uint64, by string, now time.Time) (running bool, err error) {
	if e.running[id] != nil {
		return true, nil
	}
	i := slices.IndexFunc(e.queue, func(r *Run) bool { return r.ID == id })
	if i < 0 {
		return false, fmt.Errorf("run %d: %w", id, errNoRun)
	}
	r := e.queue[i]
	e.queue = slices.Delete(e.queue, i, i+1)
	r.State, r.Ended, r.Error = Stopped, now, "cancelled by "+by
	e.save(change{runs: []Run{*r}})
	return false, nil
}

// pause holds the queue, or lets it go on. What comes due waits.
func (e *engine) pause(on bool) {
	e.paused = on
	e.save(change{paused: &on})
}

// pauseOne holds the schedules and triggers of one definition.
func (e *engine) pauseOne(name string, on bool, now time.Time) error {
	s, ok := e.standings[name]
	if !ok || e.items[name] == nil {
		return fmt.Errorf("%q: %w", name, errUnknown)
	}
	if s.Paused && !on {
		s.Schedule.Handled = now // what was due meanwhile is not wanted
	}
	s.Paused = on
	var c change
	e.set(&c, name, s)
	e.save(c)
	return nil
}

// overdue gives the definitions whose owners are to be told that there has been
// no good backup for too long, with when the last one was. Each is given once,
// and again each time the limit has passed once more.
func (e *engine) overdue(now time.Time) map[string]time.Time {
	out := map[string]time.Time{}
	var c change
	for name, d := range e.items {
		s, limit := e.standings[name], days(d.Notify.AlertAfter)
		since, late := job.Overdue(nil, s.since(), now, limit)
		if !late || !s.Alerted.IsZero() && now.Sub(s.Alerted) < limit {
			continue
		}
		s.Alerted = now
		e.set(&c, name, s)
		out[name] = since
	}
	e.save(c)
	return out
}

// since is the end of the last good run, or when the definition came to be.
func (s Standing) since() time.Time {
	return slices.MaxFunc([]time.Time{s.Known, s.LastGood}, time.Time.Compare)
}

// wake is the next moment at which there may be something to do.
func (e *engine) wake(now time.Time) (first time.Time, some bool) {
	sooner := func(at time.Time) {
		if at.After(now) && (!some || at.Before(first)) {
			first, some = at, true
		}
	}
	for _, at := range e.next {
		sooner(at)
	}
	for _, r := range e.queue {
		sooner(r.NotBefore)
	}
	return first, some
}

// unfinished are the runs under way and those that wait, in that order.
func (e *engine) unfinished() []Run {
	out := []Run{}
	for _, j := range e.running {
		out = append(out, *j.run)
	}
	slices.SortFunc(out, func(a, b Run) int { return cmp.Compare(a.ID, b.ID) })
	for _, r := range e.queue {
		out = append(out, *r)
	}
	return out
}

// days is a number of days as a span of time.
func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
