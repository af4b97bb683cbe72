package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/result"
	"ingot/internal/service"
)

func (placesOnly) Session(context.Context) (service.Session, error) {
	return service.Session{}, service.ErrNotRunning
}

func (*fakeRestores) Session(context.Context) (service.Session, error) {
	return service.Session{Role: service.Own}, nil
}

// fakeService has what the test says, and notes what is asked for.
type fakeService struct {
	Service
	err     error
	status  service.Status
	runs    []service.Run
	jobs    []service.Job
	lines   []service.Line
	session service.Session
	did     []string
}

func (f *fakeService) Status(context.Context) (service.Status, error) { return f.status, f.err }
func (f *fakeService) Queue(context.Context) (service.Queue, error) {
	return service.Queue{Jobs: f.jobs}, f.err
}
func (f *fakeService) Runs(context.Context, service.Filter) ([]service.Run, error) {
	return f.runs, f.err
}
func (f *fakeService) Run(_ context.Context, id uint64) (service.Run, error) {
	for _, r := range f.runs {
		if r.ID == id {
			return r, f.err
		}
	}
	return service.Run{}, &service.Problem{Title: "no such run", Status: http.StatusNotFound}
}
func (f *fakeService) Log(context.Context, uint64, int) (service.Lines, error) {
	return service.Lines{Lines: f.lines}, f.err
}
func (f *fakeService) Session(context.Context) (service.Session, error) { return f.session, f.err }
func (f *fakeService) Disks(context.Context) ([]result.Disk, error) {
	return []result.Disk{{Path: "/dev/sda", Model: hostile, Size: 1 << 40, Partitions: []result.Partition{{Number: 1, Label: hostile, FileSystem: "ntfs", Size: 1 << 30, Warnings: []string{hostile}}}}, {Path: "/dev/sdb", Error: hostile}}, f.err
}
func (f *fakeService) Start(_ context.Context, name string, t plan.Type) (service.Run, error) {
	f.did = append(f.did, "run "+name+" "+string(t))
	return service.Run{ID: 7}, f.err
}
func (f *fakeService) Pause(_ context.Context, name string, on bool) error {
	f.did = append(f.did, fmt.Sprintf("pause %s %v", name, on))
	return f.err
}
func (f *fakeService) Cancel(_ context.Context, id uint64) error {
	f.did = append(f.did, fmt.Sprintf("cancel %d", id))
	return f.err
}
func (f *fakeService) AskUnlock(context.Context) (service.Code, error) {
	return service.Code{Code: "K3V9AB2Q", Until: time.Now()}, f.err
}
func (f *fakeService) Lock(context.Context) error {
	f.did = append(f.did, "lock")
	return f.err
}

func serviceConsole(t *testing.T) (*Console, *fakeService) {
	t.Helper()
	now := time.Now()
	failed := service.Run{ID: 6, Definition: hostile, State: service.Failed, Queued: now, Began: now, Ended: now, Error: hostile, Hint: hostile, By: hostile,
		Report: &job.Report{Images: []job.Image{{File: hostile}}, Warnings: []string{hostile}, Notes: []string{hostile}}}
	f := &fakeService{
		status: service.Status{Now: now, Warnings: []string{hostile}, Definitions: []service.DefinitionStatus{
			{Name: "system", State: "ready", LastGood: now.Add(-17 * time.Hour), Next: now.Add(time.Hour), Places: []string{hostile}, Comment: hostile, Current: &service.Run{ID: 7}},
			{Name: "a/b c", State: "refused", Problem: hostile},
			{Name: "held", State: "paused", Last: &failed},
		}},
		runs:    []service.Run{failed, {ID: 5, Errand: &service.Errand{Verb: "verify", From: "/mnt/x"}, State: service.Success, Queued: now, Began: now, Ended: now.Add(time.Minute)}},
		jobs:    []service.Job{{Run: service.Run{ID: 7, Definition: "system", State: service.Running, Began: now}, Stage: "image", Progress: &job.Event{Stage: "image", Done: 1 << 30, Total: 2 << 30}}},
		lines:   []service.Line{{Time: now, Kind: "note", Text: hostile}},
		session: service.Session{Role: service.Act},
	}
	c, err := New(Options{Service: f, User: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

func TestPagesOverTheService(t *testing.T) {
	c, f := serviceConsole(t)
	for path, want := range map[string][]string{
		"/":                  {"A backup is refused and does not run: a/b c.", `href="/backups/a%2Fb%20c"`, "17 hours ago", `href="/jobs/7"`, "Unlock changes"},
		"/backups":           {"What runs by itself", "ingot definition new"},
		"/backups/system":    {"17 hours ago", "Run now", "Hold its schedules", `href="/jobs/7"`, `action="/backups/system/run"`},
		"/backups/held":      {"Let its schedules go on"},
		"/backups/a%2Fb%20c": {"It is refused and does not run"},
		"/activity":          {"Under way and waiting", "verify /mnt/x", `href="/activity/6"`},
		"/activity/6":        {"failed", "What to do:"},
		"/jobs/7":            {"50 %", "1.0 GiB of 2.0 GiB", `action="/jobs/7/cancel"`, "You can close this page"},
		"/disks":             {"1.0 TiB", "ntfs", "It cannot be read"},
		"/unlock":            {"Show me a code"},
	} {
		w := get(t, c, path)
		body := w.Body.String()
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
		for _, s := range want {
			if !strings.Contains(body, s) {
				t.Errorf("%s has no %q:\n%s", path, s, body)
			}
		}
		for _, s := range []string{"<img", "\u202e", "\x00", " style=", "<style", "onclick"} {
			if strings.Contains(body, s) {
				t.Errorf("%s has %q", path, s)
			}
		}
		if strings.Count(body, "<h1") != 1 || !strings.Contains(body, " · Ingot</title>") {
			t.Errorf("%s has not one heading and title", path)
		}
	}
	if w := get(t, c, "/jobs/6"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/activity/6" {
		t.Errorf("a job that has ended: %d", w.Code)
	}
	if w := get(t, c, "/jobs/7/now"); !strings.Contains(w.Body.String(), `"percent":50`) {
		t.Error(w.Body)
	}
	for _, path := range []string{"/backups/none", "/activity/x", "/activity/99"} {
		if w := get(t, c, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	f.session.Until = time.Now()
	if body := get(t, c, "/").Body.String(); !strings.Contains(body, "May change until") || !strings.Contains(body, `action="/lock"`) {
		t.Error("what is lent is not said")
	}
	f.status.Definitions = nil
	if body := get(t, c, "/").Body.String(); !strings.Contains(body, "Nothing is protected yet.") || !strings.Contains(body, "Open a folder") {
		t.Error(body)
	}
}

func TestWithoutTheService(t *testing.T) {
	c, f := serviceConsole(t)
	f.err = fmt.Errorf("%w (socket)", service.ErrNotRunning)
	if w := get(t, c, "/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "The Ingot service does not answer.") || !strings.Contains(w.Body.String(), "ingot service install") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/backups", "/activity", "/disks", "/jobs/7"} {
		if w := get(t, c, path); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "does not answer") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	f.err = fmt.Errorf("%w: group", service.ErrForbidden)
	if body := get(t, c, "/").Body.String(); !strings.Contains(body, "does not know you") || !strings.Contains(body, "usermod") {
		t.Error(body)
	}
	if w := get(t, c, "/backups"); w.Code != http.StatusForbidden {
		t.Error(w.Code)
	}
}

func TestChangesArePosts(t *testing.T) {
	c, f := serviceConsole(t)
	for _, x := range []struct{ path, form, to, did string }{
		{"/backups/system/run", "type=full", "/jobs/7", "run system full"},
		{"/backups/a%2Fb%20c/run", "", "/jobs/7", "run a/b c "},
		{"/backups/system/pause", "", "/backups/system", "pause system true"},
		{"/backups/system/resume", "", "/backups/system", "pause system false"},
		{"/jobs/7/cancel", "", "/jobs/7", "cancel 7"},
		{"/lock", "", "/", "lock"},
	} {
		f.did = nil
		if get(t, c, x.path); len(f.did) > 0 {
			t.Errorf("a GET of %s does %q", x.path, f.did)
		}
		q := httptest.NewRequest(http.MethodPost, x.path, strings.NewReader(x.form))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, q)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != x.to || len(f.did) != 1 || f.did[0] != x.did {
			t.Errorf("%s: %d %s, %q", x.path, w.Code, w.Header().Get("Location"), f.did)
		}
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/unlock", strings.NewReader(url.Values{}.Encode())))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "sudo ingot unlock K3V9AB2Q") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.err = fmt.Errorf("%w: it is not yours", service.ErrForbidden)
	w = httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/backups/system/run", nil))
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "Unlock changes") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
