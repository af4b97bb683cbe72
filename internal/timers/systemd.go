package timers

import (
	"fmt"
	"strings"
	"time"

	"ingot/internal/plan"
)

// Systemd writes a service and a timer for each schedule. notes are what does
// not come over. Source: systemd.timer(5), systemd.time(7), systemd.exec(5).
func Systemd(d *plan.Definition, o Options) (files []File, notes []string) {
	notes = together(d)
	for i := range d.Schedules {
		s := &d.Schedules[i]
		lines, why := triggers(s, d.TimeZone)
		if why != "" {
			notes = append(notes, unsupported(i, s, why))
			continue
		}
		if s.Missed.Within > 0 {
			notes = append(notes, fmt.Sprintf("schedule %d: systemd makes up for a missed run however late it is", i+1))
		}
		name := fmt.Sprintf("ingot-%s-%d", slug(d.Name), i+1)
		files = append(files,
			File{name + ".service", []byte(serviceUnit(d, s, o))},
			File{name + ".timer", []byte(timerUnit(d, s, lines))})
	}
	return files, notes
}

func serviceUnit(d *plan.Definition, s *plan.Schedule, o Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by 'ingot schedule export'.\n[Unit]\nDescription=Backup %s, %s\nWants=network-online.target\nAfter=network-online.target\n", escapeUnit(d.Name), typeName(s.Type))
	if d.Conditions.SkipOnBattery && d.Conditions.MinBattery == 0 {
		b.WriteString("ConditionACPower=true\n")
	}
	fmt.Fprintf(&b, "\n[Service]\nType=oneshot\nExecStart=%s run %s %s\n", argument(o.Program), argument(o.Definition), typeFlag(s.Type))
	b.WriteString("# What ingot does is for root; it needs no new rights.\nNoNewPrivileges=true\n")
	if l := d.Limits.Duration; l > 0 {
		fmt.Fprintf(&b, "TimeoutStartSec=%d\n", int(l/time.Second))
	} else {
		b.WriteString("TimeoutStartSec=infinity\n")
	}
	nice := map[plan.Priority]string{plan.PriorityLow: "Nice=10\n", plan.PriorityIdle: "Nice=19\nCPUSchedulingPolicy=idle\n", plan.PriorityHigh: "Nice=-5\n"}
	disk := map[plan.Priority]string{plan.PriorityLow: "IOSchedulingClass=best-effort\nIOSchedulingPriority=7\n", plan.PriorityIdle: "IOSchedulingClass=idle\n",
		plan.PriorityHigh: "IOSchedulingClass=best-effort\nIOSchedulingPriority=0\n"}
	b.WriteString(nice[d.Options.CPU] + disk[d.Options.IO])
	return b.String()
}

func timerUnit(d *plan.Definition, s *plan.Schedule, lines []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by 'ingot schedule export'.\n[Unit]\nDescription=When backup %s is made: %s\n\n[Timer]\n", escapeUnit(d.Name), s.String())
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	if s.Delay > 0 {
		fmt.Fprintf(&b, "RandomizedDelaySec=%d\n", int(s.Delay/time.Second))
	}
	if !s.Missed.Skip && !s.Event() {
		b.WriteString("Persistent=true\n")
	}
	b.WriteString("AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n")
	return b.String()
}

func typeName(t plan.Type) string {
	if t == "" {
		t = plan.Incremental
	}
	return t.String()
}

// escapeUnit keeps a text from being taken for specifiers.
func escapeUnit(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// argument is one of ExecStart.
func argument(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(s) + `"`
}

// triggers are the lines of a timer, or why there are none.
func triggers(s *plan.Schedule, zone string) (lines []string, why string) {
	if zone != "" {
		zone = " " + zone
	}
	at := fmt.Sprintf("%s:00%s", s.At, zone)
	switch s.Kind {
	case plan.Daily:
		return []string{fmt.Sprintf("OnCalendar=%s*-*-* %s", weekdays(s.Days), at)}, ""
	case plan.Monthly:
		return monthly(s, at), ""
	case plan.Once:
		return []string{fmt.Sprintf("OnCalendar=%s %s", s.Date, at)}, ""
	case plan.Interval:
		minutes, ok := minutesOf(s)
		if !ok {
			return nil, "a window over midnight"
		}
		return interval(s, minutes, zone), ""
	case plan.AtStart:
		return []string{"OnBootSec=0"}, ""
	}
	return nil, "timers of systemd do not know this event"
}

// weekdays are those of a calendar expression, with a blank behind.
func weekdays(w plan.Weekdays) string {
	if w == 0 {
		return ""
	}
	days := strings.Fields(w.String())
	for i, d := range days {
		days[i] = strings.ToUpper(d[:1]) + d[1:]
	}
	return strings.Join(days, ",") + " "
}

// monthly are the expressions for a day of the month. The last days are counted
// from the end ("*-*~01").
func monthly(s *plan.Schedule, at string) []string {
	months := "*"
	if s.Months != 0 {
		var list []string
		for m := time.January; m <= time.December; m++ {
			if s.Months.Has(m) {
				list = append(list, fmt.Sprintf("%02d", int(m)))
			}
		}
		months = strings.Join(list, ",")
	}
	weekday := s.Weekday.String()[:3]
	switch {
	case s.Nth == plan.Last:
		return []string{fmt.Sprintf("OnCalendar=%s *-%s~01..07 %s", weekday, months, at)}
	case s.Nth != 0:
		return []string{fmt.Sprintf("OnCalendar=%s *-%s-%02d..%02d %s", weekday, months, s.Nth*7-6, s.Nth*7, at)}
	case s.Day == plan.LastDay, s.Day == 31:
		return []string{fmt.Sprintf("OnCalendar=*-%s~01 %s", months, at)}
	case s.Day <= 28:
		return []string{fmt.Sprintf("OnCalendar=*-%s-%02d %s", months, s.Day, at)}
	}
	return shortMonths(s, at)
}

// shortMonths are the expressions for the 29th and 30th: the last day of a month
// that has none. A timer may have several.
func shortMonths(s *plan.Schedule, at string) []string {
	var long []string
	february := false
	for m := time.January; m <= time.December; m++ {
		switch {
		case !s.Months.Has(m):
		case m == time.February:
			february = true
		default:
			long = append(long, fmt.Sprintf("%02d", int(m)))
		}
	}
	var lines []string
	if len(long) > 0 {
		lines = append(lines, fmt.Sprintf("OnCalendar=*-%s-%02d %s", strings.Join(long, ","), s.Day, at))
	}
	if february {
		lines = append(lines, fmt.Sprintf("OnCalendar=*-02~01 %s", at))
	}
	return lines
}

// interval are the expressions for times of the day: those of an hour share a
// line.
func interval(s *plan.Schedule, minutes []int, zone string) []string {
	byHour := map[int][]string{}
	for _, m := range minutes {
		byHour[m/60] = append(byHour[m/60], fmt.Sprintf("%02d", m%60))
	}
	hours := map[string][]string{}
	var order []string
	for h := range 24 {
		if list := strings.Join(byHour[h], ","); list != "" {
			if hours[list] == nil {
				order = append(order, list)
			}
			hours[list] = append(hours[list], fmt.Sprintf("%02d", h))
		}
	}
	var lines []string
	for _, list := range order {
		lines = append(lines, fmt.Sprintf("OnCalendar=%s*-*-* %s:%s:00%s", weekdays(s.Days), strings.Join(hours[list], ","), list, zone))
	}
	return lines
}
