package service

import (
	"fmt"
	"testing"
	"time"

	"ingot/internal/plan"
)

// An edited plan has missed nothing, and a definition that is gone has no runs.
func TestEditedAndGone(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	w := newWorld(t, start, definition("a", plan.Schedule{At: hm(21, 0)}))
	w.until(start.Add(time.Hour))
	edited := definition("a", plan.Schedule{At: hm(11, 0)})
	edited.Destinations = w.defs["a"].Destinations
	w.defs["a"] = edited
	w.reload()
	w.until(start.Add(9 * time.Hour))
	if len(w.started) > 0 {
		t.Errorf("%+v", w.started)
	}
	if _, err := w.ask(Run{Definition: "a", Cause: ByUser}, w.now); err != nil {
		t.Fatal(err)
	}
	delete(w.defs, "a")
	w.reload()
	w.until(start.Add(10 * time.Hour))
	if runs := w.ledger.runs(); len(runs) != 1 || runs[0].State != Stopped {
		t.Errorf("%+v", runs)
	}
	w.now = start.AddDate(0, 0, 10)
	w.reload()
	if len(w.standings) > 0 {
		t.Error("a definition that has been gone for long is still known")
	}
}

func TestOverdueIsToldOnce(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, zone(t, "Europe/Berlin"))
	d := definition("a", plan.Schedule{At: hm(21, 0)})
	d.Notify.AlertAfter = 3
	w := newWorld(t, start, d)
	good := true
	w.end = func(Run) Outcome {
		if good {
			return Outcome{State: Warned}
		}
		return Outcome{State: Failed}
	}
	var told []int
	for day := range 30 {
		good = day < 5 || day > 14
		w.until(start.AddDate(0, 0, day+1))
		for range w.overdue(w.now) {
			told = append(told, day)
		}
		if day%4 == 0 {
			w.restart(len(w.ledger.changes))
		}
	}
	if fmt.Sprint(told) != "[7 10 13]" {
		t.Errorf("told on the days %v", told)
	}
}

func TestPlugged(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	d := definition("a", plan.Schedule{Kind: plan.OnPlugged, Gap: 12 * time.Hour})
	d.Destinations = []plan.Destination{{Path: "/media/usb/backups"}}
	w := newWorld(t, start, d)
	var m mounts
	see := func(points ...string) {
		table := map[string]string{}
		for _, p := range points {
			table[p] = p
		}
		m.update(table, w.now)
		w.machine.Volumes = m.at
		w.until(w.now.Add(time.Hour))
	}
	for i, c := range []struct {
		points []string
		want   int
	}{
		{[]string{"/", "/home"}, 0},
		{[]string{"/", "/media/usb2"}, 0},
		{[]string{"/", "/media/usb"}, 1},
		{[]string{"/", "/media/usb"}, 1},
		{[]string{"/"}, 1},
		{[]string{"/", "/media/usb"}, 1}, // so soon after the last one
	} {
		see(c.points...)
		if len(w.started) != c.want {
			t.Errorf("step %d: %d runs, want %d", i, len(w.started), c.want)
		}
	}
	w.until(start.AddDate(0, 0, 1))
	see("/")
	see("/", "/media/usb")
	if len(w.started) != 2 {
		t.Errorf("%d runs after a day", len(w.started))
	}
}
