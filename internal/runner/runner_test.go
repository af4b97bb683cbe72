package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ingot/internal/dest/folder"
	"ingot/internal/disk"
	"ingot/internal/job"
	"ingot/internal/machine"
	"ingot/internal/notify"
	"ingot/internal/plan"
)

// stage is a machine for runs whose images are made up.
type stage struct {
	Env
	mu   sync.Mutex
	said []string // what happened, in order
	fail map[string]error
	free int64
	wait chan struct{} // images wait for it, when it is not nil
}

func (s *stage) say(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, what)
}

func (s *stage) happened() string { return strings.Join(s.said, ", ") }

var errJudged = errors.New("judged")

func newStage(t *testing.T) *stage {
	s := &stage{fail: map[string]error{}, free: 1 << 40}
	s.Env = Env{
		Machine: testMachine(), Image: s.image,
		Holds: func(_, path string) (bool, error) { return strings.HasSuffix(path, "on-source"), nil },
		Judge: func(err error) (int, string) {
			if errors.Is(err, errJudged) {
				return 6, "a hint"
			}
			return 1, ""
		},
		Trust:    func(argv []string) error { return s.fail["trust "+filepath.Base(argv[0])] },
		Supply:   func() (machine.Supply, error) { return machine.Supply{Percent: -1}, nil },
		Metered:  func(context.Context) (bool, error) { return true, nil },
		Share:    func(*disk.Place) bool { return s.fail["share"] != nil },
		Priority: func(_, _ plan.Priority) error { return nil },
		Awake: func(context.Context, string) (func(), error) {
			s.say("awake")
			return func() { s.say("asleep") }, nil
		},
		Detach: func(_ context.Context, path string) (string, error) {
			s.say("detach " + filepath.Base(path))
			return "detached", s.fail["detach"]
		},
		Now: time.Now, Host: "pc1", Logs: t.TempDir(),
	}
	return s
}

// madeUp is an image that is none.
type madeUp struct {
	s *stage
	q *Request
}

func (s *stage) image(_ context.Context, q *Request) (Imaging, error) {
	if err := s.fail["begin "+q.Source.Info.Path]; err != nil {
		return nil, err
	}
	return &madeUp{s, q}, nil
}

func (m *madeUp) Type() plan.Type {
	if m.q.Type == "" {
		return plan.Incremental
	}
	return m.q.Type
}
func (m *madeUp) Bytes() int64                        { return 1000 << 20 }
func (m *madeUp) Free(context.Context) (int64, error) { return m.s.free, nil }
func (m *madeUp) Close() error                        { return nil }

func (m *madeUp) Run(ctx context.Context, _ *job.Log) (*job.Image, error) {
	name := m.q.Source.Info.Path + " to " + filepath.Base(m.q.Folder)
	m.s.say("image " + name)
	if m.s.wait != nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := m.s.fail["image "+name]; err != nil {
		return nil, err
	}
	img := &job.Image{File: filepath.Base(m.q.Source.Info.Path) + ".mrimgx", Type: string(m.Type()), Read: 1000, Stored: 10}
	if err := m.s.fail["unreadable"]; err != nil {
		img.Bad = 512
		return img, Unreadable(err)
	}
	return img, nil
}

// definition has disks as sources and new folders as destinations.
func definition(t *testing.T, folders ...string) *plan.Definition {
	d := &plan.Definition{Name: "system", Notify: plan.Notify{NoEventLog: true}}
	d.Sources = []plan.Source{{Disk: plan.DiskID{ID: "AAAA", Serial: "S1"}}}
	root := t.TempDir()
	for _, f := range folders {
		path := filepath.Join(root, f)
		if !strings.HasPrefix(f, "absent") {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		d.Destinations = append(d.Destinations, plan.Destination{Path: path})
	}
	return d
}

func TestRunDestinations(t *testing.T) {
	for _, c := range []struct {
		name    string
		folders []string
		fail    map[string]error
		free    int64
		status  job.Status
		want    string // images
		warned  string
	}{
		{"the first one", []string{"a", "b"}, nil, 1 << 40, job.Success, "image /dev/sda to a", ""},
		{"the first is absent", []string{"absent", "b"}, nil, 1 << 40, job.Warned, "image /dev/sda to b", "absent is not used"},
		{"the first is on the source", []string{"on-source", "b"}, nil, 1 << 40, job.Warned, "image /dev/sda to b", "lies on a disk that is to be imaged"},
		{"the first fills up", []string{"a", "b"}, map[string]error{"image /dev/sda to a": syscall.ENOSPC}, 1 << 40, job.Warned, "image /dev/sda to a, image /dev/sda to b", "the next destination is tried"},
		{"all are absent", []string{"absent", "absent2"}, nil, 1 << 40, job.Failed, "", "absent2"},
		{"another error is no reason for another destination", []string{"a", "b"}, map[string]error{"image /dev/sda to a": errors.New("broken")}, 1 << 40, job.Failed, "image /dev/sda to a", ""},
		{"too little room by estimate: the last one is tried", []string{"a", "b"}, nil, 50 << 20, job.Warned, "image /dev/sda to b", "there is not enough room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, d := newStage(t), definition(t, c.folders...)
			s.fail, s.free = c.fail, c.free
			d.Options.AllowSleep = true
			r, _ := Run(t.Context(), d, Options{}, &s.Env)
			if r.Status != c.status || s.happened() != c.want || !strings.Contains(strings.Join(r.Warnings, "\n")+r.Error, c.warned) {
				t.Errorf("%s, %q, %q, %s", r.Status, s.happened(), r.Warnings, r.Error)
			}
			if c.status.Good() && (len(r.Images) != 1 || !strings.HasSuffix(c.want, filepath.Base(r.Folder))) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRunRotated(t *testing.T) {
	s, d := newStage(t), definition(t, "absent", "b")
	d.Rotate = true
	r, err := Run(t.Context(), d, Options{}, &s.Env)
	if err != nil || r.Status != job.Success || filepath.Base(r.Folder) != "b" {
		t.Errorf("%+v, %v", r, err)
	}
}

// One disk that fails does not keep the others from being imaged.
func TestRunSeveralDisks(t *testing.T) {
	s, d := newStage(t), definition(t, "a")
	d.Sources = []plan.Source{{Disk: plan.DiskID{ID: "AAAA", Serial: "S1"}}, {Disk: plan.DiskID{Serial: "S4"}}, {Disk: plan.DiskID{ID: "1234ABCD"}}}
	s.fail["image /dev/sdd to a"] = errors.New("broken")
	r, err := Run(t.Context(), d, Options{Type: plan.Full}, &s.Env)
	if err == nil || r.Status != job.Failed || len(r.Images) != 2 || r.Images[1].Disk != "/dev/sdb" || r.Type != "full" {
		t.Errorf("%+v, %v", r, err)
	}
}

// What could not be read is a backup with a warning, and an exit code of its own.
func TestRunUnreadable(t *testing.T) {
	s, d := newStage(t), definition(t, "a")
	s.fail["unreadable"] = errJudged
	r, err := Run(t.Context(), d, Options{}, &s.Env)
	if !errors.Is(err, errJudged) || r.Status != job.Warned || r.ExitCode != 6 || len(r.Images) != 1 || r.Hint != "a hint" {
		t.Errorf("%+v, %v", r, err)
	}
}

// hooks are scripts that write their point and what they know to a file.
func hooks(t *testing.T, d *plan.Definition, script string, points ...plan.HookPoint) (out string) {
	dir := t.TempDir()
	out = filepath.Join(dir, "out")
	path := filepath.Join(dir, "hook.sh")
	text := "#!/bin/sh\n" + script + "\necho \"$INGOT_POINT $INGOT_DEFINITION status=$INGOT_STATUS image=${INGOT_IMAGE##*/}\" >>" + out + "\necho heard\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		d.Hooks = append(d.Hooks, plan.Hook{At: p, Command: []string{path}})
	}
	return out
}

var allPoints = []plan.HookPoint{plan.BeforeSnapshot, plan.AfterSnapshot, plan.AfterSuccess, plan.AfterWarning, plan.AfterFailure}

func TestRunHooks(t *testing.T) {
	for _, c := range []struct {
		name, script string
		fail         map[string]error
		stop         bool
		status       job.Status
		want         string
	}{
		{"success", "", nil, false, job.Success, "before-snapshot system status= image=\nafter-snapshot system status= image=sda.mrimgx\nafter-success system status=success image=sda.mrimgx\n"},
		{"failure", "", map[string]error{"image /dev/sda to a": errors.New("broken")}, false, job.Failed,
			"before-snapshot system status= image=\nafter-snapshot system status= image=\nafter-failure system status=failure image=\n"},
		{"a hook that fails is a warning", "[ $INGOT_POINT != before-snapshot ] || exit 3", nil, false, job.Warned,
			"after-snapshot system status= image=sda.mrimgx\nafter-warning system status=warning image=sda.mrimgx\n"},
		{"or stops the run", "[ $INGOT_POINT != before-snapshot ] || exit 3", nil, true, job.Failed,
			"after-snapshot system status= image=\nafter-failure system status=failure image=\n"},
		{"also after the snapshot", "[ $INGOT_POINT != after-snapshot ] || exit 3", nil, true, job.Failed,
			"before-snapshot system status= image=\nafter-failure system status=failure image=sda.mrimgx\n"},
		{"not after the end", "[ $INGOT_POINT != after-success ] || exit 3", nil, true, job.Warned,
			"before-snapshot system status= image=\nafter-snapshot system status= image=sda.mrimgx\n"},
		{"one that is not trusted is not run", "", map[string]error{"trust hook.sh": errors.New("others may write to it")}, true, job.Failed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, d := newStage(t), definition(t, "a")
			s.fail = c.fail
			out := hooks(t, d, c.script, allPoints...)
			for i := range d.Hooks {
				d.Hooks[i].Stop = c.stop
			}
			r, _ := Run(t.Context(), d, Options{}, &s.Env)
			got, _ := os.ReadFile(out)
			if r.Status != c.status || string(got) != c.want {
				t.Errorf("%s, %q: %q", r.Status, r.Warnings, got)
			}
			imaged := strings.Contains(s.happened(), "image /dev/sda")
			if c.stop && strings.Contains(c.script, "before") && imaged {
				t.Error("imaged all the same")
			}
			if c.want != "" && !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasSuffix(n, ": heard") }) {
				t.Errorf("what the hook printed is not in %q", r.Notes)
			}
		})
	}
}

func TestRunHookLimit(t *testing.T) {
	s, d := newStage(t), definition(t, "a")
	hooks(t, d, "sleep 60", plan.BeforeSnapshot)
	d.Hooks[0].Timeout, d.Hooks[0].Stop = 100*time.Millisecond, true
	r, err := Run(t.Context(), d, Options{}, &s.Env)
	if err == nil || r.Status != job.Failed || !strings.Contains(r.Error, "took too long") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRunConditions(t *testing.T) {
	for _, c := range []struct {
		name      string
		supply    machine.Supply
		scheduled bool
		cond      plan.Conditions
		want      job.Status
	}{
		{"on mains", machine.Supply{Percent: 10}, true, plan.Conditions{SkipOnBattery: true}, job.Success},
		{"on battery", machine.Supply{Battery: true, Percent: 90}, true, plan.Conditions{SkipOnBattery: true}, job.Skipped},
		{"on battery with enough left", machine.Supply{Battery: true, Percent: 90}, true, plan.Conditions{SkipOnBattery: true, MinBattery: 50}, job.Success},
		{"on battery with too little left", machine.Supply{Battery: true, Percent: 40}, true, plan.Conditions{SkipOnBattery: true, MinBattery: 50}, job.Skipped},
		{"somebody asked for it", machine.Supply{Battery: true, Percent: 40}, false, plan.Conditions{SkipOnBattery: true}, job.Success},
		{"nobody minds", machine.Supply{Battery: true, Percent: 40}, true, plan.Conditions{}, job.Success},
	} {
		s, d := newStage(t), definition(t, "a")
		s.Supply = func() (machine.Supply, error) { return c.supply, nil }
		d.Conditions = c.cond
		out := hooks(t, d, "", allPoints...)
		r, err := Run(t.Context(), d, Options{Scheduled: c.scheduled}, &s.Env)
		if err != nil || r.Status != c.want {
			t.Errorf("%s: %s, %v", c.name, r.Status, err)
		}
		if _, err := os.Stat(out); (err == nil) == (c.want == job.Skipped) {
			t.Errorf("%s: hooks: %v", c.name, err)
		}
	}
}

func TestRunMetered(t *testing.T) {
	for _, share := range []bool{true, false} {
		s, d := newStage(t), definition(t, "a")
		d.Conditions.SkipOnMetered = true
		want := job.Success
		if share {
			s.fail["share"], want = errors.New("it is one"), job.Skipped
		}
		r, err := Run(t.Context(), d, Options{Scheduled: true}, &s.Env)
		if err != nil || r.Status != want {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestRunLimitAndInterrupt(t *testing.T) {
	s, d := newStage(t), definition(t, "a")
	s.wait = make(chan struct{})
	out := hooks(t, d, "", plan.AfterSnapshot, plan.AfterFailure)
	d.Limits.Duration = 50 * time.Millisecond
	r, err := Run(t.Context(), d, Options{}, &s.Env)
	if !errors.Is(err, ErrLimit) || r.Status != job.Failed {
		t.Errorf("%+v, %v", r, err)
	}
	d.Limits.Duration = 0
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	r, err = Run(ctx, d, Options{}, &s.Env)
	if !errors.Is(err, context.Canceled) || r.Status != job.Stopped {
		t.Errorf("%+v, %v", r, err)
	}
	if got, _ := os.ReadFile(out); strings.Count(string(got), "after-snapshot") != 2 || strings.Count(string(got), "after-failure") != 2 {
		t.Errorf("hooks after an interrupted run: %q", got)
	}
	if s.happened() != "awake, image /dev/sda to a, asleep, awake, image /dev/sda to a, asleep" {
		t.Error(s.happened())
	}
}

// The owner hears of the start and of the end; that nobody could be told is a
// warning of the report and no failure.
func TestRunTellsTheOwner(t *testing.T) {
	var mu sync.Mutex // requests of one run may come side by side
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		mu.Lock()
		got = append(got, q.URL.Path+" "+string(b))
		mu.Unlock()
		if q.URL.Path == "/broken" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer srv.Close()
	s, d := newStage(t), definition(t, "a")
	metrics := filepath.Join(t.TempDir(), "system.prom")
	d.Notify.Metrics = metrics
	d.Notify.Pings = []plan.Ping{{URL: srv.URL + "/ping"}}
	d.Notify.Webhooks = []plan.Webhook{{URL: srv.URL + "/hook", On: plan.Outcomes{Success: true}}, {URL: srv.URL + "/broken", On: plan.Outcomes{Success: true}}, {URL: srv.URL + "/trouble"}}
	d.After.Detach = true
	r, err := Run(t.Context(), d, Options{}, &s.Env)
	if err != nil || r.Status != job.Warned || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "404") || strings.Contains(r.Warnings[0], "broken") {
		t.Fatalf("%+v, %v", r, err)
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(got)
	var paths []string
	for _, g := range got {
		path, body, _ := strings.Cut(g, " ")
		paths = append(paths, path)
		if path == "/ping" && !strings.Contains(body, "detached") {
			t.Errorf("the end does not tell of the drive: %s", body)
		}
	}
	if strings.Join(paths, " ") != "/broken /hook /ping /ping/start" {
		t.Error(paths)
	}
	got = nil
	mu.Unlock()
	errs := notify.Tell(t.Context(), Channels(d), &notify.Message{Event: notify.Test, Report: job.Report{Definition: "a"}})
	mu.Lock()
	// Machines take a ping or a metric for a backup.
	if all := strings.Join(got, " "); len(errs) != 1 || strings.Contains(all, "/ping") || len(got) != 3 || !strings.Contains(all, "test") {
		t.Errorf("%v, %s", errs, all)
	}
	if b, err := os.ReadFile(metrics); err != nil || !strings.Contains(string(b), `ingot_last_run_success{definition="system"} 1`) {
		t.Errorf("%s, %v", b, err)
	}
	if !strings.HasSuffix(s.happened(), "detach a") {
		t.Error(s.happened())
	}
}

func TestRunLog(t *testing.T) {
	s, d := newStage(t), definition(t, "absent", "b")
	d.Name = "../../x"
	r, err := Run(t.Context(), d, Options{Run: "../r1"}, &s.Env)
	if err != nil || filepath.Dir(filepath.Dir(r.Log)) != s.Logs {
		t.Fatalf("%+v, %v", r, err)
	}
	b, err := os.ReadFile(r.Log)
	if err != nil {
		t.Fatal(err)
	}
	var last job.Report
	warned := false
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		var e job.Event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		warned = warned || e.Kind == job.Warning
		last = job.Report{}
		if err := json.Unmarshal(sc.Bytes(), &last); err != nil {
			t.Fatal(err)
		}
	}
	if !warned || last.Run != "../r1" || last.Status != job.Warned || len(last.Warnings) != 1 {
		t.Errorf("%s", b)
	}
	if st, err := os.Stat(r.Log); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

func TestLogsAreBounded(t *testing.T) {
	dir := t.TempDir()
	for range keptLogs + 5 {
		script, err := newTranscript(dir, "d", time.Now().Format("20060102T150405.000000000"))
		if err == nil {
			err = script.close(&job.Report{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if names, err := os.ReadDir(filepath.Join(dir, "d")); err != nil || len(names) != keptLogs {
		t.Errorf("%d, %v", len(names), err)
	}
}

// Two runs never write to the same set.
func TestRunLocks(t *testing.T) {
	s, d := newStage(t), definition(t, "a")
	store, err := folder.New(d.Destinations[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := store.TakeLock(t.Context(), "AAAA", folder.Owner{Host: "pc1", PID: 7, What: "ingot run other"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), d, Options{}, &s.Env)
	var held *folder.HeldError
	if !errors.As(err, &held) || r.Status != job.Failed || !strings.Contains(r.Error, "ingot run other, process 7 on pc1") || strings.Contains(s.happened(), "image") {
		t.Errorf("%+v, %v", r, err)
	}
	time.AfterFunc(200*time.Millisecond, func() { _ = lock.Release() })
	if r, err := Run(t.Context(), d, Options{Wait: 20 * time.Second}, &s.Env); err != nil || r.Status != job.Success {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPowerAfter(t *testing.T) {
	for _, c := range []struct {
		after  plan.After
		status job.Status
		want   plan.PowerAction
	}{
		{plan.After{Power: plan.PowerShutDown}, job.Success, plan.PowerShutDown},
		{plan.After{Power: plan.PowerShutDown}, job.Warned, plan.PowerShutDown},
		{plan.After{Power: plan.PowerShutDown}, job.Failed, plan.PowerNothing},
		{plan.After{Power: plan.PowerShutDown, EvenIfFailed: true}, job.Failed, plan.PowerShutDown},
		{plan.After{Power: plan.PowerShutDown, EvenIfFailed: true}, job.Stopped, plan.PowerNothing},
		{plan.After{Power: plan.PowerShutDown, EvenIfFailed: true}, job.Skipped, plan.PowerNothing},
		{plan.After{}, job.Success, plan.PowerNothing},
	} {
		if got := PowerAfter(&c.after, c.status); got != c.want {
			t.Errorf("%+v, %s: %q", c.after, c.status, got)
		}
	}
}

func TestDryRun(t *testing.T) {
	s, d := newStage(t), definition(t, "absent", "b")
	p, err := DryRun(t.Context(), d, Options{Type: plan.Full}, &s.Env)
	if err != nil || filepath.Base(p.Folder) != "b" || len(p.Images) != 1 || p.Images[0].Type() != plan.Full || s.happened() != "" {
		t.Errorf("%+v, %v", p, err)
	}
}
