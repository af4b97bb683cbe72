package retention

import (
	"fmt"
	"time"

	"ingot/internal/plan"
)

// pin marks what must stay.
func (f folder) pin(rules plan.Retention, run Run) {
	for p := range f.newest() {
		if p.Protected {
			p.pin = "protected"
		}
	}
	for _, disk := range f.disks() {
		disk.pinNewest(rules.Least())
		disk.pinGFS(rules, run.Now)
	}
}

// pinNewest pins the newest points of a disk that can be restored.
func (f folder) pinNewest(least int) {
	why := "the newest good point"
	if least > 1 {
		why = fmt.Sprintf("minimum of %d", least)
	}
	for p := range f.newest() {
		if least > 0 && p.whole {
			p.promise(why)
			least--
		}
	}
}

func (p *point) promise(why string) {
	if p.pin != "" {
		why = p.pin + ", " + why
	}
	p.pin = why
}

// period is one of the rules of GFS.
type period struct {
	n    int
	word string
	name func(time.Time) string // of the period a time lies in
}

func periods(g plan.GFS) []period {
	return []period{
		{g.Daily, "daily", date},
		{g.Weekly, "weekly", func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d-W%02d", y, w) }},
		{g.Monthly, "monthly", func(t time.Time) string { return t.Format("2006-01") }},
		{g.Yearly, "yearly", func(t time.Time) string { return t.Format("2006") }},
	}
}

// pinGFS pins the newest whole point of each of the newest n days, weeks,
// months and years of a disk. A damaged point newer than it takes no place; it
// has one if a whole one would have it, which saves it from GFS but from
// nothing else.
func (f folder) pinGFS(rules plan.Retention, now time.Time) {
	for _, rule := range periods(rules.GFS) {
		seen := map[string]bool{}
		for p := range f.newest() {
			if len(seen) >= rule.n {
				break
			}
			name := rule.name(earliest(p.Time, now).In(now.Location()))
			if seen[name] {
				continue
			}
			why := rule.word + " " + name
			if !p.whole {
				p.place = why + ", though damaged"
				continue
			}
			seen[name] = true
			p.promise(why)
		}
	}
}
