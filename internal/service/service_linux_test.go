package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/internal/notify"
	"ingot/internal/plan"
)

// rig is a service under way with a program whose runs do as they are told.
type rig struct {
	*testing.T
	opts   Options
	client *Client
	stop   func() error
	told   chan *notify.Message
	logged *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newRig makes the folders of a service; scripts are what its definitions do.
func newRig(t *testing.T, scripts map[string]string) *rig {
	t.Helper()
	// The folder of a test is only for its owner; others must come as far as
	// the socket.
	dir, err := os.MkdirTemp("", "ingot-service-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, told: make(chan *notify.Message, 100), logged: &syncBuffer{}}
	program(t, scripts)
	r.opts = Options{
		Program: []string{os.Args[0]}, Definitions: filepath.Join(dir, "definitions"), State: filepath.Join(dir, "state"),
		Socket: filepath.Join(dir, "api.sock"), Load: loadJSON, CheckHistory: checkApart,
		Grace: time.Second, Scan: 50 * time.Millisecond, Log: slog.New(slog.NewTextHandler(r.logged, nil)),
		Tell: func(_ context.Context, _ *plan.Definition, m *notify.Message) []error { r.told <- m; return nil },
	}
	for name := range scripts {
		r.define(&plan.Definition{Name: name, Destinations: []plan.Destination{{Path: "/mnt/" + name}}})
	}
	r.client = NewClient(r.opts.Socket)
	return r
}

// loadJSON reads definitions that tests write as JSON.
func loadJSON(file string) (*plan.Definition, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var d plan.Definition
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &d, nil
}

func (r *rig) define(d *plan.Definition) {
	r.Helper()
	b, err := json.Marshal(d)
	if err == nil {
		err = errors.Join(os.MkdirAll(r.opts.Definitions, 0o700), os.WriteFile(filepath.Join(r.opts.Definitions, d.Name+".xml"), b, 0o600))
	}
	if err != nil {
		r.Fatal(err)
	}
}

// start starts the service and waits until it answers.
func (r *rig) start() {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, r.opts) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	r.Cleanup(func() {
		if err := r.stop(); err != nil {
			r.Error(err)
		}
	})
	r.eventually("the service to answer", func() bool {
		_, err := r.client.Status(r.Context())
		return err == nil
	})
}

func (r *rig) eventually(what string, fn func() bool) {
	r.Helper()
	for range 1500 {
		if fn() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.Fatalf("waited in vain for %s\n%s", what, r.logged)
}

// ended waits for the end of a run.
func (r *rig) ended(id uint64) Run {
	r.Helper()
	var run Run
	r.eventually(fmt.Sprintf("the end of run %d", id), func() bool {
		var err error
		run, err = r.client.Run(r.Context(), id)
		return err == nil && run.State.Ended()
	})
	return run
}

func (r *rig) ask(name string, typ plan.Type) Run {
	r.Helper()
	run, err := r.client.Start(r.Context(), name, typ)
	if err != nil {
		r.Fatal(err)
	}
	return run
}

func TestRunsOfAService(t *testing.T) {
	r := newRig(t, map[string]string{"good": "progress\nnote flags:\nend success 0", "bad": "complain broken\nexit 1", "dies": "crash"})
	r.start()
	good := r.ended(r.ask("good", plan.Differential).ID)
	if good.State != Success || good.Cause != ByUser || good.By != "uid 0" || good.Report == nil || good.Process != nil {
		t.Errorf("%+v", good)
	}
	lines, err := r.client.Log(t.Context(), good.ID, 0)
	if err != nil || !strings.Contains(fmt.Sprint(lines.Lines), "flags: --json --run-id 1 --log-folder "+filepath.Join(r.opts.State, "runs")+" --wait 1h --diff") || lines.More {
		t.Errorf("%+v, %v", lines, err)
	}
	if run := r.ended(r.ask("bad", "").ID); run.State != Failed || run.Error != "broken" {
		t.Errorf("%+v", run)
	}
	if run := r.ended(r.ask("dies", "").ID); run.State != Failed || !strings.Contains(run.Error, "killed") {
		t.Errorf("%+v", run)
	}
	// Who cannot say anything any more is spoken for.
	for _, want := range []string{"bad", "dies"} {
		if m := <-r.told; m.Event != notify.Failure || m.Report.Definition != want || len(m.Log) == 0 {
			t.Errorf("told %+v", m)
		}
	}
	if runs, err := r.client.Runs(t.Context(), Filter{State: Failed}); err != nil || len(runs) != 2 || runs[0].Definition != "dies" {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestCancelAndQueue(t *testing.T) {
	r := newRig(t, map[string]string{"long": "polite\nprogress\nwait 60s", "next": "end success 0"})
	r.start()
	long := r.ask("long", "")
	next := r.ask("next", "")
	var q Queue
	r.eventually("the progress of a run", func() bool {
		var err error
		q, err = r.client.Queue(t.Context())
		return err == nil && len(q.Jobs) == 2 && q.Jobs[0].Progress != nil && q.Jobs[0].Process != nil
	})
	if q.Jobs[0].ID != long.ID || q.Jobs[0].State != Running || q.Jobs[1].State != Queued || q.Jobs[0].Stage != "image" || q.Jobs[0].Progress.Done != 50 {
		t.Errorf("%+v", q)
	}
	for _, id := range []uint64{next.ID, long.ID} {
		if err := r.client.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
		if run := r.ended(id); run.State != Stopped || !strings.Contains(run.Error, "cancelled by uid 0") {
			t.Errorf("%+v", run)
		}
	}
	var p *Problem
	if err := r.client.Cancel(t.Context(), 999); !errors.As(err, &p) || p.Code != "no-run" {
		t.Errorf("cancel of nothing: %v", err)
	}
	if _, err := r.client.Start(t.Context(), "nobody", ""); !errors.As(err, &p) || p.Code != "no-definition" {
		t.Errorf("a run of nothing: %v", err)
	}
	if _, err := r.client.Start(t.Context(), "next", "huge"); !errors.As(err, &p) || p.Code != "bad-request" {
		t.Errorf("a run of a strange type: %v", err)
	}
}

// The service is asked to end while a run is under way: it ends soon, the run is
// interrupted, and made after the next start.
func TestShutdown(t *testing.T) {
	r := newRig(t, map[string]string{"long": "polite\nwait 60s"})
	r.start()
	long := r.ask("long", plan.Full)
	r.eventually("the run to begin", func() bool { return exists(filepath.Join(os.Getenv("INGOT_TEST_PROGRAM"), "long.waits")) })
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("it is gone: %v", err)
	}
	program(t, map[string]string{"long": "end success 0"})
	r.start()
	if run := r.ended(long.ID + 1); run.State != Success || run.Cause != ByResume || run.Of != long.ID || run.Type != plan.Full {
		t.Errorf("%+v", run)
	}
	if run := r.ended(long.ID); run.State != Interrupted {
		t.Errorf("%+v", run)
	}
}

func TestDefinitionsAreReadAnew(t *testing.T) {
	r := newRig(t, map[string]string{"one": "end success 0"})
	r.start()
	state := func(name string) string {
		st, err := r.client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range st.Definitions {
			if d.Name == name {
				return d.State + " " + d.Problem
			}
		}
		return "gone"
	}
	wait := func(name, want string) {
		t.Helper()
		r.eventually(name+" to be "+want, func() bool { return strings.HasPrefix(state(name), want) })
	}
	wait("one", "ready")
	file := filepath.Join(r.opts.Definitions, "two.xml")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nonsense")
	wait("two", "refused "+file)
	if s := state("one"); s != "ready " {
		t.Errorf("beside a refused one, the other is %s", s)
	}
	write(`{"Name":"three"}`)
	wait("two", "refused "+file+`: it says its name is "three"`)
	write(`{"Name":"two","Disabled":true}`)
	wait("two", "disabled")
	write(`{"Name":"two"}`)
	wait("two", "ready")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wait("two", "gone")
}

func TestSchedulesOnAFastClock(t *testing.T) {
	r := newRig(t, map[string]string{"hourly": "end success 0"})
	d := &plan.Definition{Name: "hourly", TimeZone: "UTC", Schedules: []plan.Schedule{{Kind: plan.Interval, Every: time.Hour}}}
	d.Notify.AlertAfter = 1
	r.define(d)
	start := time.Date(2026, 3, 28, 20, 30, 0, 0, time.UTC)
	r.opts.Clock = FastClock{time.Now(), start, 18000}
	r.start()
	var runs []Run
	r.eventually("four runs", func() bool {
		var err error
		runs, err = r.client.Runs(t.Context(), Filter{State: Success})
		return err == nil && len(runs) >= 4
	})
	// How many hours go by while one run is made depends on the machine.
	for i, run := range runs {
		if run.Cause == ByUser || run.Due.Minute() != 0 || run.Due.Before(start) || run.Type != plan.Incremental {
			t.Errorf("%+v", run)
		}
		if i > 0 && !run.Due.Before(runs[i-1].Due) {
			t.Errorf("%+v before %+v", run, runs[i-1])
		}
	}
	st, err := r.client.Status(t.Context())
	if err != nil || st.Definitions[0].Next.Before(st.Now) || st.Definitions[0].Last == nil || st.Definitions[0].LastGood.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
	program(t, map[string]string{"hourly": "exit 1"}) // no good ones from now on
	r.eventually("word of the missing backup", func() bool {
		select {
		case m := <-r.told:
			return m.Event == notify.Overdue && m.Report.Definition == "hourly" && !m.Since.IsZero()
		default:
			return false
		}
	})
}

func get(t *testing.T, c *Client, path string) (int, string, http.Header) {
	t.Helper()
	resp, err := c.http.Get("http://ingot" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestMetricsAndRoutes(t *testing.T) {
	r := newRig(t, map[string]string{"a": "end warning 6"})
	r.start()
	r.ended(r.ask("a", "").ID)
	code, body, h := get(t, r.client, "/metrics")
	for _, want := range []string{
		`ingot_runs_total{definition="a",state="warning"} 1`, `ingot_definition_usable{definition="a"} 1`, "# TYPE ingot_runs_total counter",
		`ingot_last_success_time_seconds{definition="a"} `, "ingot_queue_paused 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%d %s", code, h.Get("Content-Type"))
	}
	for path, want := range map[string]int{
		"/v1/session": 200, "/v1/definitions": 200, "/v1/definitions/a": 200, "/v1/definitions/b": 404, "/v1/runs?limit=x": 400, "/v1/runs?before=-1": 400,
		"/v1/runs/7/log": 404, "/v1/runs/../../etc/log": 404, "/v1/jobs/1": 404, "/nothing": 404, "/v1/events?since=x": 400, "/v1/runs/1/log?from=-1": 400,
	} {
		if code, body, _ := get(t, r.client, path); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	resp, err := r.client.http.Post("http://ingot/v1/queue/burn", "", nil)
	if err != nil || resp.StatusCode != 400 {
		t.Errorf("%v, %v", resp, err)
	}
	resp, err = r.client.http.Post("http://ingot/v1/definitions/a:run", "", strings.NewReader(`{"type":"`+strings.Repeat("x", 2<<20)))
	if err != nil || resp.StatusCode != 400 {
		t.Errorf("a request that is too large: %v, %v", resp, err)
	}
}

func TestEvents(t *testing.T) {
	r := newRig(t, map[string]string{"a": "progress\nend success 0"})
	r.start()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var names []string
	want := []string{"job.queued", "job.started", "job.stage", "job.progress", "job.done"}
	enough := errors.New("enough")
	ready := make(chan struct{})
	go func() {
		for { // until somebody listens
			r.opts.Log.Info("waiting")
			r.ask("a", "")
			select {
			case <-ready:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	err := r.client.Events(ctx, func(e Event) error {
		names = append(names, e.Name)
		// Others are queued in between.
		if len(want) > 0 && e.Name == want[0] {
			want = want[1:]
		}
		if len(want) == 0 {
			return enough
		}
		return nil
	})
	close(ready)
	if !errors.Is(err, enough) {
		t.Errorf("%v: %q", err, names)
	}
	// Who comes back much later, or from another service, is told to look anew.
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://ingot/v1/events?since=123456789", nil)
	resp, err := r.client.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 1000)
	n, _ := io.ReadAtLeast(resp.Body, b, 40)
	if !strings.Contains(string(b[:n]), "event: reset") {
		t.Errorf("%s", b[:n])
	}
}

func TestBusForgets(t *testing.T) {
	var b bus
	for range ringSize + 10 {
		b.send("job", "x", 1)
	}
	if _, whole := b.since(1); whole {
		t.Error("what was forgotten is said to be whole")
	}
	if events, whole := b.since(b.now() - 3); !whole || len(events) != 3 || events[2].Seq != b.now() {
		t.Errorf("%+v, %v", events, whole)
	}
}

func TestSocket(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	st, err := os.Stat(r.opts.Socket)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	second := r.opts
	second.State = t.TempDir()
	if err := Serve(t.Context(), second); !errors.Is(err, ErrRunning) {
		t.Errorf("a second service on the socket: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	// A socket that a killed service left is taken over, a file is not.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.opts.Socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	r.start()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.opts.Socket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), r.opts); err == nil || !exists(r.opts.Socket) {
		t.Errorf("a file in the place of the socket: %v", err)
	}
}

func TestTestMessages(t *testing.T) {
	r := newRig(t, map[string]string{"a": ""})
	var problem error
	r.opts.Tell = func(_ context.Context, d *plan.Definition, m *notify.Message) []error {
		if m.Event != notify.Test || d.Name != "a" || m.Report.Definition != "a" {
			t.Errorf("%s: %+v", d.Name, m)
		}
		if problem != nil {
			return []error{problem}
		}
		return nil
	}
	r.start()
	if got, err := r.client.Test(t.Context(), "a"); err != nil || len(got.Problems) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	problem = errors.New("mail: refused")
	if got, err := r.client.Test(t.Context(), "a"); err != nil || len(got.Problems) != 1 || got.Problems[0] != "mail: refused" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.client.Test(t.Context(), "b"); !refusedWith(err, http.StatusNotFound) {
		t.Error(err)
	}
}
