package plan

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// gfs is full on the first Sunday, differential on other Sundays, incremental
// else, at 02:30.
func gfs() *Definition {
	return &Definition{Name: "gfs", Schedules: []Schedule{
		{Type: Full, Kind: Monthly, Nth: 1, Weekday: time.Sunday, At: halfPastTwo},
		{Type: Differential, Days: 1 << time.Sunday, At: halfPastTwo},
		{At: halfPastTwo},
	}}
}

// machine is a service at work: it asks when it was told to, and at least every
// hour.
type machine struct {
	*Definition
	Situation
	st   State
	runs []*Run
}

func newMachine(d *Definition, now time.Time) *machine {
	m := &machine{Definition: d, Situation: Situation{Now: now, Local: now.Location(), Host: "HOST", Boot: "first", BootTime: now}}
	_, _, m.st = d.Due(State{}, m.Situation)
	return m
}

// until lets time pass.
func (m *machine) until(t time.Time) {
	for {
		next := m.ask()
		if next.IsZero() || next.After(m.Now.Add(time.Hour)) {
			next = m.Now.Add(time.Hour)
		}
		if next.After(t) {
			m.Now = t
			m.ask()
			return
		}
		m.Now = next
	}
}

func (m *machine) ask() time.Time {
	run, next, st := m.Due(m.st, m.Situation)
	if run != nil {
		st = run.State
		m.runs = append(m.runs, run)
	}
	// As it comes back from the store.
	text, err := json.Marshal(st)
	if err == nil {
		m.st = State{}
		err = json.Unmarshal(text, &m.st)
	}
	if err != nil {
		panic(err)
	}
	return next
}

// off lets time pass while the machine is off.
func (m *machine) off(t time.Time) {
	m.Now, m.BootTime, m.Boot = t, t, t.String()
	m.ask()
}

func (m *machine) want(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, r := range m.runs {
		got = append(got, string(r.Type)+" "+r.For.In(m.Local).Format("01-02 15:04"))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("runs\n%q, want\n%q", got, want)
	}
	m.runs = nil
}

func utc(month, day, hour, minute int) time.Time {
	return time.Date(2026, time.Month(month), day, hour, minute, 0, 0, time.UTC)
}

func TestDueTogether(t *testing.T) {
	m := newMachine(gfs(), utc(11, 30, 12, 0))
	m.until(utc(12, 14, 12, 0))
	m.want(t, "inc 12-01 02:30", "inc 12-02 02:30", "inc 12-03 02:30", "inc 12-04 02:30", "inc 12-05 02:30", "full 12-06 02:30", "inc 12-07 02:30",
		"inc 12-08 02:30", "inc 12-09 02:30", "inc 12-10 02:30", "inc 12-11 02:30", "inc 12-12 02:30", "diff 12-13 02:30", "inc 12-14 02:30")
}

func TestMissed(t *testing.T) {
	week := utc(12, 10, 12, 0)
	for _, c := range []struct {
		name   string
		missed Missed
		back   time.Time
		want   []string
	}{
		{"made up once", Missed{}, week, []string{"full 12-06 02:30"}},
		{"skipped", Missed{Skip: true}, week, nil},
		{"within 5 days", Missed{Within: 5 * 24 * time.Hour}, week, []string{"full 12-06 02:30"}},
		{"not within 4 days: the daily one is", Missed{Within: 4 * 24 * time.Hour}, week, []string{"inc 12-10 02:30"}},
		{"10 minutes late is in time", Missed{Skip: true}, utc(12, 6, 2, 40), []string{"full 12-06 02:30"}},
		{"20 minutes late is not", Missed{Skip: true}, utc(12, 6, 2, 50), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := gfs()
			for i := range d.Schedules {
				d.Schedules[i].Missed = c.missed
			}
			m := newMachine(d, utc(12, 5, 12, 0))
			m.off(c.back)
			m.ask()
			m.want(t, c.want...)
			m.until(utc(12, 11, 12, 0))
			if last := m.runs[len(m.runs)-1]; last.Type != Incremental || !last.For.Equal(utc(12, 11, 2, 30)) {
				t.Fatalf("it does not go on: %+v", last)
			}
		})
	}
}

func TestNothingMissedByNewSchedules(t *testing.T) {
	m := newMachine(gfs(), utc(12, 1, 12, 0))
	m.ask()
	m.Now = utc(12, 1, 18, 0)
	m.Schedules = append(m.Schedules, Schedule{At: 15 * 60})
	m.ask()
	m.want(t)
	m.until(utc(12, 2, 20, 0))
	m.want(t, "inc 12-02 02:30", "inc 12-02 15:00")
}

func TestClockIsSet(t *testing.T) {
	m := newMachine(gfs(), utc(12, 1, 12, 0))
	m.until(utc(12, 2, 2, 40))
	m.want(t, "inc 12-02 02:30")
	m.Now = utc(12, 2, 1, 50) // back by 50 minutes: no second run
	m.until(utc(12, 2, 12, 0))
	m.want(t)
	m.Now = time.Date(2033, 5, 5, 5, 5, 0, 0, time.UTC) // far ahead: one run
	m.ask()
	m.want(t, "full 05-01 02:30")
	m.Now = utc(12, 3, 1, 0) // and back: it goes on
	m.until(utc(12, 4, 12, 0))
	m.want(t, "inc 12-03 02:30", "inc 12-04 02:30")
}

func TestSwitchDays(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for _, day := range []time.Time{time.Date(2026, 3, 29, 0, 0, 0, 0, berlin), time.Date(2026, 10, 25, 0, 0, 0, 0, berlin)} {
		d := &Definition{Name: "x", TimeZone: "Europe/Berlin", Schedules: []Schedule{{At: halfPastTwo}}}
		m := newMachine(d, day.Add(-3*time.Hour))
		m.Local = time.UTC
		for range 26 * 60 { // asked each minute
			m.Now = m.Now.Add(time.Minute)
			m.ask()
		}
		if len(m.runs) != 1 {
			t.Fatalf("%s: %d runs", day, len(m.runs))
		}
	}
}

func TestEvents(t *testing.T) {
	m := newMachine(&Definition{Name: "x", Schedules: []Schedule{
		{Type: Full, Kind: AtStart, Delay: 0}, {Type: Differential, Kind: OnPlugged, Gap: 2 * time.Hour}, {Kind: OnIdle, IdleFor: 20 * time.Minute, Gap: 4 * time.Hour},
	}}, utc(12, 1, 8, 0))
	m.ask()
	m.want(t) // a new definition does not run because the machine once started
	m.Plugged = utc(12, 1, 9, 0)
	m.until(utc(12, 1, 12, 0))
	m.want(t, "diff 12-01 09:00")
	m.Plugged = utc(12, 1, 10, 30) // within the gap
	m.ask()
	m.want(t)
	m.Idle, m.Now = 25*time.Minute, utc(12, 1, 12, 30)
	m.ask()
	m.want(t) // within its gap
	m.Idle, m.Now = 60*time.Minute, utc(12, 1, 13, 5)
	m.ask()
	m.want(t, "inc 12-01 12:25")
	m.Idle = 0
	m.off(utc(12, 1, 20, 0)) // started 7 hours after the last run
	m.want(t)
	m.off(utc(12, 2, 8, 0))
	m.want(t, "full 12-02 08:00")
	m.off(utc(12, 2, 8, 30))
	m.want(t)
}

func TestDelay(t *testing.T) {
	d := gfs()
	for i := range d.Schedules {
		d.Schedules[i].Delay = time.Hour
	}
	m := newMachine(d, utc(12, 1, 12, 0))
	seen := map[time.Duration]bool{}
	for day := 2; day < 30; day++ {
		m.until(utc(12, day, 12, 0))
		if len(m.runs) != 1 {
			t.Fatalf("%d runs on %d", len(m.runs), day)
		}
		late := m.runs[0].State.Began.Sub(m.runs[0].For)
		if late < 0 || late > time.Hour || late != d.Delay(&d.Schedules[0], m.runs[0].For, "HOST") || m.runs[0].Late != 0 {
			t.Fatalf("it begins %s late", late)
		}
		seen[late], m.runs = true, nil
	}
	if len(seen) < 20 {
		t.Errorf("only %d different delays in 28 days", len(seen))
	}
	var sum time.Duration
	for i := range 1000 {
		sum += d.Delay(&d.Schedules[0], utc(1, 1, 2, 30).AddDate(0, 0, i), "OTHER")
	}
	if mean := sum / 1000; mean < 27*time.Minute || mean > 33*time.Minute {
		t.Errorf("the delays of an hour have a mean of %s", mean)
	}
}

func TestDisabled(t *testing.T) {
	d := gfs()
	m := newMachine(d, utc(12, 1, 12, 0))
	d.Disabled = true
	m.until(utc(12, 5, 12, 0))
	m.want(t)
	d.Disabled = false
	m.until(utc(12, 6, 12, 0))
	m.want(t, "full 12-06 02:30")
}

// TestDueUnderStress turns the machine off and on, and its clock, at random, and
// asks for what must hold whatever happens.
func TestDueUnderStress(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 6))
		d := gfs()
		d.TimeZone = someZones[r.IntN(len(someZones))]
		loc := zone(t, d.TimeZone)
		now := utc(1, 1, 0, 0)
		m := newMachine(d, now)
		for now.Year() == 2026 {
			now = now.Add(time.Duration(r.IntN(60*60*40)) * time.Second)
			if r.IntN(3) == 0 {
				m.off(now)
			} else {
				m.until(now)
			}
			m.runs = m.runs[max(0, len(m.runs)-1):]
			// Whatever has been due is done: nothing lies between the last run and now.
			last := m.st.Handled
			if pending := d.Schedules[2].Next(last, loc); !pending.After(m.Now) {
				t.Fatalf("seed %d: nothing was run for %s, it is %s", seed, pending, m.Now)
			}
			if len(m.runs) > 0 && m.runs[0].For.After(m.Now) {
				t.Fatalf("seed %d: a run for %s at %s", seed, m.runs[0].For, m.Now)
			}
		}
	}
}
