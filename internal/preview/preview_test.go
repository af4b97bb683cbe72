package preview

import (
	"slices"
	"testing"
	"time"

	"ingot/internal/plan"
)

// TestAYearOfEachTemplate lets more than a year pass with each template, in a
// zone with two switches of the clock, and asks for what has to hold at the end
// of every day.
func TestAYearOfEachTemplate(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 15, 12, 0, 0, 0, berlin)
	for _, tpl := range plan.Templates() {
		d := &plan.Definition{Name: tpl.Name, TimeZone: "Europe/Berlin"}
		tpl.Apply(d)
		for _, before := range []bool{false, true} {
			d.Retention.PurgeBefore = before
			c, err := Simulate(d, begin, 400, time.UTC, "HOST")
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Runs) != 400 || c.Cut || c.Runs[0].Type != plan.Full {
				t.Fatalf("%s: %d runs in 400 days, the first %+v", tpl.Name, len(c.Runs), c.Runs[0])
			}
			for i, r := range c.Runs {
				want := begin.AddDate(0, 0, i+1)
				if r.Time.Day() != want.Day() || r.Time.Month() != want.Month() || r.Time.Hour() < 2 || r.Time.Hour() > 3 {
					t.Fatalf("%s: run %d is at %s", tpl.Name, i, r.Time)
				}
			}
			holds(t, d, c)
		}
	}
}

// holds checks what is there at the end.
func holds(t *testing.T, d *plan.Definition, c *Calendar) {
	t.Helper()
	count := map[plan.Type]int{}
	for i, p := range c.Held {
		count[p.Type]++
		if i == 0 && p.Type != plan.Full {
			t.Errorf("%s: the oldest point is a %s", d.Name, p.Type)
		}
		if i > 0 && !p.Time.After(c.Held[i-1].Time) {
			t.Errorf("%s: %s is not after %s", d.Name, p.Time, c.Held[i-1].Time)
		}
	}
	last := c.Runs[len(c.Runs)-1]
	if newest := c.Held[len(c.Held)-1]; !newest.Time.Equal(last.Time) || last.Points != len(c.Held) {
		t.Errorf("%s: the newest is of %s, the last run was %s", d.Name, newest.Time, last.Time)
	}
	// The last 14 days are restorable one by one, with every template.
	for i := range 14 {
		r := c.Runs[len(c.Runs)-1-i]
		if !slices.ContainsFunc(c.Held, func(p Point) bool { return p.Time.Equal(r.Time) }) {
			t.Errorf("%s: the point of %s is gone after %d days", d.Name, r.Time, i)
		}
	}
	within := func(typ plan.Type, low, high int) {
		t.Helper()
		if count[typ] < low || count[typ] > high {
			t.Errorf("%s: %d %s points, wanted %d to %d", d.Name, count[typ], typ, low, high)
		}
	}
	switch d.Template {
	case "gfs":
		within(plan.Full, 6, 7)
		within(plan.Differential, 6, 8)
		within(plan.Incremental, 10, 14)
	case "differential":
		within(plan.Full, 4, 5)
		within(plan.Differential, 12, 15)
		within(plan.Incremental, 0, 0)
	case "incremental":
		within(plan.Full, 8, 9)
		within(plan.Incremental, 22, 36)
	case "forever":
		within(plan.Full, 1, 1)
		within(plan.Incremental, 29, 30)
	default:
		t.Errorf("nothing is known of the template %q", d.Template)
	}
}

func TestSimulate(t *testing.T) {
	d := &plan.Definition{Name: "x", Schedules: []plan.Schedule{{Kind: plan.Interval, Every: 2 * time.Minute}, {Type: plan.Full, Kind: plan.OnPlugged}}}
	c, err := Simulate(d, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 2, time.UTC, "")
	if err != nil || len(c.Runs) != 2*24*30 || c.Cut || len(c.Events) != 1 || c.Events[0] != "full when a destination is plugged in" {
		t.Fatalf("%d runs, %v, %v", len(c.Runs), c.Events, err)
	}
	c, err = Simulate(d, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 20, time.UTC, "")
	if err != nil || len(c.Runs) != MostRuns || !c.Cut || c.To.Day() != 3 {
		t.Fatalf("%d runs, %v, %v", len(c.Runs), c.To, err)
	}
	d.TimeZone = "Nowhere"
	if _, err := Simulate(d, time.Now(), 1, nil, ""); err == nil {
		t.Error("a zone that there is not")
	}
	c, err = Simulate(&plan.Definition{Name: "x"}, time.Now(), 60, nil, "")
	if err != nil || len(c.Runs)+len(c.Held) != 0 {
		t.Errorf("a definition without schedules: %+v, %v", c, err)
	}
}

// What there is on a day is what there is at the end of a calendar to that day.
func TestAt(t *testing.T) {
	for _, template := range plan.Templates() {
		d := &plan.Definition{Name: "x"}
		template.Apply(d)
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		whole, err := Simulate(d, from, 120, time.UTC, "host")
		if err != nil {
			t.Fatal(err)
		}
		if got := whole.At(from); len(got) != 0 {
			t.Errorf("%s: before all runs: %v", template.Name, got)
		}
		for _, days := range []int{1, 17, 63, 120} {
			part, err := Simulate(d, from, days, time.UTC, "host")
			if err != nil || !slices.Equal(part.Held, whole.At(part.To)) || len(part.Held) == 0 {
				t.Errorf("%s, %d days: %v, %v, %v", template.Name, days, part.Held, whole.At(part.To), err)
			}
		}
	}
}
