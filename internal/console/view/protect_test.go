package view

import (
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
	"ingot/internal/service"
)

var at = time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)

// ready is a definition that is well: its last good backup is hours old.
func ready(name string, hours int, verified int64) service.DefinitionStatus {
	good := at.Add(-time.Duration(hours) * time.Hour)
	return service.DefinitionStatus{Name: name, State: "ready", LastGood: good, Next: at.Add(9 * time.Hour),
		Last: &service.Run{ID: 1, State: service.Success, Ended: good, Report: &job.Report{Images: []job.Image{{Verified: verified}}}}}
}

func TestProtection(t *testing.T) {
	with := func(d service.DefinitionStatus, change func(*service.DefinitionStatus)) service.DefinitionStatus {
		change(&d)
		return d
	}
	well, last := ready("a", 17, 5), func(s service.State) func(*service.DefinitionStatus) {
		return func(d *service.DefinitionStatus) { d.Last = &service.Run{ID: 2, State: s, Ended: at, Error: "why"} }
	}
	for name, c := range map[string]struct {
		defs           []service.DefinitionStatus
		paused         bool
		mark, say, sub string
	}{
		"nothing":            {nil, false, "unknown", "Nothing is protected yet.", ""},
		"well and verified":  {[]service.DefinitionStatus{well}, false, "ok", "This machine is protected.", "Last good backup 17 hours ago, verified. The next one runs today at 21:00."},
		"well, not verified": {[]service.DefinitionStatus{ready("a", 17, 0)}, false, "ok", "This machine is protected.", "Last good backup 17 hours ago. The"},
		"another one's proof": {[]service.DefinitionStatus{with(well, func(d *service.DefinitionStatus) { d.LastGood = d.LastGood.Add(-time.Hour) })}, false, "ok",
			"This machine is protected.", "Last good backup 18 hours ago. The"},
		"two":         {[]service.DefinitionStatus{well, ready("b", 72, 5)}, false, "ok", "This machine is protected.", "the newest 17 hours ago, the oldest 3 days ago."},
		"overdue":     {[]service.DefinitionStatus{with(ready("a", 216, 0), func(d *service.DefinitionStatus) { d.Overdue = true })}, false, "fail", "“a” has had no good backup for 9 days.", ""},
		"failed":      {[]service.DefinitionStatus{with(well, last(service.Failed))}, false, "fail", "The last run of “a” failed, today at 12:00.", ""},
		"refused":     {[]service.DefinitionStatus{well, {Name: "b", State: "refused", Problem: "line 3"}}, false, "fail", "“b” is refused and does not run.", ""},
		"warned":      {[]service.DefinitionStatus{with(well, last(service.Warned))}, false, "warn", "This machine is protected.", "1 thing worth a look."},
		"none yet":    {[]service.DefinitionStatus{well, {Name: "b", State: "ready"}}, false, "warn", "“b” has no good backup yet.", ""},
		"all paused":  {[]service.DefinitionStatus{with(well, func(d *service.DefinitionStatus) { d.State, d.Next = "paused", time.Time{} })}, false, "warn", "No backup runs: all are paused or off.", "No run is planned."},
		"queue held":  {[]service.DefinitionStatus{well}, true, "warn", "The queue is held: no backup begins.", "No run is planned."},
		"worst first": {[]service.DefinitionStatus{with(well, last(service.Warned)), with(ready("b", 1, 0), last(service.Failed))}, false, "fail", "The last run of “b” failed", "1 more thing worth a look."},
	} {
		got := Protection(&service.Status{Now: at, Definitions: c.defs, Paused: c.paused})
		if got.Mark != c.mark || !strings.HasPrefix(got.Say, c.say) || !strings.Contains(got.Sub, c.sub) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestStrip(t *testing.T) {
	run := func(days int, s service.State, typ string) service.Run {
		return service.Run{State: s, Began: at.AddDate(0, 0, -days), Report: &job.Report{Type: typ}}
	}
	cells, say := Strip([]service.Run{run(0, service.Running, ""), run(1, service.Failed, ""), run(1, service.Success, "inc"), run(2, service.Failed, ""),
		run(3, service.Missed, ""), run(4, service.Warned, "diff"), run(5, service.Success, "inc"), run(5, service.Success, "full"), run(6, service.Stopped, ""), run(40, service.Success, "full"), run(-3, service.Success, "full")}, at, false)
	if want := strings.Repeat(".", Days-6) + "FDMXIR"; cells != want {
		t.Errorf("%q, want %q", cells, want)
	}
	if !strings.Contains(say, "3 days with a good backup, 1 day with failed runs only, 1 day missed") {
		t.Error(say)
	}
	cells, say = Strip([]service.Run{run(2, service.Success, "full")}, at, true)
	if !strings.HasPrefix(cells, strings.Repeat(" ", Days-3)+"F") || !strings.Contains(say, "not shown") {
		t.Errorf("%q %s", cells, say)
	}
}

func TestAges(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Hour: "0 seconds", 59 * time.Second: "59 seconds", 3 * time.Minute: "3 minutes", 17 * time.Hour: "17 hours", 9*24*time.Hour + time.Hour: "9 days"} {
		if got := Age(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	for moment, want := range map[time.Time]string{at: "today at 12:00", at.Add(24 * time.Hour): "tomorrow at 12:00", at.Add(-24 * time.Hour): "yesterday at 12:00", at.AddDate(0, 0, 4): "Sun 29 Nov, 12:00", at.AddDate(1, 0, 0): "Thu 25 Nov 2027, 12:00"} {
		if got := At(moment, at); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := Took(at, at.Add(132*time.Second)); got != "2 min 12 s" || Took(at, time.Time{}) != "" {
		t.Error(got)
	}
}
