package plan

import (
	"time"
	_ "time/tzdata" // Windows has no database of zones that Go reads
)

// How schedules and the clock go together.
//
// A schedule names times of the clock on the wall, of Definition.TimeZone. An
// occurrence is the moment that stands for one of them, and there is exactly one
// for each: when clocks are put back and show the time twice, the first; when
// they are put forward past it, the moment at which that happens. Only a day
// that a zone leaves out altogether has no occurrences.
//
// Interval counts real time from the start of the window of each day, so that
// its steps have the same length on the days of the switch; each window begins
// anew. When it is the whole day, a last step that ends less than half of Every
// before the next day is left out.
//
//	Next  the first occurrence after a moment     for calendars and timers
//	Prev  the last one up to and with a moment    for what was missed
//
// Both take the same time however far away the moment is.

// series are the occurrences of one day: n moments from first, step apart.
type series struct {
	first time.Time
	step  time.Duration
	n     int
}

func single(t time.Time, ok bool) series {
	if !ok {
		return series{}
	}
	return series{first: t, step: time.Minute, n: 1}
}

// after is the first moment after t.
func (s series) after(t time.Time) (time.Time, bool) {
	if s.n == 0 {
		return time.Time{}, false
	}
	k := 0
	if !s.first.After(t) {
		k = int(t.Sub(s.first)/s.step) + 1
	}
	return s.first.Add(time.Duration(k) * s.step), k < s.n
}

// upTo is the last moment that is not after t.
func (s series) upTo(t time.Time) (time.Time, bool) {
	if s.n == 0 || s.first.After(t) {
		return time.Time{}, false
	}
	k := min(int(t.Sub(s.first)/s.step), s.n-1)
	return s.first.Add(time.Duration(k) * s.step), true
}

// daysAround is how many days are looked through for an occurrence. Every
// schedule but Once has one in each year, and a day more at both ends is for
// windows over midnight and for zones.
const daysAround = 366 + 3

// Next is the first occurrence after t by the clock of loc. The zero time says
// that there is none: of a Once that has passed, and of events.
func (s *Schedule) Next(t time.Time, loc *time.Location) time.Time {
	day := dateOf(t.In(loc)).add(-1)
	if s.Kind == Once {
		day = s.Date
	}
	for range s.daysToSearch() {
		if next, ok := s.on(day, loc).after(t); ok {
			return next
		}
		day = day.add(1)
	}
	return time.Time{}
}

// Prev is the last occurrence that is not after t; the zero time when there is
// none.
func (s *Schedule) Prev(t time.Time, loc *time.Location) time.Time {
	day := dateOf(t.In(loc)).add(1)
	if s.Kind == Once {
		day = s.Date
	}
	for range s.daysToSearch() {
		if prev, ok := s.on(day, loc).upTo(t); ok {
			return prev
		}
		day = day.add(-1)
	}
	return time.Time{}
}

// Event says whether the schedule waits for something other than the clock.
func (s *Schedule) Event() bool {
	return s.Kind == AtStart || s.Kind == OnIdle || s.Kind == OnPlugged
}

func (s *Schedule) daysToSearch() int {
	switch {
	case s.Event():
		return 0
	case s.Kind == Once:
		return 1
	}
	return daysAround
}

// on are the occurrences that belong to a day.
func (s *Schedule) on(day Date, loc *time.Location) series {
	switch s.Kind {
	case Daily:
		if s.Days.Has(day.weekday()) {
			return single(day.at(s.At, loc))
		}
	case Monthly:
		if s.Months.Has(day.Month) && s.monthly(day) {
			return single(day.at(s.At, loc))
		}
	case Once:
		if day == s.Date {
			return single(day.at(s.At, loc))
		}
	case Interval:
		if s.Days.Has(day.weekday()) {
			return s.window(day, loc)
		}
	}
	return series{}
}

// monthly says whether the day is the one of its month.
func (s *Schedule) monthly(day Date) bool {
	last := day.lastOfMonth()
	switch {
	case s.Nth == Last:
		return day.weekday() == s.Weekday && day.Day+7 > last
	case s.Nth != 0:
		return day.weekday() == s.Weekday && (day.Day+6)/7 == s.Nth
	case s.Day == LastDay || s.Day > last:
		return day.Day == last
	}
	return day.Day == s.Day
}

// window are the occurrences of an Interval whose window begins on the day.
func (s *Schedule) window(day Date, loc *time.Location) series {
	first, ok := day.at(s.From, loc)
	if !ok || s.Every < time.Minute {
		return series{}
	}
	endDay := day
	if s.To <= s.From {
		endDay = day.add(1)
	}
	end, ok := endDay.at(s.To, loc)
	if !ok || !end.After(first) {
		return series{first: first, step: s.Every, n: 1}
	}
	length := end.Sub(first)
	if s.To == s.From {
		// The end is the first of the next day, and the last before it is left
		// out when it would be too close: on a day of 25 hours the fifth of "every
		// 6 hours".
		length -= s.Every / 2
	}
	return series{first: first, step: s.Every, n: int(length/s.Every) + 1}
}

func dateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// noon is a time of the day that normalizes and compares days.
func (d Date) noon() time.Time { return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC) }

func (d Date) add(days int) Date { return dateOf(d.noon().AddDate(0, 0, days)) }

func (d Date) weekday() time.Weekday { return d.noon().Weekday() }

func (d Date) lastOfMonth() int {
	return time.Date(d.Year, d.Month+1, 0, 12, 0, 0, 0, time.UTC).Day()
}

// at is the moment that stands for a time on the wall; false when the day does
// not exist there. time.Date leaves open which one it takes at a switch.
func (d Date) at(c Clock, loc *time.Location) (time.Time, bool) {
	wall := time.Date(d.Year, d.Month, d.Day, 0, int(c), 0, 0, time.UTC)
	before, after := offset(wall.Add(-24*time.Hour), loc), offset(wall.Add(24*time.Hour), loc)
	// The larger offset gives the earlier of the two moments.
	for _, o := range []time.Duration{max(before, after), min(before, after)} {
		if t := wall.Add(-o); offset(t, loc) == o {
			return t.In(loc), true
		}
	}
	// The clocks are put forward past it.
	switched, _ := wall.Add(-before).In(loc).ZoneBounds()
	return switched.In(loc), after-before < 24*time.Hour && !switched.IsZero()
}

// offset is how far the clocks of loc are ahead of UTC.
func offset(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}
