package plan

import (
	"fmt"
	"hash/fnv"
	"time"
)

// What is due, for whoever starts the runs.
//
//	state := what was stored; the zero State for a definition never seen
//	for {
//		run, next, state := def.Due(state, Situation{Now: time.Now(), ...})
//		if run != nil && the Conditions hold {
//			begin or queue it, and store run.State: it will not come again
//		} else if run == nil {
//			store state
//		}
//		wait until next, at most some minutes, or until an event
//	}
//
// Due is a pure function. The State has to be on stable storage when it is new
// (its Schedules have changed) or of a run; in between it may be kept in memory,
// since nothing is lost but time. A run whose State is not stored (a condition does not
// hold, the machine goes down before it has begun) is due the next time too, as
// long as its Missed allows. Ask again at least every few minutes of the wall
// clock and after waking up: timers do not see that the clock was set.
//
// Each definition has one State for all its schedules. What is due together, or
// has become due while another run had its turn, makes one run of the type
// that holds most.
//
// The clock may be set. A State that is more than an hour ahead of it is taken
// for one of a clock that was wrong, and forgotten: rather one backup too many
// than none until then. So a small step back repeats nothing.

// State is what is to be remembered between two calls of Due. It has no
// secrets, and its JSON is for storing it.
type State struct {
	// Handled: occurrences up to and with this moment are done with.
	Handled time.Time
	// Began is when the last run of the definition began, by hand or not.
	// Whoever begins a run by hand sets it.
	Began time.Time
	// Boot is the start of the machine that AtStart has had its run for, and
	// Plugged the appearance of the destination that OnPlugged has.
	Boot    string
	Plugged time.Time
	// Schedules tells whether the definition was edited meanwhile: new
	// schedules have missed nothing.
	Schedules uint64
}

// Situation is what Due has to know of the machine.
type Situation struct {
	Now time.Time
	// Local is the machine's time zone; nil is time.Local.
	Local *time.Location
	// Host tells machines with the same definition apart, for Schedule.Delay.
	Host string

	// Boot is different for each start of the machine (its boot id, or the time
	// of it), and BootTime when that was.
	Boot     string
	BootTime time.Time
	// Idle is how long nobody has used the machine.
	Idle time.Duration
	// Plugged is when a destination of the definition has last appeared; zero
	// when none is there.
	Plugged time.Time
}

// Run is one that is due.
type Run struct {
	Type Type
	// For is the occurrence that it is made for, without the delay.
	For time.Time
	// Late is how long ago it should have begun; more than Grace means that it
	// makes up for a missed run.
	Late time.Duration
	// Reason says why, for the log: "daily at 02:30".
	Reason string
	// State is what to store once it has begun or is queued.
	State State
}

// Grace is how late a run may begin and count as in time.
const Grace = 15 * time.Minute

// maxAhead is how far a State may be ahead of the clock.
const maxAhead = time.Hour

// Due says which run is due, nil for none, and when to ask again at the latest;
// the zero time says that only an event or an edit can make something due. The
// State is what to store when there is no run, or it cannot begin and its time
// is to be kept.
func (d *Definition) Due(st State, now Situation) (*Run, time.Time, State) {
	loc, err := d.Location(now.Local)
	if err != nil {
		loc = now.Now.Location() // Check has refused it
	}
	st = d.settle(st, now)
	if d.Disabled {
		st.Handled = now.Now
		return nil, time.Time{}, st
	}
	a := agenda{d, st, now, loc}
	pending := a.pending()
	run := a.run(pending)
	if len(pending) == 0 && now.Now.After(st.Handled) { // the clock may have been put back a little
		st.Handled = now.Now
	}
	return run, a.next(pending, run), st
}

// settle brings a stored State in line with the definition and the clock.
func (d *Definition) settle(st State, now Situation) State {
	mark := d.mark()
	if st.Handled.IsZero() || st.Schedules != mark {
		st.Handled, st.Boot, st.Plugged = now.Now, now.Boot, now.Plugged
	}
	if st.Handled.After(now.Now.Add(maxAhead)) {
		st.Handled = now.Now
	}
	if st.Began.After(now.Now.Add(maxAhead)) {
		st.Began = now.Now
	}
	if st.Plugged.After(now.Now.Add(maxAhead)) {
		st.Plugged = now.Now
	}
	st.Schedules = mark
	return st
}

// mark is a number that changes with the schedules.
func (d *Definition) mark() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %#v", d.TimeZone, d.Schedules)
	return h.Sum64()
}

// Location is where the clock of the schedules hangs.
func (d *Definition) Location(local *time.Location) (*time.Location, error) {
	switch {
	case d.TimeZone == "" && local == nil:
		return time.Local, nil
	case d.TimeZone == "":
		return local, nil
	}
	loc, err := time.LoadLocation(d.TimeZone)
	if err != nil || d.TimeZone == "Local" {
		return nil, fmt.Errorf("time zone %q is not in the IANA database, whose names are like Europe/Berlin", d.TimeZone)
	}
	return loc, nil
}

// agenda is one question of what is due.
type agenda struct {
	*Definition
	st  State
	now Situation
	loc *time.Location
}

// occasion is an occurrence or an event that has had no run yet.
type occasion struct {
	*Schedule
	at   time.Time // its time
	from time.Time // the same with the delay
}

// pending are the last occasion of each schedule that has one.
func (a *agenda) pending() []occasion {
	var out []occasion
	for i := range a.Schedules {
		s := &a.Schedules[i]
		at := a.last(s)
		if at.IsZero() {
			continue
		}
		o := occasion{s, at, at.Add(a.Delay(s, at, a.now.Host))}
		if s.Event() || !a.now.Now.After(o.from.Add(s.Missed.limit())) {
			out = append(out, o)
		}
	}
	return out
}

// limit is how late a run may be made.
func (m Missed) limit() time.Duration {
	switch {
	case m.Skip:
		return Grace
	case m.Within > 0:
		return max(m.Within, Grace)
	}
	return 1<<63 - 1
}

// last is the last occasion of a schedule up to now; zero when it was handled
// or there is none.
func (a *agenda) last(s *Schedule) (at time.Time) {
	switch s.Kind {
	case AtStart:
		if a.now.Boot != "" && a.now.Boot != a.st.Boot && a.rested(s, a.now.BootTime) {
			at = a.now.BootTime
		}
	case OnPlugged:
		if a.now.Plugged.After(a.st.Plugged) && a.rested(s, a.now.Plugged) {
			at = a.now.Plugged
		}
	case OnIdle:
		if a.now.Idle >= s.idleFor() && a.rested(s, a.now.Now) {
			at = a.now.Now.Add(s.idleFor() - a.now.Idle)
		}
	default:
		if at = s.Prev(a.now.Now, a.loc); !at.After(a.st.Handled) {
			return time.Time{}
		}
	}
	return at
}

// rested says whether the gap after the last run was over at the time of an
// event.
func (a *agenda) rested(s *Schedule, at time.Time) bool {
	return a.st.Began.IsZero() || !at.Before(a.st.Began.Add(s.gap()))
}

func (s *Schedule) gap() time.Duration {
	if s.Gap > 0 {
		return s.Gap
	}
	return DefaultGap
}

func (s *Schedule) idleFor() time.Duration {
	if s.IdleFor > 0 {
		return s.IdleFor
	}
	return DefaultIdle
}

// run makes one run of all that is pending, once one of it is due.
func (a *agenda) run(pending []occasion) *Run {
	var best *occasion
	due := false
	for i := range pending {
		o := &pending[i]
		due = due || !o.from.After(a.now.Now)
		if best == nil || o.Type.rank() > best.Type.rank() {
			best = o
		}
	}
	if !due {
		return nil
	}
	r := &Run{
		Type: best.Type, For: best.at, Late: max(0, a.now.Now.Sub(best.from)),
		Reason: best.Schedule.String(), State: a.st,
	}
	if r.Type == "" {
		r.Type = Incremental
	}
	r.State.Handled, r.State.Began = a.now.Now, a.now.Now
	r.State.Boot = a.now.Boot
	if a.now.Plugged.After(a.st.Plugged) {
		r.State.Plugged = a.now.Plugged
	}
	return r
}

// rank is larger for what holds more.
func (t Type) rank() int {
	switch t {
	case Full:
		return 2
	case Differential:
		return 1
	}
	return 0
}

// next is when to ask again.
func (a *agenda) next(pending []occasion, run *Run) time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if t.After(a.now.Now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if run == nil {
		for _, o := range pending {
			sooner(o.from)
		}
	}
	for i := range a.Schedules {
		s := &a.Schedules[i]
		if at := s.Next(a.now.Now, a.loc); !at.IsZero() {
			sooner(at.Add(a.Delay(s, at, a.now.Host)))
		}
		if s.Kind == OnIdle && !a.st.Began.IsZero() {
			sooner(a.st.Began.Add(s.gap()))
		}
	}
	return next
}

// Delay is by how much a run at an occurrence is put off, in whole seconds: the
// same whenever it is asked, another one for other definitions, machines and
// occurrences.
func (d *Definition) Delay(s *Schedule, at time.Time, host string) time.Duration {
	if s.Delay < time.Second {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d", host, d.Name, at.Unix())
	// FNV changes its upper bits little for a short text.
	x := h.Sum64()
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return time.Duration(x%uint64(s.Delay/time.Second+1)) * time.Second
}
