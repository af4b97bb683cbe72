package plan

import (
	"slices"
	"time"
)

// Template is a plan to begin with: when which type of backup is made, and how
// long it is kept.
type Template struct {
	Name      string // a word, for flags and definitions
	Title     string // what it is, on one line
	Schedules []Schedule
	Retention Retention
}

// Templates are those that are built in. Their runs are at 02:30 and made up
// when the machine was off.
func Templates() []Template {
	const at = Clock(2*60 + 30)
	firstSunday := Schedule{Type: Full, Kind: Monthly, Nth: 1, Weekday: time.Sunday, At: at}
	sundays := Schedule{Type: Differential, At: at, Days: 1 << time.Sunday}
	daily := Schedule{At: at}
	return []Template{
		{
			Name: "gfs", Title: "Grandfather-Father-Son: a full each month, a differential each week, an incremental each day",
			Schedules: []Schedule{firstSunday, sundays, daily},
			Retention: Retention{Full: Keep{6, Months}, Differential: Keep{8, Weeks}, Incremental: Keep{14, Days}, MinFree: DefaultMinFree},
		},
		{
			Name: "differential", Title: "Differential set: a full each month, a differential each day",
			Schedules: []Schedule{firstSunday, {Type: Differential, At: at}},
			Retention: Retention{Full: Keep{4, Months}, Differential: Keep{14, Days}, MinFree: DefaultMinFree},
		},
		{
			Name: "incremental", Title: "Incremental set: a full each week, an incremental each day",
			Schedules: []Schedule{{Type: Full, At: at, Days: 1 << time.Sunday}, daily},
			Retention: Retention{Full: Keep{8, Weeks}, Incremental: Keep{30, Days}, MinFree: DefaultMinFree},
		},
		{
			Name: "forever", Title: "Incremental forever: one full, then an incremental each day; the full is rolled forward",
			Schedules: []Schedule{daily},
			Retention: Retention{Incremental: Keep{30, Backups}, SyntheticFull: true, MinFree: DefaultMinFree},
		},
	}
}

// Apply gives a definition the schedules and the retention of the template.
func (t *Template) Apply(d *Definition) {
	d.Template, d.Schedules, d.Retention = t.Name, slices.Clone(t.Schedules), t.Retention
}

func (t *Template) visit(c *codec) {
	c.like("name", &t.Name, wordPattern, true)
	c.str("title", &t.Title, false)
	list(c, "schedule", &t.Schedules, 0, func(c *codec, s *Schedule) { s.visit(c) })
	c.child("retention", !isZero(t.Retention), t.Retention.visit)
}

// check says what makes no sense about a template.
func (t *Template) check(c *checker) {
	for i := range t.Schedules {
		c.in("schedule", i, func() { t.Schedules[i].check(c) })
	}
	if err := t.Retention.Check(); err != nil {
		c.in("retention", 0, func() { c.bad("%s", err) })
	}
}
