package runner

import (
	"testing"
	"time"

	"ingot/internal/plan"
)

func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", text, time.UTC)
	if err != nil {
		panic(err)
	}
	return t
}

func TestTypeDue(t *testing.T) {
	// Full on the first of the month, differential on Sundays, incremental daily.
	gfs := &plan.Definition{TimeZone: "UTC", Schedules: []plan.Schedule{
		{Type: plan.Full, Kind: plan.Monthly, Day: 1, At: 120},
		{Type: plan.Differential, Days: 1 << time.Sunday, At: 120},
		{Type: plan.Incremental, At: 120},
	}}
	full, diff, inc := plan.Full, plan.Differential, plan.Incremental
	for _, c := range []struct {
		name string
		have []Point
		now  string // 2026-11-01 is a Sunday
		want plan.Type
	}{
		{"nothing there yet", nil, "2026-11-25 12:00", full},
		{"all is there", []Point{{full, at("2026-11-01 02:10"), 0}, {diff, at("2026-11-22 02:10"), 0}, {inc, at("2026-11-25 02:10"), 0}}, "2026-11-25 12:00", ""},
		{"the day's is due", []Point{{full, at("2026-11-01 02:10"), 0}, {diff, at("2026-11-22 02:10"), 0}}, "2026-11-25 12:00", inc},
		{"the week's is due", []Point{{full, at("2026-11-01 02:10"), 0}, {inc, at("2026-11-21 02:10"), 0}}, "2026-11-25 12:00", diff},
		{"a full made up for the week's", []Point{{full, at("2026-11-23 02:10"), 0}}, "2026-11-23 12:00", ""},
		{"the month's is due", []Point{{full, at("2026-10-01 02:10"), 0}, {diff, at("2026-11-22 02:10"), 0}}, "2026-11-25 12:00", full},
		{"before its time of the day", []Point{{full, at("2026-10-01 02:10"), 0}, {inc, at("2026-10-31 02:10"), 0}, {diff, at("2026-10-25 02:10"), 0}}, "2026-11-01 01:00", ""},
	} {
		if got := typeDue(gfs, c.have, at(c.now)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := typeDue(&plan.Definition{Schedules: []plan.Schedule{{Type: plan.Full, Kind: plan.OnPlugged}}}, nil, at("2026-11-25 12:00")); got != "" {
		t.Errorf("an event is due by the clock: %q", got)
	}
}

func TestClockWarnings(t *testing.T) {
	built := at("2026-11-01 00:00")
	have := []Point{{plan.Full, at("2026-11-20 02:00"), 0}, {plan.Incremental, at("2026-11-24 02:00"), 0}}
	for now, want := range map[string]int{"2026-11-25 12:00": 0, "2026-11-24 01:30": 0, "2026-11-23 12:00": 1, "2024-01-01 00:00": 2} {
		if got := clockWarnings(at(now), built, have); len(got) != want {
			t.Errorf("%s: %q, want %d", now, got, want)
		}
	}
	if got := clockWarnings(at("2026-11-25 12:00"), time.Time{}, nil); len(got) != 0 {
		t.Error(got)
	}
}

func TestNeed(t *testing.T) {
	have := []Point{{plan.Full, at("2026-11-01 02:00"), 400}, {plan.Full, at("2026-10-01 02:00"), 100}, {plan.Incremental, at("2026-11-02 02:00"), 40}}
	for _, c := range []struct {
		typ        plan.Type
		bytes      int64
		compressed bool
		have       []Point
		want       int64
	}{
		{plan.Full, 1000, true, have, 500}, {plan.Full, 450, true, have, 450}, {plan.Incremental, 1000, true, have, 50},
		{plan.Full, 1000, true, nil, 600}, {plan.Full, 1000, false, nil, 1000}, {plan.Differential, 1000, true, have, 100},
	} {
		if got := need(c.typ, c.bytes, c.compressed, c.have); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
