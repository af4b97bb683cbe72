package draft

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ingot/internal/plan"
)

// RowKinds are the rules a Row may have, in the order of a list: its value and
// its words, of which %s is the day of the week.
var RowKinds = [][2]string{
	{"", "not planned"}, {"day", "every day"}, {"week", "each week"}, {"month-first", "first such day of the month"}, {"month-last", "last such day of the month"},
	{"hours", "every few hours"}, {"start", "when the machine starts"}, {"idle", "when nobody uses it"}, {"plugged", "when the drive is plugged in"},
}

// Days are the days of the week, as Row.Day has them and in words.
var Days = [][2]string{{"mon", "Monday"}, {"tue", "Tuesday"}, {"wed", "Wednesday"}, {"thu", "Thursday"}, {"fri", "Friday"}, {"sat", "Saturday"}, {"sun", "Sunday"}}

// reader turns what was typed into values and gathers what is none.
type reader struct{ problems []Problem }

func (r *reader) bad(step int, field, format string, args ...any) {
	r.problems = append(r.problems, Problem{Step: step, Field: field, Level: Error, Code: field, Text: fmt.Sprintf(format, args...)})
}

// number reads a whole number; "" is 0.
func (r *reader) number(step int, field, text, what string, low, high int) int {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		r.bad(step, field, "%s: a whole number from %d to %d.", what, low, high)
		return 0
	}
	return n
}

// Definition makes the definition, and says which fields make none. What the
// whole must have (see plan.Definition.Check) is not looked at here.
func (d *Draft) Definition() (*plan.Definition, []Problem) {
	r := &reader{}
	p := &plan.Definition{Name: strings.TrimSpace(d.Name), Comment: strings.TrimSpace(d.Comment), Sources: d.sources(), Rotate: d.Rotate, FileName: strings.TrimSpace(d.FileName), Template: d.Template}
	for _, path := range d.Places {
		if path = strings.TrimSpace(path); path != "" {
			p.Destinations = append(p.Destinations, plan.Destination{Path: path})
		}
	}
	if len(p.Destinations) < 2 {
		p.Rotate = false
	}
	for i := range d.Rows {
		if s, on := d.row(r, i); on {
			p.Schedules = append(p.Schedules, s)
		}
	}
	d.retention(r, &p.Retention)
	d.Options.read(r, p)
	return p, r.problems
}

func (d *Draft) sources() []plan.Source {
	if d.Windows {
		return []plan.Source{{Kind: plan.SourceWindows}}
	}
	var out []plan.Source
	for _, k := range d.Disks {
		s := plan.Source{Disk: k.ID}
		for _, p := range k.Parts {
			if !k.Whole {
				s.Partitions = append(s.Partitions, p.PartitionID)
			}
		}
		if k.Whole || len(s.Partitions) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// RowField is the name of a field of a Row in forms: "full-at".
func RowField(i int, what string) string { return string(Types[i]) + "-" + what }

// row is the schedule of a type.
func (d *Draft) row(r *reader, i int) (s plan.Schedule, on bool) {
	row := &d.Rows[i]
	s = plan.Schedule{Missed: d.missed()}
	if Types[i] != plan.Incremental { // which is the default, and is not written
		s.Type = Types[i]
	}
	clock := func(what, text string) plan.Clock {
		at, err := plan.ParseClock(strings.TrimSpace(text))
		if err != nil {
			r.bad(When, RowField(i, what), "%q is no time of the day: write it as 21:00.", text)
		}
		return at
	}
	switch row.Kind {
	case "":
		return s, false
	case "start", "idle", "plugged":
		s.Kind = map[string]plan.Kind{"start": plan.AtStart, "idle": plan.OnIdle, "plugged": plan.OnPlugged}[row.Kind]
		return s, true
	case "hours":
		s.Kind, s.From, s.To = plan.Interval, clock("from", row.From), clock("to", row.To)
		s.Every = time.Duration(r.number(When, RowField(i, "hours"), row.Hours, "Every so many hours", 1, 24)) * time.Hour
		if s.From == s.To && s.From != 0 {
			r.bad(When, RowField(i, "to"), "%s to %s is no time.", s.From, s.To)
		}
		if s.Every == 0 {
			r.bad(When, RowField(i, "hours"), "Every so many hours: a whole number from 1 to 24.")
		}
		return s, true
	}
	s.At = clock("at", row.At)
	if row.Kind == "day" {
		return s, true
	}
	day, err := plan.ParseWeekday(row.Day)
	if err != nil {
		r.bad(When, RowField(i, "day"), "%q is no day of the week.", row.Day)
	}
	switch row.Kind {
	case "week":
		s.Days = 1 << day
	case "month-first":
		s.Kind, s.Nth, s.Weekday = plan.Monthly, 1, day
	case "month-last":
		s.Kind, s.Nth, s.Weekday = plan.Monthly, plan.Last, day
	default:
		r.bad(When, RowField(i, "kind"), "%q is no rule.", row.Kind)
	}
	return s, true
}

func (d *Draft) missed() plan.Missed {
	switch d.Missed {
	case "12h":
		return plan.Missed{Within: 12 * time.Hour}
	case "never":
		return plan.Missed{Skip: true}
	}
	return plan.Missed{}
}

func (d *Draft) retention(r *reader, out *plan.Retention) {
	for i, to := range []*plan.Keep{&out.Full, &out.Differential, &out.Incremental} {
		k := d.Keep[i]
		if !k.On {
			continue
		}
		keep, err := plan.ParseKeep(strings.TrimSpace(k.N) + " " + k.Unit)
		if err != nil {
			r.bad(When, RowField(i, "keep"), "Keep: a whole number from 1 on.")
		}
		*to = keep
	}
	out.Minimum = r.number(When, "minimum", d.Minimum, "Never fewer than", 1, 9999)
	out.MinFree = int64(r.number(When, "min-free", d.MinFree, "Free space in GiB", 1, 99999)) << 30
	out.PurgeBefore, out.SyntheticFull = d.Before, d.Rolled
	if d.AllSets {
		out.Scope = plan.AllSets
	}
}

// read puts the choices into a definition.
func (c *Choices) read(r *reader, p *plan.Definition) {
	o := &p.Options
	if c.Compression != "medium" {
		o.Compression = c.Compression
	}
	switch c.Password {
	case "file":
		o.Password.File = strings.TrimSpace(c.PasswordFile)
	case "protected":
		o.Password.Protected = strings.TrimSpace(c.PasswordFile)
	case "command":
		o.Password.Command = strings.Fields(c.PasswordCommand)
	}
	if c.Password != "" && !o.Password.Given() {
		r.bad(Options, "password-"+map[bool]string{true: "command", false: "file"}[c.Password == "command"], "Say where the password is.")
	}
	o.Verify, o.AllSectors, o.AllowMounted = c.Verify, c.AllSectors, c.AllowMounted
	for line := range strings.Lines(c.Exclude) {
		if line = strings.TrimSpace(line); line != "" {
			o.Exclude = append(o.Exclude, line)
		}
	}
	var err error
	if split := strings.TrimSpace(c.Split); split != "" {
		if o.Split, err = plan.ParseSize(split); err != nil {
			r.bad(Options, "split", "Split: a size such as 4G.")
		}
	}
	if c.Normal {
		o.CPU, o.IO = plan.PriorityNormal, plan.PriorityNormal
	}
	o.Rate = int64(r.number(Options, "rate", c.Rate, "MiB a second", 1, 100000)) << 20
	if n := r.number(Options, "battery", c.Battery, "Percent of the battery", 1, 100); n > 0 {
		p.Conditions = plan.Conditions{SkipOnBattery: true, MinBattery: n}
	}
	p.After.Detach, p.After.Power = c.Detach, plan.PowerAction(c.Power)
	p.Notify.Desktop = c.Desktop
	p.Notify.AlertAfter = r.number(Options, "alert", c.AlertAfter, "Days without a good backup", 1, 9999)
}
