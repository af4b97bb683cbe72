package view

import (
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
	"ingot/internal/service"
)

func TestProtection(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	good := service.DefinitionStatus{Name: "system", State: "ready", LastGood: now.Add(-17 * time.Hour), Next: now.Add(9 * time.Hour), Last: &service.Run{State: service.Success}}
	with := func(change func(*service.DefinitionStatus)) service.DefinitionStatus {
		d := good
		d.Name = "photos\x07"
		change(&d)
		return d
	}
	for _, c := range []struct {
		name, mark, say string
		of              []service.DefinitionStatus
		paused          bool
	}{
		{"nothing", "unknown", "Nothing is protected yet.", nil, false},
		{"one good", "ok", "This machine is backed up.", []service.DefinitionStatus{good}, false},
		{"held", "warn", "The queue is held", []service.DefinitionStatus{good}, true},
		{"one failed", "warn", "did not succeed: photos\u2407", []service.DefinitionStatus{good, with(func(d *service.DefinitionStatus) { d.Last = &service.Run{State: service.Failed} })}, false},
		{"one skipped", "ok", "backed up", []service.DefinitionStatus{with(func(d *service.DefinitionStatus) { d.Last = &service.Run{State: service.Skipped} })}, false},
		{"one never", "unknown", "no backup yet of photos", []service.DefinitionStatus{good, with(func(d *service.DefinitionStatus) { d.LastGood, d.Last = time.Time{}, nil })}, false},
		{"one overdue, one failed", "fail", "for too long: photos", []service.DefinitionStatus{with(func(d *service.DefinitionStatus) { d.Overdue = true }), good}, false},
		{"one refused", "fail", "refused", []service.DefinitionStatus{good, with(func(d *service.DefinitionStatus) { d.State = "refused" })}, false},
		{"all disabled", "warn", "all are disabled", []service.DefinitionStatus{with(func(d *service.DefinitionStatus) { d.State = "disabled" })}, false},
	} {
		got := Protection(&service.Status{Now: now, Definitions: c.of, Paused: c.paused})
		if got.Mark != c.mark || !strings.Contains(got.Say, c.say) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if got := Protection(&service.Status{Now: now, Definitions: []service.DefinitionStatus{good}}).More; !strings.HasPrefix(got, "The last good backup is 17 hours old. The next one runs ") {
		t.Error(got)
	}
}

func TestAgesAndProgress(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Hour: "0 seconds", time.Second: "1 second", 90 * time.Minute: "90 minutes", 47 * time.Hour: "47 hours", 9 * 24 * time.Hour: "9 days"} {
		if got := Age(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
	j := &service.Job{Run: service.Run{State: service.Running}, Stage: "image", Progress: &job.Event{Stage: "image", Done: 3 << 30, Total: 4 << 30, Rate: 1 << 30, Left: 90}}
	if got := ProgressOf(j); got.Percent != 75 || got.Say != "image: 3.0 GiB of 4.0 GiB, 1.0 GiB a second, about 90 seconds left" {
		t.Errorf("%+v", got)
	}
	if got := ProgressOf(&service.Job{Run: service.Run{State: service.Queued}}); got.Percent != -1 || !strings.Contains(got.Say, "waits") {
		t.Errorf("%+v", got)
	}
}
