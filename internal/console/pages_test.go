package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/result"
	"ingot/internal/service"
)

// fakeService answers from memory and notes what is asked of it.
type fakeService struct {
	Service
	status service.Status
	queue  service.Queue
	runs   []service.Run
	lines  []service.Line
	disks  []result.Disk
	events []service.Event
	err    error
	did    []string
	asked  []service.Filter
}

func (f *fakeService) Status(context.Context) (service.Status, error) { return f.status, f.err }
func (f *fakeService) Queue(context.Context) (service.Queue, error)   { return f.queue, f.err }
func (f *fakeService) Runs(_ context.Context, q service.Filter) ([]service.Run, error) {
	f.asked = append(f.asked, q)
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
func (f *fakeService) Log(_ context.Context, _ uint64, from int) (service.Lines, error) {
	lines := f.lines[min(from, len(f.lines)):]
	n := min(2, len(lines))
	return service.Lines{Lines: lines[:n], Next: from + n, More: n < len(lines)}, f.err
}
func (f *fakeService) Start(_ context.Context, name string, t plan.Type) (service.Run, error) {
	f.did = append(f.did, "start "+name+" "+string(t))
	return service.Run{ID: 7}, f.err
}
func (f *fakeService) Cancel(context.Context, uint64) error {
	f.did = append(f.did, "cancel")
	return f.err
}
func (f *fakeService) Pause(_ context.Context, name string, on bool) error {
	f.did = append(f.did, map[bool]string{true: "pause ", false: "resume "}[on]+name)
	return f.err
}
func (f *fakeService) Events(_ context.Context, fn func(service.Event) error) error {
	for _, e := range f.events {
		if err := fn(e); err != nil {
			return err
		}
	}
	return f.err
}
func (f *fakeService) Session(context.Context) (service.Session, error) {
	return service.Session{Who: hostile, Role: service.Act}, f.err
}
func (f *fakeService) Disks(context.Context) ([]result.Disk, error) { return f.disks, f.err }

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)

// full is a service with all that others could have written, at the worst.
func full() *fakeService {
	bad := service.Run{ID: 5, Definition: hostile, Type: plan.Full, Cause: service.ByUser, By: hostile, Why: hostile, State: service.Failed,
		Began: noon.Add(-3 * time.Hour), Ended: noon.Add(-2 * time.Hour), Error: "disk gone " + hostile, Hint: "plug it in " + hostile,
		Report: &job.Report{Folder: hostile, Type: hostile, Warnings: []string{hostile}, Notes: []string{hostile}, Images: []job.Image{{Disk: hostile, File: hostile, Type: "full", Based: hostile, Read: 1 << 30}}}}
	good := service.Run{ID: 4, Definition: "office", State: service.Success, Began: noon.Add(-26 * time.Hour), Ended: noon.Add(-25 * time.Hour),
		Report: &job.Report{Type: "full", Images: []job.Image{{File: "a-00-00.mrimgx", Verified: 9, Stored: 3 << 30}}}}
	now := service.Run{ID: 6, Definition: hostile, State: service.Running, Began: noon, By: hostile, Cause: service.ByUser}
	return &fakeService{
		status: service.Status{Version: "1" + hostile, Now: noon, Since: noon.Add(-time.Hour), Folder: hostile, Warnings: []string{hostile}, Definitions: []service.DefinitionStatus{
			{Name: hostile, Comment: hostile, State: "ready", Last: &bad, Current: &now, Overdue: true, LastGood: noon.AddDate(0, 0, -9), Places: []string{hostile}},
			{Name: "office", State: "paused", Last: &good, LastGood: good.Ended, Places: []string{"/mnt/usb"}},
			{Name: "broken", State: "refused", Problem: "line 3: " + hostile, Places: []string{}},
		}},
		queue: service.Queue{Jobs: []service.Job{{Run: now, Stage: hostile, Progress: &job.Event{Time: noon, Stage: "image", Object: hostile, Done: 62, Total: 100, Rate: 1 << 20, Left: 180}},
			{Run: service.Run{ID: 8, Definition: "office", State: service.Queued, Queued: noon}}}},
		runs:  []service.Run{now, bad, good},
		lines: []service.Line{{Time: noon, Kind: "stage", Stage: "image", Object: hostile}, {Time: noon, Kind: "warning", Text: hostile}, {Time: noon, Kind: "note", Text: "the third line"}},
		disks: []result.Disk{{Path: hostile, Model: hostile, Serial: hostile, Bus: hostile, Scheme: hostile, Size: 100 << 30, Warnings: []string{hostile}, Notes: []string{hostile}, Partitions: []result.Partition{
			{Number: 1, Label: hostile, TypeName: hostile, FileSystem: "ntfs", Off: 1 << 20, Size: 40 << 30, Used: 10 << 30},
			{Number: 2, Name: hostile, Off: 60 << 30, Size: 10 << 30, Whole: hostile, Warnings: []string{hostile}}}},
			{Path: "/dev/sdb", Error: "not permitted " + hostile}},
	}
}

func consoleWith(t *testing.T, f *fakeService) *Console {
	t.Helper()
	c, err := New(Options{User: hostile, Service: f})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	inline   = regexp.MustCompile(`(?i)<style|\sstyle=|<script(?:>| [^>]*[^"]>)|\son[a-z]+="|javascript:|ZgotmplZ`)
	notATag  = regexp.MustCompile(`<img|\x00|\x{202e}`)
	values   = regexp.MustCompile(` value="[^"]*"`)
	headings = regexp.MustCompile(`<h1[ >]`)
)

func TestPages(t *testing.T) {
	name := url.PathEscape(hostile)
	for path, texts := range map[string][]string{
		"/":                    {"is refused and does not run", "has had no good backup for 9 days", "Last 30 days: ", "The service has a warning.", "Places"},
		"/backups":             {"ingot definition new", "paused", "refused", "overdue"},
		"/backups/office":      {"1 day", "Resume its schedules", "/backups/office/run", "verified", "All runs"},
		"/backups/" + name:     {"Look at the run under way", "Pause its schedules", "disk gone"},
		"/backups/broken":      {"line 3: "},
		"/activity":            {"under way", "failed", "disk gone", "/activity/4", "/jobs/6", "3.0 GiB"},
		"/activity/5":          {": failed", "plug it in", "took 1 h 00 min", "not verified", "More lines"},
		"/activity/4":          {": good", "9 blocks"},
		"/activity/5?from=2":   {"the third line", "From the beginning"},
		"/jobs/6":              {`aria-valuenow="62"`, "62 %", "about 3 minutes left in this stage", "1.0 MiB/s", "the third line", "/jobs/6/cancel"},
		"/jobs/8":              {"Waits for its turn", "It has not begun."},
		"/jobs/6/cancel":       {"Finished backups are not touched.", "Cancel the run"},
		"/disks":               {"10 GiB of 40 GiB used", "30 GiB", "copied whole", "not permitted", "no serial number"},
		"/settings":            {"start, pause and cancel", "open: backups begin", "for 60 minutes"},
		"/activity?state=x&%x": {"No run is like that"},
	} {
		t.Run(path, func(t *testing.T) {
			f := full()
			if strings.Contains(path, "state=x") {
				f.runs = nil
			}
			w := get(t, consoleWith(t, f), path)
			has(t, w, http.StatusOK, texts...)
			checkPage(t, w.Body.String())
		})
	}
}

// checkPage looks for what no page may have.
func checkPage(t *testing.T, page string) {
	t.Helper()
	page = values.ReplaceAllString(page, "") // sent back as they are, and not shown
	for _, re := range []*regexp.Regexp{inline, notATag} {
		if m := re.FindStringIndex(page); m != nil {
			t.Errorf("the page has %q", page[max(0, m[0]-60):min(len(page), m[1]+60)])
		}
	}
	if n := len(headings.FindAllString(page, -1)); n != 1 {
		t.Errorf("%d headings of the first level", n)
	}
}

func TestEmptyAndAway(t *testing.T) {
	c := consoleWith(t, &fakeService{status: service.Status{Now: noon}})
	for path, text := range map[string]string{"/": "Nothing is protected yet.", "/backups": "Nothing is protected yet.", "/activity": "Nothing has run yet.", "/disks": "No disk can be seen."} {
		w := get(t, c, path)
		has(t, w, http.StatusOK, text)
		checkPage(t, w.Body.String())
	}
	away := consoleWith(t, &fakeService{err: service.ErrNotRunning})
	has(t, get(t, away, "/"), http.StatusServiceUnavailable, "The Ingot service does not answer.", "Backups may not be running.", startCommand())
	for _, path := range []string{"/backups", "/backups/x", "/activity", "/jobs/6", "/disks", "/settings"} {
		has(t, get(t, away, path), http.StatusBadGateway, "The Ingot service does not answer.")
	}
	for _, path := range []string{"/backups/none", "/activity/x", "/jobs/x", "/activity/99"} {
		if w := get(t, consoleWith(t, full()), path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestWhereRunsAreShown(t *testing.T) {
	c := consoleWith(t, full())
	for from, to := range map[string]string{"/activity/6": "/jobs/6", "/jobs/5": "/activity/5", "/jobs/5/cancel": "/activity/5"} {
		if w := get(t, c, from); w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
			t.Errorf("%s: %d %s", from, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestActivityAsksForItsFilter(t *testing.T) {
	f := full()
	get(t, consoleWith(t, f), "/activity?definition=office&state=failure&before=40")
	if want := (service.Filter{Definition: "office", State: service.Failed, Before: 40, Limit: runsOnPage}); len(f.asked) != 1 || f.asked[0] != want {
		t.Errorf("asked for %+v", f.asked)
	}
}

func TestChanges(t *testing.T) {
	for path, c := range map[string]struct{ body, did, to string }{
		"/backups/office/run":    {"type=diff", "start office diff", "/jobs/7"},
		"/backups/a%2Fb/pause":   {"", "pause a/b", "/backups/a%2Fb"},
		"/backups/office/resume": {"", "resume office", "/backups/office"},
		"/jobs/6/cancel":         {"", "cancel", "/jobs/6"},
	} {
		f := full()
		if path != "/jobs/6/cancel" {
			get(t, consoleWith(t, f), path)
		}
		if len(f.did) != 0 {
			t.Errorf("GET %s did %v", path, f.did)
		}
		w := post(t, consoleWith(t, f), path, c.body)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != c.to || len(f.did) != 1 || f.did[0] != c.did {
			t.Errorf("%s: %d %s %v", path, w.Code, w.Header().Get("Location"), f.did)
		}
	}
	f := full()
	if w := post(t, consoleWith(t, f), "/backups/office/run", "type="+url.QueryEscape(hostile)); w.Code != http.StatusBadRequest || len(f.did) != 0 {
		t.Errorf("a strange type: %d %v", w.Code, f.did)
	}
	f.err = service.ErrForbidden
	has(t, post(t, consoleWith(t, f), "/backups/office/run", ""), http.StatusForbidden, "not yours")
}

func post(t *testing.T, c *Console, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

func TestEventsArePassedOn(t *testing.T) {
	f := &fakeService{events: []service.Event{{Seq: 3, Name: "job.progress", Data: json.RawMessage(`{"run":6}`)}, {Seq: 4, Name: "x\nevent: y", Data: json.RawMessage(`{}`)}, {Seq: 5, Name: "job.done", Data: json.RawMessage("{\n}")}}}
	w := get(t, consoleWith(t, f), "/events")
	if got, want := w.Body.String(), "retry: 2000\n\nid: 3\nevent: job.progress\ndata: {\"run\":6}\n\n"; got != want || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%q", got)
	}
}

// endlessEvents never ends by itself.
type endlessEvents struct {
	*fakeService
	ended chan struct{}
}

func (e endlessEvents) Events(ctx context.Context, _ func(service.Event) error) error {
	defer close(e.ended)
	<-ctx.Done()
	return ctx.Err()
}

func TestEventsEndWithTheBrowser(t *testing.T) {
	e := endlessEvents{full(), make(chan struct{})}
	c, err := New(Options{Service: e})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil))
	<-e.ended
}

func TestScriptsAreSmall(t *testing.T) {
	total := 0
	for _, name := range []string{"ingot.js", "events.js"} {
		data, err := assets.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		total += len(data)
		for _, no := range []string{"innerHTML", "insertAdjacentHTML", "outerHTML", "DOMParser", "eval("} {
			if strings.Contains(string(data), no) {
				t.Errorf("%s has %s", name, no)
			}
		}
	}
	if total > 25<<10 {
		t.Errorf("%d bytes of script", total)
	}
}

func (placesOnly) Session(context.Context) (service.Session, error) {
	return service.Session{}, service.ErrNotRunning
}

func (*fakeRestores) Session(context.Context) (service.Session, error) {
	return service.Session{Role: service.Own}, nil
}

func (f *fakeService) AskUnlock(context.Context) (service.Code, error) {
	return service.Code{Code: "K3V9AB2Q", Until: time.Now()}, f.err
}

func (f *fakeService) Lock(context.Context) error {
	f.did = append(f.did, "lock")
	return f.err
}

func TestUnlocking(t *testing.T) {
	f := full()
	c, err := New(Options{Service: f, User: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		return w
	}
	if body := get(t, c, "/unlock").Body.String(); !strings.Contains(body, "Show me a code") {
		t.Error(body)
	}
	if w := post("/unlock"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "sudo ingot unlock K3V9AB2Q") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if get(t, c, "/lock"); len(f.did) > 0 {
		t.Error("a GET locks")
	}
	if w := post("/lock"); w.Code != http.StatusSeeOther || len(f.did) != 1 {
		t.Errorf("%d %q", w.Code, f.did)
	}
	f.err = fmt.Errorf("%w: %w", service.ErrForbidden, &service.Problem{Title: "uid 5 may not do this", Status: http.StatusForbidden})
	if w := post("/lock"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "Unlock changes") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.err = fmt.Errorf("%w: the socket", service.ErrForbidden)
	if w := post("/lock"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "usermod -aG ingot anna") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
