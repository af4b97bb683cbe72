package timers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/plan"
)

// everything has a schedule of each kind.
func everything() *plan.Definition {
	return &plan.Definition{
		Name: "Office 100% PC", TimeZone: "Europe/Berlin",
		Conditions: plan.Conditions{SkipOnBattery: true}, Limits: plan.Limits{Duration: 6 * time.Hour}, Options: plan.Options{CPU: plan.PriorityIdle, IO: plan.PriorityIdle},
		Schedules: []plan.Schedule{
			{Type: plan.Full, Kind: plan.Monthly, Nth: 1, Weekday: time.Sunday, At: 150, Delay: 30 * time.Minute, Missed: plan.Missed{Within: time.Hour}},
			{Type: plan.Differential, At: 150, Days: 1 << time.Sunday, Missed: plan.Missed{Skip: true}},
			{At: 150},
			{Kind: plan.Monthly, Day: plan.LastDay, Months: 1<<1 | 1<<7}, {Kind: plan.Monthly, Day: 30}, {Kind: plan.Monthly, Day: 31}, {Kind: plan.Monthly, Day: 15}, {Kind: plan.Monthly, Nth: plan.Last, Weekday: time.Friday},
			{Kind: plan.Interval, Every: 40 * time.Minute, From: 480, To: 1080, Days: plan.WorkDays}, {Kind: plan.Interval, Every: 4 * time.Hour}, {Kind: plan.Interval, Every: time.Hour, From: 22 * 60, To: 120},
			{Kind: plan.Once, Date: plan.Date{Year: 2026, Month: 12, Day: 31}, At: 60}, {Kind: plan.AtStart, Delay: time.Minute}, {Kind: plan.OnIdle}, {Kind: plan.OnPlugged},
		},
	}
}

func write(t *testing.T, dir string, files []File) (paths []string) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func tool(t *testing.T, pkg string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Fatalf("%s is missing: install %s", args[0], pkg)
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%.300q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestSystemd(t *testing.T) {
	files, notes := Systemd(everything(), Options{Program: "/bin/true", Definition: "Office 100% PC"})
	// 15 schedules, of which a window over midnight, idle and plugged do not come over.
	if len(files) != 2*12 || len(notes) != 1+3+1 {
		t.Fatalf("%d files, %q", len(files), notes)
	}
	out := tool(t, "systemd", append([]string{"systemd-analyze", "verify", "--man=no"}, write(t, t.TempDir(), files)...)...)
	if strings.Contains(out, "ingot") {
		t.Errorf("systemd-analyze says\n%s", out)
	}
	service := string(files[0].Data)
	for _, want := range []string{`ExecStart="/bin/true" run "Office 100%% PC" --full`, "ConditionACPower=true", "TimeoutStartSec=21600", "IOSchedulingClass=idle", "Description=Backup Office 100%% PC, full"} {
		if !strings.Contains(service, want) {
			t.Errorf("%q is not in\n%s", want, service)
		}
	}
	timer := string(files[1].Data)
	if !strings.Contains(timer, "RandomizedDelaySec=1800") || !strings.Contains(timer, "Persistent=true") || strings.Contains(string(files[3].Data), "Persistent") {
		t.Errorf("%s\n%s", timer, files[3].Data)
	}
}

// TestSystemdTimes compares when systemd starts the timers with what the
// schedules say.
func TestSystemdTimes(t *testing.T) {
	d := everything()
	files, _ := Systemd(d, Options{Program: "/bin/true", Definition: "x"})
	from := time.Now().Truncate(time.Second)
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name, ".timer")
		if !ok {
			continue
		}
		var s *plan.Schedule
		for i := range d.Schedules {
			if strings.HasSuffix(name, "-"+itoa(i+1)) {
				s = &d.Schedules[i]
			}
		}
		if s.Event() || s.Next(from, time.UTC).IsZero() {
			continue
		}
		var got []time.Time
		for line := range strings.Lines(string(f.Data)) {
			if expr, ok := strings.CutPrefix(strings.TrimSpace(line), "OnCalendar="); ok {
				got = append(got, elapses(t, expr)...)
			}
		}
		if len(got) == 0 {
			t.Fatalf("no times were read from what systemd-analyze says of\n%s", f.Data)
		}
		loc, err := d.Location(nil)
		if err != nil {
			t.Fatal(err)
		}
		next := from
		for range 4 {
			if next = s.Next(next, loc); next.IsZero() {
				break
			}
			found := false
			for _, g := range got {
				found = found || g.Equal(next)
			}
			if !found {
				t.Errorf("%s: systemd does not start at %s, but at %s\n%s", s.String(), next, got, f.Data)
			}
		}
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// elapses are the next times of a calendar expression.
func elapses(t *testing.T, expr string) (out []time.Time) {
	t.Helper()
	for line := range strings.Lines(tool(t, "systemd", "systemd-analyze", "calendar", "--iterations=14", expr)) {
		for _, label := range []string{"(in UTC): ", "Next elapse: ", "Iter. #"} {
			_, text, ok := strings.Cut(line, label)
			if !ok {
				continue
			}
			if label == "Iter. #" {
				_, text, _ = strings.Cut(text, ": ")
			}
			if at, err := time.Parse("Mon 2006-01-02 15:04:05 MST", strings.TrimSpace(text)); err == nil {
				out = append(out, at)
			}
		}
	}
	return out
}

func TestTasks(t *testing.T) {
	files, notes := Tasks(everything(), Options{Program: `C:\Program Files\Ingot\ingot.exe`, Definition: "Office & PC"})
	if len(files) != 14 || len(notes) != 5 {
		t.Fatalf("%d files, %q", len(files), notes)
	}
	args := append([]string{"xmllint", "--noout", "--nonet", "--schema", "testdata/task.xsd"}, write(t, t.TempDir(), files)...)
	if out := tool(t, "libxml2-utils", args...); strings.Count(out, " validates") != len(files) {
		t.Error(out)
	}
	all := ""
	for _, f := range files {
		all += string(f.Data)
	}
	for _, want := range []string{`<Arguments>run &#34;Office &amp; PC&#34; --full</Arguments>`, "<Week>1</Week>", "<Day>Last</Day>", "<Week>Last</Week>", "<RandomDelay>PT1800S</RandomDelay>",
		"<Interval>PT2400S</Interval>\n        <Duration>PT36060S</Duration>", "<StartBoundary>2026-12-31T01:00:00</StartBoundary>", "<StartWhenAvailable>false</StartWhenAvailable>", "<ExecutionTimeLimit>PT21600S</ExecutionTimeLimit>"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in the tasks", want)
		}
	}
}
