package service

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

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
	case r.Errand != nil: // only who asked for it can say whether it is wanted again
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
	errUnknown = errors.New("there is no such definition")
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
