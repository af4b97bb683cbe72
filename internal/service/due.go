package service

import (
	"path/filepath"
	"slices"
	"time"

	"ingot/internal/job"
	"ingot/internal/plan"
)

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

// days is a number of days as a span of time.
func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
