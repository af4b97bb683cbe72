package draft

import (
	"time"

	"ingot/internal/plan"
)

// Horizon is how many days the calendar shows.
const Horizon = 27 * 7

func (c *checker) when() {
	full, some := false, len(c.def.Schedules) > 0
	for i := range c.def.Schedules {
		s := &c.def.Schedules[i]
		full = full || s.Type == plan.Full
		c.gap(s)
	}
	if r := c.def.Retention; some && !full && !r.SyntheticFull && !r.Incremental.On() {
		c.say(When, Warning, RowField(0, "kind"), "no full", "No full is planned: the set grows for ever.")
	}
	if !some {
		c.say(When, Note, "template", "by hand", "It runs only when you start it.")
	}
	c.collisions()
	c.fits()
}

// gap says when a time of the clock does not exist on a day it is planned for.
func (c *checker) gap(s *plan.Schedule) {
	if s.Kind != plan.Daily && s.Kind != plan.Monthly || c.Zone == nil || c.Now.IsZero() {
		return
	}
	at, end := c.Now, c.Now.AddDate(0, 0, Horizon)
	for {
		at = s.Next(at, c.Zone)
		if at.IsZero() || at.After(end) {
			return
		}
		local := at.In(c.Zone)
		if is := plan.Clock(local.Hour()*60 + local.Minute()); is != s.At {
			i := place(s.Type)
			c.say(When, Note, RowField(i, "at"), "gap", "On %s %s does not exist; it runs at %s.", local.Format("2 Jan"), s.At, is)
			return
		}
	}
}

// collisions names other definitions whose next run is at the same time of the
// day as a schedule of this one.
func (c *checker) collisions() {
	if c.Zone == nil {
		return
	}
	for _, o := range c.Others {
		if o.Next.IsZero() || o.Name == c.def.Name {
			continue
		}
		local := o.Next.In(c.Zone)
		is := plan.Clock(local.Hour()*60 + local.Minute())
		for i := range c.def.Schedules {
			s := &c.def.Schedules[i]
			if (s.Kind == plan.Daily || s.Kind == plan.Monthly) && s.At == is {
				c.say(When, Note, RowField(place(s.Type), "at"), "wait "+o.Name, "%q runs at %s too; this one will wait.", o.Name, is)
				break
			}
		}
	}
}

// fits compares what the fulls alone will take with what is free: how much other
// backups take is not known before there are some.
func (c *checker) fits() {
	each := c.Sizes(c.Facts.Disks).Expected
	if c.Calendar == nil || each == 0 || len(c.Facts.Places) == 0 || c.Facts.Places[0] == nil || !c.Facts.Places[0].OK() {
		return
	}
	peak, at := 0, time.Time{}
	for _, r := range c.Calendar.Runs {
		if r.Fulls > peak {
			peak, at = r.Fulls, r.Time
		}
	}
	free := c.Facts.Places[0].Free
	if need := int64(peak) * each; peak > 1 && need > free {
		p := c.say(When, Warning, RowField(0, "keep"), "full up", "It will not fit: %s on %s, %s are free.", size(need), at.Format("2 Jan"), size(free))
		p.Fix, p.FixText = "forever", "Incremental for ever"
	}
}
