package service

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/plan"
)

const anyMark = "0123456789abcdef0123456789abcdef"

func TestErrands(t *testing.T) {
	r := newRig(t, map[string]string{"verify": `note args:` + "\n" + `print {"status":"good","blocks":7}`, "restore": "note args:\nprint {\"status\":\"done\",\"warnings\":[\"look at it\"]}"})
	r.start()
	v, err := r.client.Errand(t.Context(), Errand{Verb: Verify, From: "/mnt/-x.mrimgx"})
	if err != nil {
		t.Fatal(err)
	}
	if run := r.ended(v.ID); run.State != Success || run.Cause != ByUser || run.Title() != "verify /mnt/-x.mrimgx" {
		t.Errorf("%+v", run)
	}
	e := Errand{Verb: Restore, From: "/mnt/a.mrimgx@2026-11-20", Target: "/dev/sdz", Partitions: []int{1, 3}, Check: true, Expect: anyMark}
	w, err := r.client.Errand(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if run := r.ended(w.ID); run.State != Warned || run.Report == nil || run.Report.Warnings[0] != "look at it" || run.Errand == nil || run.Errand.Target != e.Target {
		t.Errorf("%+v", run)
	}
	for id, want := range map[uint64]string{
		v.ID: "--json -- /mnt/-x.mrimgx",
		w.ID: "--json --yes --expect=" + anyMark + " --check --partitions=1,3 -- /mnt/a.mrimgx@2026-11-20 /dev/sdz",
	} {
		if lines, err := r.client.Log(t.Context(), id, 0); err != nil || !strings.Contains(fmt.Sprint(lines.Lines), "args: "+want+"}") && !strings.Contains(fmt.Sprint(lines.Lines), "args: "+want+" ") {
			t.Errorf("%+v, %v, want %s", lines, err, want)
		}
	}
	if runs, err := r.client.Runs(t.Context(), Filter{}); err != nil || len(runs) != 2 {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestErrandsThatMakeNoSense(t *testing.T) {
	good := Errand{Verb: Restore, From: "/a", Target: "/b", Expect: anyMark}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Errand){
		"a strange verb":            func(e *Errand) { e.Verb = "purge" },
		"a relative image":          func(e *Errand) { e.From = "--yes" },
		"a relative target":         func(e *Errand) { e.Target = "b" },
		"no fingerprint":            func(e *Errand) { e.Expect = "" },
		"a fingerprint with a flag": func(e *Errand) { e.Expect = "0 --force" },
		"partition 0":               func(e *Errand) { e.Partitions = []int{0} },
		"many partitions":           func(e *Errand) { e.Partitions = make([]int, mostPartitions+1) },
		"a target for verify":       func(e *Errand) { e.Verb = Verify },
	} {
		e := good
		if change(&e); e.check() == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// Two do not restore to the same disk; what is due waits; one that is
// interrupted is not begun again by itself.
func TestErrandsUnderWay(t *testing.T) {
	r := newRig(t, map[string]string{"a": "end success 0", "restore": "polite\nwait 60s"})
	r.start()
	e := Errand{Verb: Restore, From: "/i", Target: "/dev/sdz", Expect: anyMark}
	first, err := r.client.Errand(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Errand(t.Context(), e); !refusedWith(err, http.StatusConflict) {
		t.Errorf("a second restore to the same disk: %v", err)
	}
	backup := r.ask("a", plan.Full)
	r.eventually("the errand to be at work", func() bool {
		return exists(filepath.Join(os.Getenv("INGOT_TEST_PROGRAM"), "restore.waits"))
	})
	if q, err := r.client.Queue(t.Context()); err != nil || len(q.Jobs) != 2 || q.Jobs[0].ID != first.ID || q.Jobs[1].State != Queued {
		t.Errorf("%+v, %v", q, err)
	}
	if err := r.client.Cancel(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if run := r.ended(first.ID); run.State != Stopped {
		t.Errorf("%+v", run)
	}
	if run := r.ended(backup.ID); run.State != Success {
		t.Errorf("%+v", run)
	}
	eng := newEngine(memory{last: 4}, 1, func(change) {}, func(string, *Run) {})
	if gone := eng.recover([]Run{{ID: 4, State: Running, Errand: &e}}, time.Now()); len(gone) != 1 || gone[0].State != Interrupted || len(eng.queue) != 0 {
		t.Errorf("%+v, %+v", gone, eng.queue)
	}
}
