package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"ingot/internal/console/draft"
	"ingot/internal/plan"
	"ingot/internal/result"
	"ingot/internal/service"
)

// fakeWizard is a service with drafts, a disk and definitions in memory.
type fakeWizard struct {
	Service
	drafts  map[string]service.Draft
	count   int
	disks   []result.Disk
	place   service.PlaceCheck
	names   []string
	saved   map[string]string // XML
	started []string
	away    error
}

func (f *fakeWizard) Disks(context.Context) ([]result.Disk, error) { return f.disks, f.away }

func (f *fakeWizard) Drafts(context.Context) (out []service.Draft, err error) {
	for _, d := range f.drafts {
		out = append(out, d)
	}
	return out, f.away
}

func (f *fakeWizard) Draft(_ context.Context, id string) (service.Draft, error) {
	d, ok := f.drafts[id]
	if !ok {
		return d, &service.Problem{Title: "there is no such draft", Status: http.StatusNotFound, Code: "no-draft"}
	}
	return d, nil
}

func (f *fakeWizard) NewDraft(_ context.Context, kind string, data any) (service.Draft, error) {
	return f.put("d1", kind, data)
}

func (f *fakeWizard) put(id, kind string, data any) (service.Draft, error) {
	raw, err := json.Marshal(data)
	f.count++
	d := service.Draft{ID: id, Kind: kind, Version: fmt.Sprintf(`"%d"`, f.count), Data: raw}
	f.drafts[id] = d
	return d, err
}

func (f *fakeWizard) SaveDraft(_ context.Context, id, version string, data any) (service.Draft, error) {
	if f.drafts[id].Version != version {
		return service.Draft{}, &service.Problem{Title: "the draft was changed meanwhile", Status: http.StatusPreconditionFailed, Code: "changed"}
	}
	return f.put(id, draft.Kind, data)
}

func (f *fakeWizard) DeleteDraft(_ context.Context, id string) error {
	delete(f.drafts, id)
	return nil
}

func (f *fakeWizard) CheckPlace(_ context.Context, path string, _ []string) (service.PlaceCheck, error) {
	p := f.place
	p.Path = path
	return p, nil
}

func (f *fakeWizard) Status(context.Context) (st service.Status, err error) {
	for _, name := range f.names {
		st.Definitions = append(st.Definitions, service.DefinitionStatus{Name: name})
	}
	return st, nil
}

func (f *fakeWizard) Session(context.Context) (service.Session, error) {
	return service.Session{Who: "root", Role: service.Own}, nil
}

func (f *fakeWizard) Document(context.Context, string) (service.Document, error) {
	return service.Document{}, errors.New("not now")
}

func (f *fakeWizard) SaveDocument(_ context.Context, name, _ string, xml []byte) (service.Document, error) {
	if f.saved[name] != "" {
		return service.Document{}, &service.Problem{Title: "exists", Status: http.StatusPreconditionFailed, Code: "exists"}
	}
	f.saved[name] = string(xml)
	return service.Document{}, nil
}

func (f *fakeWizard) Start(_ context.Context, name string, _ plan.Type) (service.Run, error) {
	f.started = append(f.started, name)
	return service.Run{}, nil
}

const hostileLabel = "<img onerror=x>\x00\u202e"

func wizardConsole(t *testing.T) (*Console, *fakeWizard) {
	t.Helper()
	f := &fakeWizard{drafts: map[string]service.Draft{}, saved: map[string]string{}, disks: []result.Disk{{
		Path: "/dev/sda", ID: "11111111-2222-3333-4444-555555555555", Serial: "S1", Model: hostileLabel, Size: 500 << 30, Scheme: "gpt",
		Partitions: []result.Partition{
			{Number: 1, Off: 1 << 20, Size: 300 << 20, Used: 30 << 20, Flags: []string{"ESP"}, FileSystem: "FAT32"},
			{Number: 2, Off: 400 << 20, Size: 400 << 30, Used: 200 << 30, FileSystem: "ext4", Label: hostileLabel},
		},
	}}, place: service.PlaceCheck{Free: 1 << 40, FSType: "ext4", Steps: []service.PlaceStep{{Name: service.StepFound}, {Name: service.StepApart}}}}
	c, err := New(Options{Service: f})
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

// browser goes through pages as one without script does.
type browser struct {
	*testing.T
	c          *Console
	at, page   string
	lastStatus int
}

func (b *browser) open(path string) {
	b.Helper()
	path, _, _ = strings.Cut(path, "#")
	w := get(b.T, b.c, path)
	for range 3 {
		if w.Code != http.StatusSeeOther {
			break
		}
		path, _, _ = strings.Cut(w.Header().Get("Location"), "#")
		w = get(b.T, b.c, path)
	}
	b.at, b.page, b.lastStatus = path, w.Body.String(), w.Code
	if strings.Contains(b.page, "<img") || strings.Contains(b.page, "\x00") || strings.Contains(b.page, "\u202e") {
		b.Errorf("%s: a label is not text", path)
	}
	for _, inline := range []string{" style=", "<style", "onclick"} {
		if strings.Contains(b.page, inline) {
			b.Errorf("%s has %s", path, inline)
		}
	}
	for id := range strings.SplitSeq(strings.Join(regexp.MustCompile(`(?:aria-describedby|aria-labelledby|for)="([^"]+)"`).FindAllString(b.page, -1), " "), `"`) {
		if strings.HasSuffix(id, "=") || strings.TrimSpace(id) == "" {
			continue
		}
		for one := range strings.FieldsSeq(id) {
			if !strings.Contains(b.page, ` id="`+one+`"`) {
				b.Errorf("%s names %q, which is not there", path, one)
			}
		}
	}
}

var fieldPattern = regexp.MustCompile(`<(input|select|textarea)\b[^>]*>`)

// form is what the page would send: names and values of its fields.
func (b *browser) form() url.Values {
	out := url.Values{}
	body, _, _ := strings.Cut(b.page[strings.Index(b.page, `id="wiz"`):], "</form>")
	attr := func(tag, name string) (string, bool) {
		m := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
		if m == nil {
			return "", false
		}
		return strings.NewReplacer("&#43;", "+", "&lt;", "<", "&gt;", ">", "&#34;", `"`, "&#39;", "'", "&amp;", "&").Replace(m[1]), true
	}
	for _, at := range fieldPattern.FindAllStringIndex(body, -1) {
		tag := body[at[0]:at[1]]
		name, _ := attr(tag, "name")
		value, _ := attr(tag, "value")
		kind, _ := attr(tag, "type")
		switch {
		case strings.HasPrefix(tag, "<select"):
			list, _, _ := strings.Cut(body[at[1]:], "</select>")
			m := regexp.MustCompile(`<option(?: value="([^"]*)")? selected>([^<]*)`).FindStringSubmatch(list)
			if m != nil {
				out.Add(name, m[1])
				if m[1] == "" && !strings.Contains(m[0], "value=") {
					out.Set(name, m[2])
				}
			}
		case strings.HasPrefix(tag, "<textarea"):
			value, _, _ := strings.Cut(body[at[1]:], "</textarea>")
			out.Add(name, value)
		case (kind == "checkbox" || kind == "radio") && !strings.Contains(tag, " checked"):
		default:
			out.Add(name, value)
		}
	}
	return out
}

// press presses a button of the page, after a change of its fields.
func (b *browser) press(do string, change func(url.Values)) {
	b.Helper()
	f := b.form()
	if change != nil {
		change(f)
	}
	f.Set("do", do)
	b.send(b.at, f)
}

func (b *browser) send(path string, f url.Values) {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	b.c.ServeHTTP(w, r)
	if w.Code != http.StatusSeeOther {
		b.page, b.lastStatus = w.Body.String(), w.Code
		return
	}
	b.open(w.Header().Get("Location"))
}

func (b *browser) sees(texts ...string) {
	b.Helper()
	for _, text := range texts {
		if !strings.Contains(b.page, text) {
			b.Errorf("%s does not say %q", b.at, text)
		}
	}
}

func (b *browser) isAt(path string) {
	b.Helper()
	if b.at != path {
		b.Fatalf("at %s, not %s:\n%s", b.at, path, b.page)
	}
}

// beginWizard is a browser at the first step.
func beginWizard(t *testing.T) (*browser, *fakeWizard) {
	t.Helper()
	c, f := wizardConsole(t)
	b := &browser{T: t, c: c}
	b.open("/backups/new")
	b.sees("Five steps")
	b.send("/backups/new", url.Values{})
	b.isAt("/backups/new/d1/what")
	return b, f
}

const wholeDisk = "11111111-2222-3333-4444-555555555555/S1"

// All five steps are done with forms alone, and what is saved is what the summary
// showed.
func TestWizardWithoutScript(t *testing.T) {
	b, f := beginWizard(t)
	b.press("none", nil)
	b.press("next", nil)
	b.sees("Tick at least one partition.", "This has to be mended first", "autofocus")
	b.press("stay", func(f url.Values) { f.Set("disk", wholeDisk) })
	b.sees("2 of 2", "about 120 GiB")
	b.press("next", nil)
	b.isAt("/backups/new/d1/where")
	b.press("next", nil)
	b.sees("Name a folder for the backups.", `aria-invalid="true"`)
	b.press("next", func(f url.Values) { f.Set("place", "/mnt/usb") })
	b.isAt("/backups/new/d1/when")
	b.press("next", func(f url.Values) { f.Set("inc-at", "25:00") })
	b.sees("is no time of the day: write it as 21:00.", `value="25:00"`)
	b.press("stay", func(f url.Values) { f.Set("inc-at", "22:15") })
	b.sees("What you will have", `class="cal"`, "still to come")
	b.press("next", nil)
	b.isAt("/backups/new/d1/options")
	b.sees("ingot definition password")
	b.press("next", func(f url.Values) { f.Set("exclude", "*.iso\r\nUsers/**") })
	b.isAt("/backups/new/d1/summary")
	b.sees("all of sda", "/mnt/usb", "sudo ingot run")
	var d draft.Draft
	if err := json.Unmarshal(f.drafts["d1"].Data, &d); err != nil {
		t.Fatal(err)
	}
	want, _ := d.Definition()
	b.press("run", func(f url.Values) { f.Set("name", "Nightly") })
	want.Name = "Nightly"
	xml, err := (&plan.File{Definition: *want}).Encode()
	if err != nil || f.saved["Nightly"] != string(xml) || len(f.started) != 1 || len(f.drafts) != 0 {
		t.Errorf("%v\n%s\n%s\n%v", err, f.saved["Nightly"], xml, f.started)
	}
	if len(want.Options.Exclude) != 2 || want.Schedules[2].At.String() != "22:15" {
		t.Errorf("%+v", want)
	}
}

func TestWizardAsksOnce(t *testing.T) {
	b, _ := beginWizard(t)
	part := wholeDisk + "@419430400"
	b.press("next", func(f url.Values) { f.Del("windows"); f.Set("part", part) })
	b.isAt("/backups/new/d1/what?said=1")
	b.sees("is ticked without EFI, which it starts from. Restored to an empty disk it would not start.", "Tick EFI too", "Nothing here stops you")
	b.press("efi "+wholeDisk+"@1048576", nil)
	b.sees("2 of 2")
	b.press("stay", func(f url.Values) { f["part"] = []string{part} })
	b.press("next", nil)
	b.isAt("/backups/new/d1/where")
	// Back, and on again: it was asked.
	b.press("back", nil)
	b.isAt("/backups/new/d1/what")
	b.press("next", nil)
	b.isAt("/backups/new/d1/where")
}

func TestWizardTwoTabs(t *testing.T) {
	b, f := beginWizard(t)
	other := *b
	b.press("next", func(f url.Values) { f.Set("disk", wholeDisk) })
	other.press("none", nil)
	if other.lastStatus != http.StatusConflict {
		t.Errorf("%d", other.lastStatus)
	}
	other.sees("It was changed meanwhile.", "/backups/new/d1/what")
	var d draft.Draft
	if err := json.Unmarshal(f.drafts["d1"].Data, &d); err != nil || len(d.Disks) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	b.open("/backups/new")
	b.sees("Begun and not finished", "at step Where")
	b.open("/backups/new/d1/summary") // not before the steps that lead there
	b.isAt("/backups/new/d1/where")
	b.press("discard", nil)
	if len(f.drafts) != 0 {
		t.Error("the draft is still there")
	}
	b.open("/backups/new/d1/what")
	if b.lastStatus != http.StatusNotFound {
		t.Errorf("%d", b.lastStatus)
	}
}

func TestWizardTemplatesAndNames(t *testing.T) {
	b, f := beginWizard(t)
	b.press("next", func(f url.Values) { f.Set("disk", wholeDisk) })
	b.press("next", func(f url.Values) { f.Set("place", "/mnt/usb") })
	for _, name := range []string{"differential", "incremental", "forever", "", "gfs"} {
		// Another template is shown before anybody goes on with it.
		b.press("next", func(f url.Values) { f.Set("template", name) })
		b.isAt("/backups/new/d1/when")
		b.sees(`value="` + name + `" checked`)
	}
	for _, day := range []string{"0", "188", "-5", "9999", "x"} {
		b.open("/backups/new/d1/when?day=" + day)
		b.sees("restore points", "What you will have")
	}
	b.open("/backups/new/d1/when")
	b.press("next", nil)
	b.press("next", nil)
	b.isAt("/backups/new/d1/summary")
	f.names = []string{"Taken"}
	b.press("save", func(f url.Values) { f.Set("name", "Taken") })
	b.sees("A backup with this name exists.")
	// One that is made while the page is open.
	f.saved["Late"] = "x"
	b.press("save", func(f url.Values) { f.Set("name", "Late") })
	b.isAt("/backups/new/d1/summary?said=1")
	// Another step has become wrong since.
	f.place.Steps = []service.PlaceStep{{Name: service.StepFound, Error: "no such file"}}
	b.press("save", func(f url.Values) { f.Set("name", "Fine") })
	b.sees("There is no folder /mnt/usb", "Step Where")
	if len(f.saved) != 1 {
		t.Errorf("%v", f.saved)
	}
}

func TestWizardWithoutDisks(t *testing.T) {
	b, f := beginWizard(t)
	f.away = errors.New("nobody answers")
	b.open("/backups/new/d1/what")
	b.sees("The disks cannot be listed", "nobody answers")
	b.open("/backups/new")
	if b.lastStatus == http.StatusOK {
		t.Error("the list of drafts cannot be read")
	}
}
