package console

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ingot/internal/result"
	"ingot/internal/service"
)

// fakeRestores is a service with two disks, of which one may be overwritten.
type fakeRestores struct {
	Service
	fingerprint string
	began       []service.Errand
}

func (f *fakeRestores) Disks(context.Context) ([]result.Disk, error) {
	return []result.Disk{
		{Path: "/dev/sda", Model: "WD Black", Size: 500e9, Serial: "SYSTEM01", Partitions: []result.Partition{{Number: 1, Label: "Windows"}}},
		{Path: "/dev/sdb", Model: "Samsung <b>870", Size: 1000e9, Serial: "S6PUNX0R917Q3F"},
	}, nil
}

func (f *fakeRestores) Foresee(_ context.Context, e service.Errand) (result.Restore, error) {
	if e.Target != "/dev/sdb" {
		return result.Restore{}, errors.New(e.Target + " is in use: it has the system")
	}
	holds := []result.Extent{{Number: 1, Name: "EFI", Off: 1 << 20, Size: 1 << 28}, {Number: 3, Name: "Windows", Off: 1 << 29, Size: 1 << 30}}
	if len(e.Partitions) == 1 {
		holds = holds[1:]
	}
	return result.Restore{
		Status: "dry run", Target: e.Target, Bytes: 5 << 30, Fingerprint: f.fingerprint, Table: true, Holds: holds,
		Disk: &result.Disk{Path: "/dev/sdb", Model: "Samsung <b>870", Serial: "S6PUNX0R917Q3F", Size: 1000e9},
		Lost: []result.Partition{{Number: 1, Name: "Photos", Size: 900 << 30}},
	}, nil
}

func (f *fakeRestores) Errand(_ context.Context, e service.Errand) (service.Run, error) {
	f.began = append(f.began, e)
	return service.Run{ID: 41}, nil
}

func restoreConsole(t *testing.T) (*Console, *fakeRestores) {
	t.Helper()
	f := &fakeRestores{fingerprint: "0123456789abcdef0123456789abcdef"}
	c, err := New(Options{Service: f})
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

const ofImage = "folder=%2Fmnt%2Fb&file=A-00-00.mrimgx"

func TestStepsOfARestore(t *testing.T) {
	c, _ := restoreConsole(t)
	for path, want := range map[string][]string{
		"/restore/disk?" + ofImage:                                 {"Which disk is to be overwritten?", "Cannot be chosen: <bdi>/dev/sda is in use: it has the system", "Samsung &lt;b&gt;870", "target=%2Fdev%2Fsdb", `aria-current="step"`},
		"/restore/layout?" + ofImage + "&target=/dev/sdb":          {`name="number" value="3" checked`, "Everything on /dev/sdb is lost: 1 partition.", "Photos", "not possible yet", "/restore/options?"},
		"/restore/layout?" + ofImage + "&target=/dev/sdb&number=3": {`name="number" value="1"> `, `name="number" value="3" checked`, "number=3"},
		"/restore/layout?" + ofImage + "&target=/dev/sda":          {"/dev/sda is in use"},
		"/restore/options?" + ofImage + "&target=/dev/sdb":         {`name="verify" value="yes" checked`, `name="check" value="yes" checked`, "not possible yet"},
		"/restore/confirm?" + ofImage + "&target=/dev/sdb&verify=yes&check=yes&number=3": {
			"last four characters", "<bdi>S6PUNX0R91</bdi><b><bdi>7Q3F</bdi></b>", `name="expect" value="0123456789abcdef`, "Every block of the image is read", "read back and compared", `name="number" value="3"`,
		},
	} {
		w := get(t, c, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
		for _, s := range want {
			if !strings.Contains(w.Body.String(), s) {
				t.Errorf("%s has no %q:\n%s", path, s, w.Body)
			}
		}
	}
	if body := get(t, c, "/restore/layout?"+ofImage+"&target=/dev/sda").Body.String(); strings.Contains(body, "/restore/options?") {
		t.Error("a disk that may not be chosen leads on")
	}
	for _, path := range []string{"/restore/disk?folder=b&file=x", "/restore/disk?folder=/b", "/restore/layout?" + ofImage + "&target=sdb", "/restore/layout?" + ofImage + "&number=x"} {
		if w := get(t, c, path); w.Code == http.StatusOK || w.Code == http.StatusSeeOther {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestNothingIsRestoredWithoutTheWord(t *testing.T) {
	c, f := restoreConsole(t)
	post := func(change func(url.Values)) *httptest.ResponseRecorder {
		v := url.Values{
			"folder": {"/mnt/b"}, "file": {"A-00-00.mrimgx"}, "target": {"/dev/sdb"}, "number": {"3"}, "check": {"yes"},
			"expect": {"0123456789abcdef0123456789abcdef"}, "typed": {"7q3f"},
		}
		change(v)
		q := httptest.NewRequest(http.MethodPost, "/restore/run", strings.NewReader(v.Encode()))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, q)
		return w
	}
	for name, change := range map[string]func(url.Values){
		"a wrong word":       func(v url.Values) { v.Set("typed", "YES!") },
		"no word":            func(v url.Values) { v.Del("typed") },
		"an old fingerprint": func(v url.Values) { v.Set("expect", strings.Repeat("0", 32)) },
		"no fingerprint":     func(v url.Values) { v.Del("expect") },
		"another disk":       func(v url.Values) { v.Set("target", "/dev/sda") },
	} {
		if w := post(change); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), `role="alert"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	f.fingerprint = strings.Repeat("f", 32)
	if w := post(func(url.Values) {}); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "no longer what you looked at") {
		t.Errorf("another disk in its place: %d", w.Code)
	}
	if len(f.began) > 0 {
		t.Fatalf("%+v", f.began)
	}
	f.fingerprint = "0123456789abcdef0123456789abcdef"
	if w := post(func(url.Values) {}); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/jobs/41" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	want := service.Errand{Verb: "restore", From: "/mnt/b/A-00-00.mrimgx", Target: "/dev/sdb", Partitions: []int{3}, Check: true, Expect: f.fingerprint}
	if len(f.began) != 1 || f.began[0].From != want.From || f.began[0].Target != want.Target || f.began[0].Expect != want.Expect || len(f.began[0].Partitions) != 1 || !f.began[0].Check {
		t.Errorf("%+v", f.began)
	}
	if w := get(t, c, "/restore/run?"+ofImage); w.Code == http.StatusOK || len(f.began) != 1 {
		t.Errorf("a GET: %d", w.Code)
	}
}
