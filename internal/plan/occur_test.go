package plan

import (
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// moment reads "2026-03-29 03:00 +0200".
func moment(t testing.TB, text string) time.Time {
	t.Helper()
	m, err := time.Parse("2006-01-02 15:04 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const halfPastTwo = Clock(2*60 + 30)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		s          Schedule
		after      string
		want       []string // in a row; "" is none
	}{
		{"put forward: the moment of the switch", "Europe/Berlin", Schedule{At: halfPastTwo}, "2026-03-28 01:00 +0100",
			[]string{"2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"}},
		{"put back: the first of two", "Europe/Berlin", Schedule{At: halfPastTwo}, "2026-10-24 12:00 +0200",
			[]string{"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"}},
		{"put back by half an hour", "Australia/Lord_Howe", Schedule{At: Clock(105)}, "2026-04-04 12:00 +1100",
			[]string{"2026-04-05 01:45 +1100", "2026-04-06 01:45 +1030"}},
		{"put forward by half an hour", "Australia/Lord_Howe", Schedule{At: Clock(135)}, "2026-10-03 12:00 +1030",
			[]string{"2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"}},
		{"no midnight on that day", "America/Sao_Paulo", Schedule{}, "2018-11-03 12:00 -0300",
			[]string{"2018-11-04 01:00 -0200", "2018-11-05 00:00 -0200"}},
		{"a day that is left out", "Pacific/Apia", Schedule{At: halfPastTwo}, "2011-12-28 12:00 -1000",
			[]string{"2011-12-29 02:30 -1000", "2011-12-31 02:30 +1400"}},
		{"workdays", "UTC", Schedule{At: halfPastTwo, Days: WorkDays}, "2026-11-26 12:00 +0000",
			[]string{"2026-11-27 02:30 +0000", "2026-11-30 02:30 +0000"}},
		{"weekly", "Asia/Kathmandu", Schedule{At: halfPastTwo, Days: 1 << time.Wednesday}, "2026-11-25 02:30 +0545",
			[]string{"2026-12-02 02:30 +0545", "2026-12-09 02:30 +0545"}},
		{"the 31st, or the last", "UTC", Schedule{Kind: Monthly, Day: 31, At: halfPastTwo}, "2027-12-31 03:00 +0000",
			[]string{"2028-01-31 02:30 +0000", "2028-02-29 02:30 +0000", "2028-03-31 02:30 +0000", "2028-04-30 02:30 +0000"}},
		{"the last day", "UTC", Schedule{Kind: Monthly, Day: LastDay}, "2027-01-31 00:00 +0000", []string{"2027-02-28 00:00 +0000", "2027-03-31 00:00 +0000"}},
		{"second Tuesday", "UTC", Schedule{Kind: Monthly, Nth: 2, Weekday: time.Tuesday}, "2026-11-25 00:00 +0000",
			[]string{"2026-12-08 00:00 +0000", "2027-01-12 00:00 +0000", "2027-02-09 00:00 +0000"}},
		{"first Sunday of Feb and Aug", "UTC", Schedule{Kind: Monthly, Nth: 1, Weekday: time.Sunday, Months: 1<<2 | 1<<8}, "2026-02-01 00:00 +0000",
			[]string{"2026-08-02 00:00 +0000", "2027-02-07 00:00 +0000"}},
		{"last Friday", "UTC", Schedule{Kind: Monthly, Nth: Last, Weekday: time.Friday}, "2026-11-25 00:00 +0000",
			[]string{"2026-11-27 00:00 +0000", "2026-12-25 00:00 +0000", "2027-01-29 00:00 +0000", "2027-02-26 00:00 +0000"}},
		{"February 29 is the 28th of other years", "UTC", Schedule{Kind: Monthly, Day: 29, Months: 1 << 2}, "2027-02-28 00:00 +0000",
			[]string{"2028-02-29 00:00 +0000", "2029-02-28 00:00 +0000"}},
		{"once", "Europe/Berlin", Schedule{Kind: Once, Date: Date{2027, 3, 28}, At: halfPastTwo}, "2020-01-01 00:00 +0000",
			[]string{"2027-03-28 03:00 +0200", ""}},
		{"hourly within hours", "UTC", Schedule{Kind: Interval, Every: time.Hour, From: 8 * 60, To: 10 * 60, Days: WorkDays}, "2026-11-27 08:30 +0000",
			[]string{"2026-11-27 09:00 +0000", "2026-11-27 10:00 +0000", "2026-11-30 08:00 +0000"}},
		{"over midnight", "UTC", Schedule{Kind: Interval, Every: 90 * time.Minute, From: 23 * 60, To: 2 * 60, Days: 1 << time.Friday}, "2026-11-27 23:00 +0000",
			[]string{"2026-11-28 00:30 +0000", "2026-11-28 02:00 +0000", "2026-12-04 23:00 +0000"}},
		{"every 6 hours of 25", "Europe/Berlin", Schedule{Kind: Interval, Every: 6 * time.Hour}, "2026-10-24 23:00 +0200",
			[]string{"2026-10-25 00:00 +0200", "2026-10-25 05:00 +0100", "2026-10-25 11:00 +0100", "2026-10-25 17:00 +0100", "2026-10-26 00:00 +0100"}},
		{"every hour of 25", "Europe/Berlin", Schedule{Kind: Interval, Every: time.Hour}, "2026-10-25 01:30 +0200",
			[]string{"2026-10-25 02:00 +0200", "2026-10-25 02:00 +0100", "2026-10-25 03:00 +0100"}},
		{"every hour of 23", "Europe/Berlin", Schedule{Kind: Interval, Every: time.Hour}, "2026-03-29 00:30 +0100",
			[]string{"2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200"}},
		{"once a day as an interval", "Europe/Berlin", Schedule{Kind: Interval, Every: 24 * time.Hour}, "2026-10-24 23:00 +0200",
			[]string{"2026-10-25 00:00 +0200", "2026-10-26 00:00 +0100"}},
		{"events have no time", "UTC", Schedule{Kind: OnIdle}, "2026-11-25 00:00 +0000", []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			loc, at := zone(t, c.zone), moment(t, c.after)
			for _, want := range c.want {
				next := c.s.Next(at, loc)
				if want == "" {
					if !next.IsZero() {
						t.Fatalf("after %s: %s, want none", at, next)
					}
					return
				}
				if !next.Equal(moment(t, want)) {
					t.Fatalf("after %s: %s, want %s", at, next, want)
				}
				if prev := c.s.Prev(next, loc); !prev.Equal(next) {
					t.Fatalf("the last up to %s is %s", next, prev)
				}
				at = next
			}
		})
	}
}

// someSchedules have one of each kind.
func someSchedules() []Schedule {
	return []Schedule{
		{At: halfPastTwo}, {}, {At: 23*60 + 59}, {At: 90, Days: WorkDays}, {At: 0, Days: 1 << time.Sunday},
		{Kind: Monthly, Day: 31, At: halfPastTwo}, {Kind: Monthly, Day: LastDay}, {Kind: Monthly, Nth: Last, Weekday: time.Sunday, At: 60},
		{Kind: Monthly, Nth: 4, Weekday: time.Monday, Months: 1<<3 | 1<<10, At: halfPastTwo},
		{Kind: Interval, Every: 37 * time.Minute}, {Kind: Interval, Every: 23 * time.Hour}, {Kind: Interval, Every: 5 * time.Hour, From: 60, To: 22 * 60},
		{Kind: Interval, Every: 40 * time.Minute, From: 22 * 60, To: 3 * 60, Days: Weekend},
		{Kind: Once, Date: Date{2026, 10, 25}, At: halfPastTwo},
	}
}

var someZones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia",
	"Asia/Kathmandu", "Africa/Casablanca", "Asia/Gaza", "Pacific/Kiritimati", "America/Nuuk", "Antarctica/Troll"}

func TestOncePerDay(t *testing.T) {
	for _, name := range someZones {
		loc := zone(t, name)
		for _, at := range []Clock{0, 30, 90, halfPastTwo, 23*60 + 45} {
			s := Schedule{At: at}
			last := dateOf(time.Date(2009, 12, 31, 12, 0, 0, 0, loc))
			for m := s.Next(time.Date(2009, 12, 31, 23, 59, 59, 0, loc), loc); m.Year() < 2031; m = s.Next(m, loc) {
				day := dateOf(m)
				if start, _ := m.ZoneBounds(); m.Equal(start) && day == last.add(2) && name != "Pacific/Apia" {
					day = dateOf(m.Add(-1)) // put forward at 23:00: the moment is midnight
				}
				if m.Location() != loc || day != last.add(1) && !(name == "Pacific/Apia" && day.String() == "2011-12-31") {
					t.Fatalf("%s at %s: %s follows on %s", name, at, m, last)
				}
				last = day
			}
		}
	}
}

// TestNextAgainstPrev walks through years with both and compares.
func TestNextAgainstPrev(t *testing.T) {
	for _, name := range someZones {
		loc := zone(t, name)
		for _, s := range someSchedules() {
			begin, end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
			var forward, back []time.Time
			for m := s.Next(begin, loc); !m.IsZero() && m.Before(end); m = s.Next(m, loc) {
				if len(forward) > 0 && !m.After(forward[len(forward)-1]) {
					t.Fatalf("%s, %s: %s follows %s", name, s.String(), m, forward[len(forward)-1])
				}
				forward = append(forward, m)
			}
			for m := s.Prev(end.Add(-1), loc); m.After(begin); m = s.Prev(m.Add(-1), loc) {
				back = append(back, m)
			}
			if len(forward) == 0 && s.Kind != Once || len(forward) != len(back) {
				t.Fatalf("%s, %s: %d forward, %d back", name, s.String(), len(forward), len(back))
			}
			for i, m := range forward {
				if !m.Equal(back[len(back)-1-i]) {
					t.Fatalf("%s, %s: %s forward, %s back", name, s.String(), m, back[len(back)-1-i])
				}
			}
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add(int64(1774746000), uint8(1), uint8(1), int16(150), uint8(31), uint16(0), int32(3600), int16(0))
	f.Fuzz(func(t *testing.T, unix int64, where, kind uint8, at int16, day uint8, set uint16, every int32, to int16) {
		loc := zone(t, someZones[int(where)%len(someZones)])
		s := Schedule{
			Kind: []Kind{Daily, Monthly, Interval, Once}[kind%4], At: Clock(at), From: Clock(at), To: Clock(to), Days: Weekdays(set),
			Day: int(day), Nth: int(kind/4) - 1, Months: MonthSet(set), Every: time.Duration(every) * time.Second, Date: Date{2026, 10, int(day)},
		}
		// Years that a clock can be set to; beyond them time.Time itself ends.
		now := time.Unix(unix%(1<<36), 0)
		next := s.Next(now, loc)
		if next.IsZero() {
			return
		}
		if !next.After(now) {
			t.Fatalf("%#v: %s is not after %s", s, next, now)
		}
		if prev := s.Prev(now, loc); prev.After(now) {
			t.Fatalf("%#v: %s is after %s", s, prev, now)
		}
	})
}

func TestScheduleInWords(t *testing.T) {
	for want, s := range map[string]Schedule{
		"every day at 02:30":                         {At: halfPastTwo},
		"on workdays at 00:00":                       {Days: WorkDays},
		"on mon sun at 00:00":                        {Days: 1<<time.Sunday | 1<<time.Monday},
		"on the 22nd of every month at 02:30":        {Kind: Monthly, Day: 22, At: halfPastTwo},
		"on the 13th of jan jul at 02:30":            {Kind: Monthly, Day: 13, At: halfPastTwo, Months: 1<<1 | 1<<7},
		"on the last day of every month at 00:00":    {Kind: Monthly, Day: LastDay},
		"on the last Friday of every month at 00:00": {Kind: Monthly, Nth: Last, Weekday: time.Friday},
		"on the 1st Sunday of every month at 00:00":  {Kind: Monthly, Nth: 1},
		"every 30m from 08:00 to 18:00 on workdays":  {Kind: Interval, Every: 30 * time.Minute, From: 480, To: 1080, Days: WorkDays},
		"every 4h every day":                         {Kind: Interval, Every: 4 * time.Hour},
		"once on 2026-12-31 at 23:59":                {Kind: Once, Date: Date{2026, 12, 31}, At: 1439},
		"when the machine has started":               {Kind: AtStart},
		"when the machine has been idle for 10m":     {Kind: OnIdle},
		"when a destination is plugged in":           {Kind: OnPlugged},
		`of unknown kind "never"`:                    {Kind: "never"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestValues(t *testing.T) {
	check := func(what string, good, bad string, round func(string) (string, error)) {
		for _, text := range strings.Split(good, "|") {
			if back, err := round(text); err != nil || back != text {
				t.Errorf("%s %q comes back as %q, %v", what, text, back, err)
			}
		}
		for _, text := range strings.Split(bad, "|") {
			if back, err := round(text); err == nil {
				t.Errorf("%s %q is taken for %q", what, text, back)
			}
		}
	}
	check("clock", "00:00|02:30|23:59", "|24:00|2:5|02:60|0230|-1:00|+1:00|1:000|02:30 ", func(s string) (string, error) { v, err := ParseClock(s); return v.String(), err })
	check("date", "1970-01-01|2028-02-29|9999-12-31", "|2026-02-29|1969-12-31|26-01-01|2026-1-1", func(s string) (string, error) { v, err := ParseDate(s); return v.String(), err })
	check("days", "mon|mon tue sun", "|monday|Mon|mon,tue", func(s string) (string, error) { v, err := ParseWeekdays(s); return v.String(), err })
	check("months", "jan|jan dec", "|january| ", func(s string) (string, error) { v, err := ParseMonths(s); return v.String(), err })
	check("span", "90s|30m|4h|7d|9999d|0d", "|10000d|5|-5m|1.5h|h|999999999s|5w|123456789s", func(s string) (string, error) { v, err := ParseSpan(s); return FormatSpan(v), err })
	check("size", "0|1|650M|20G|3T|999999999999999|1000G", "|1k|G|-1|1.5G|1000T|1000000000000000|5GB", func(s string) (string, error) { v, err := ParseSize(s); return FormatSize(v), err })
}
