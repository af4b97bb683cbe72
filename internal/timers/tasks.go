package timers

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"ingot/internal/plan"
)

// taskNamespace is that of the files of the Task Scheduler.
const taskNamespace = "http://schemas.microsoft.com/windows/2004/02/mit/task"

// anyPast is a day long ago: a trigger needs one to begin at.
const anyPast = "2020-01-01"

// Tasks writes a task of the Task Scheduler for each schedule, to be registered
// by 'schtasks /create /tn NAME /xml FILE'. notes are what does not come over.
// Source: MS-TSCH 2.5 (XML task definition language).
func Tasks(d *plan.Definition, o Options) (files []File, notes []string) {
	notes = together(d)
	if d.TimeZone != "" {
		notes = append(notes, fmt.Sprintf("tasks go by the clock of the machine, not by that of %s", d.TimeZone))
	}
	for i := range d.Schedules {
		s := &d.Schedules[i]
		t := task{Definition: d, s: s, o: o}
		if why := t.trigger(); why != "" {
			notes = append(notes, unsupported(i, s, why))
			continue
		}
		if s.Missed.Within > 0 {
			notes = append(notes, fmt.Sprintf("schedule %d: the Task Scheduler makes up for a missed run however late it is", i+1))
		}
		if s.Kind == plan.Monthly && s.Nth == 0 && (s.Day == 29 || s.Day == 30) && s.Months.Has(time.February) {
			notes = append(notes, fmt.Sprintf("schedule %d: in February the task does not run on its last day instead of the %dth", i+1, s.Day))
		}
		files = append(files, File{fmt.Sprintf("ingot-%s-%d.xml", slug(d.Name), i+1), t.document()})
	}
	return files, notes
}

// task is one in the making.
type task struct {
	*plan.Definition
	s       *plan.Schedule
	o       Options
	b       bytes.Buffer
	deep    int
	trigged []byte // the element of the trigger
}

func (t *task) open(name string) {
	fmt.Fprintf(&t.b, "%s<%s>\n", strings.Repeat("  ", t.deep), name)
	t.deep++
}

func (t *task) end(name string) {
	t.deep--
	fmt.Fprintf(&t.b, "%s</%s>\n", strings.Repeat("  ", t.deep), name)
}

func (t *task) text(name, text string) {
	fmt.Fprintf(&t.b, "%s<%s>", strings.Repeat("  ", t.deep), name)
	_ = xml.EscapeText(&t.b, []byte(text)) // a buffer does not fail
	fmt.Fprintf(&t.b, "</%s>\n", name)
}

func (t *task) flag(name string, on bool) { t.text(name, fmt.Sprint(on)) }

func (t *task) empty(names ...string) {
	for _, n := range names {
		fmt.Fprintf(&t.b, "%s<%s/>\n", strings.Repeat("  ", t.deep), n)
	}
}

// duration is a length of time as xs:duration has it.
func duration(d time.Duration) string { return fmt.Sprintf("PT%dS", int64(d/time.Second)) }

// trigger makes the element of the trigger, or says why there is none.
func (t *task) trigger() (why string) {
	s := t.s
	t.deep = 2
	switch s.Kind {
	case plan.Daily, plan.Monthly, plan.Interval:
		t.calendar()
	case plan.Once:
		t.open("TimeTrigger")
		t.text("StartBoundary", fmt.Sprintf("%sT%s:00", s.Date, s.At))
		t.random("RandomDelay")
		t.end("TimeTrigger")
	case plan.AtStart:
		t.open("BootTrigger")
		t.random("Delay")
		t.end("BootTrigger")
	case plan.OnIdle:
		t.empty("IdleTrigger")
	default:
		return "there is no trigger for it"
	}
	t.trigged = bytes.Clone(t.b.Bytes())
	t.b.Reset()
	return ""
}

func (t *task) random(name string) {
	if t.s.Delay > 0 {
		t.text(name, duration(t.s.Delay))
	}
}

func (t *task) calendar() {
	s := t.s
	t.open("CalendarTrigger")
	at := s.At
	if s.Kind == plan.Interval {
		at = s.From
		length := time.Duration(s.To-s.From) * time.Minute
		if length <= 0 {
			length += 24 * time.Hour
		}
		if s.From != s.To {
			length += time.Minute // the end is one of the times
		}
		t.open("Repetition")
		t.text("Interval", duration(s.Every))
		t.text("Duration", duration(min(length, 24*time.Hour)))
		t.end("Repetition")
	}
	t.text("StartBoundary", fmt.Sprintf("%sT%s:00", anyPast, at))
	t.random("RandomDelay")
	switch {
	case s.Kind == plan.Monthly:
		t.monthly()
	case s.Days == 0:
		t.open("ScheduleByDay")
		t.text("DaysInterval", "1")
		t.end("ScheduleByDay")
	default:
		t.open("ScheduleByWeek")
		t.text("WeeksInterval", "1")
		t.weekdays(s.Days)
		t.end("ScheduleByWeek")
	}
	t.end("CalendarTrigger")
}

func (t *task) weekdays(w plan.Weekdays) {
	t.open("DaysOfWeek")
	for day := time.Sunday; day <= time.Saturday; day++ {
		if w.Has(day) {
			t.empty(day.String())
		}
	}
	t.end("DaysOfWeek")
}

func (t *task) monthly() {
	s := t.s
	months := func() {
		t.open("Months")
		for m := time.January; m <= time.December; m++ {
			if s.Months.Has(m) {
				t.empty(m.String())
			}
		}
		t.end("Months")
	}
	number := func(n int) string {
		if n < 0 {
			return "Last"
		}
		return fmt.Sprint(n)
	}
	if s.Nth != 0 {
		t.open("ScheduleByMonthDayOfWeek")
		t.open("Weeks")
		t.text("Week", number(s.Nth))
		t.end("Weeks")
		t.weekdays(1 << s.Weekday)
		months()
		t.end("ScheduleByMonthDayOfWeek")
		return
	}
	day := number(s.Day)
	if s.Day == 31 {
		day = "Last" // the same, and so in months of 30 days
	}
	t.open("ScheduleByMonth")
	t.open("DaysOfMonth")
	t.text("Day", day)
	t.end("DaysOfMonth")
	months()
	t.end("ScheduleByMonth")
}

// document is the whole file.
func (t *task) document() []byte {
	t.deep = 0
	t.b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	fmt.Fprintf(&t.b, "<Task version=\"1.2\" xmlns=%q>\n", taskNamespace)
	t.deep++
	t.open("RegistrationInfo")
	t.text("Description", fmt.Sprintf("Backup %s, %s, %s. Made by 'ingot schedule export'.", t.Name, typeName(t.s.Type), t.s.String()))
	t.end("RegistrationInfo")
	t.open("Triggers")
	t.b.Write(t.trigged)
	t.end("Triggers")
	t.open("Principals")
	t.open(`Principal id="Author"`)
	t.text("UserId", "S-1-5-18") // SYSTEM
	t.text("RunLevel", "HighestAvailable")
	t.end("Principal")
	t.end("Principals")
	t.settings()
	t.open(`Actions Context="Author"`)
	t.open("Exec")
	t.text("Command", t.o.Program)
	t.text("Arguments", fmt.Sprintf("run %s %s", windowsArgument(t.o.Definition), typeFlag(t.s.Type)))
	t.end("Exec")
	t.end("Actions")
	t.b.WriteString("</Task>\n")
	return t.b.Bytes()
}

func (t *task) settings() {
	battery := t.Conditions.SkipOnBattery && t.Conditions.MinBattery == 0
	t.open("Settings")
	t.text("MultipleInstancesPolicy", "Queue")
	t.flag("DisallowStartIfOnBatteries", battery)
	t.flag("StopIfGoingOnBatteries", battery)
	t.flag("StartWhenAvailable", !t.s.Missed.Skip)
	if t.s.Kind == plan.OnIdle {
		idle := t.s.IdleFor
		if idle == 0 {
			idle = plan.DefaultIdle
		}
		t.open("IdleSettings")
		t.text("Duration", duration(idle))
		t.flag("StopOnIdleEnd", false)
		t.end("IdleSettings")
		t.flag("RunOnlyIfIdle", true)
	}
	t.flag("Enabled", !t.Disabled)
	t.text("ExecutionTimeLimit", duration(t.Limits.Duration)) // PT0S is no limit
	priority := map[plan.Priority]string{plan.PriorityLow: "7", plan.PriorityIdle: "10", plan.PriorityNormal: "5", plan.PriorityHigh: "3"}
	t.text("Priority", priority[t.Options.CPU])
	t.end("Settings")
}

// windowsArgument quotes an argument. Names of definitions have no quotes, and
// paths cannot.
func windowsArgument(s string) string { return `"` + strings.ReplaceAll(s, `"`, "") + `"` }
