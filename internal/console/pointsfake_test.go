package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ingot/internal/query"
	"ingot/internal/result"
	"ingot/internal/service"
)

// hostile is what a name may be, at the worst.
const hostile = "<img src=x onerror=alert(1)>\u202e\x00\n\"'&"

// fakeImages answers from memory. Encrypted images open with "right".
type fakeImages struct {
	folders   map[string]result.Folder
	parts     []result.ImagePartition
	files     []result.File
	listErr   error
	show      result.Image
	versions  []result.Version
	contents  func() io.ReadCloser
	encrypted map[string]bool // images
	password  string
	asked     *[]string
}

func (f fakeImages) With(password string) (Images, error) {
	if f.password = password; password == "" {
		return nil, &query.Error{Text: "no password", Code: query.CodePassword}
	}
	return f, nil
}

func (f fakeImages) open(what, image string) error {
	if f.asked != nil {
		*f.asked = append(*f.asked, what+" "+image+" "+f.password)
	}
	if f.encrypted[image] && f.password != "right" {
		return &query.Error{Text: "wrong password or none", Code: query.CodePassword}
	}
	return nil
}

func (f fakeImages) Sets(_ context.Context, folder string) (result.Folder, error) {
	if r, ok := f.folders[folder]; ok {
		return r, nil
	}
	return result.Folder{}, &query.Error{Text: "open " + folder + ": no such folder " + hostile, Hint: "look again", Code: 1}
}

func (f fakeImages) Partitions(_ context.Context, image string) ([]result.ImagePartition, error) {
	return f.parts, f.open("partitions", image)
}

func (f fakeImages) Show(_ context.Context, image string) (result.Image, error) {
	return f.show, f.open("show", image)
}

func (f fakeImages) List(_ context.Context, image, partition, path string, limit int) ([]result.File, bool, error) {
	if err := f.open("list", image); err != nil {
		return nil, false, err
	}
	n := min(limit, len(f.files))
	return f.files[:n], n < len(f.files), f.listErr
}

func (f fakeImages) Versions(_ context.Context, folder, partition, path string) ([]result.Version, error) {
	return f.versions, nil
}

func (f fakeImages) Read(_ context.Context, image, partition, path string) (io.ReadCloser, error) {
	if err := f.open("read "+partition+"/"+path, image); err != nil {
		return nil, err
	}
	return f.contents(), nil
}

// chainOf makes a set of n points, a day apart, the last one today.
func chainOf(id string, n int) result.Set {
	s := result.Set{ID: id, Host: "STUDIO-PC", Size: int64(n) << 20}
	for i := range n {
		p := result.Point{File: fmt.Sprintf("%s-%02d.mrimgx", id, i), Type: "inc", Time: time.Now().AddDate(0, 0, i-n+1), Size: 1 << 20, Files: []string{id + "-00.mrimgx"}}
		if i == 0 {
			p.Type = "full"
		} else {
			p.Files = append(p.Files, p.File)
		}
		s.Points = append(s.Points, p)
	}
	return s
}

// consoleOf is a console over a fake.
func consoleOf(t *testing.T, f fakeImages) *Console {
	t.Helper()
	c, err := New(Options{User: "anna", Images: f})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pointed asks for a page about the folder /b.
func pointed(t *testing.T, c *Console, page string, kv ...string) *httptest.ResponseRecorder {
	t.Helper()
	v := url.Values{"folder": {"/b"}}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	w := get(t, c, page+"?"+v.Encode())
	if body := w.Body.String(); strings.Contains(body, "<img") || strings.Contains(body, "\x00") || strings.Contains(body, "\u202e") || strings.Contains(body, " style=") || strings.Count(body, "<h1") > 1 {
		t.Errorf("%s %v is no clean page:\n%s", page, kv, body)
	}
	return w
}

// has checks that a page says all of some texts.
func has(t *testing.T, w *httptest.ResponseRecorder, status int, texts ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d", w.Code, status)
	}
	for _, s := range texts {
		if !strings.Contains(w.Body.String(), s) {
			t.Errorf("the page does not say %q:\n%s", s, w.Body)
		}
	}
}

func TestPointsWithoutAFolder(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	has(t, get(t, c, "/points"), 200, "Open a folder with images", `name="folder"`)
	has(t, get(t, c, "/points?folder=backup"), 400, "name the folder by its whole path")
	has(t, get(t, c, "/points?folder=/b"), 400, "no way to look into images")
	has(t, get(t, c, "/browse?folder=/b&file=x"), 502, "no way to look into images")
	has(t, get(t, c, "/browse?folder=/b&file=../x"), 400, "not whole")
	has(t, get(t, c, "/browse?folder=/b&file=x&part=a/b"), 400, "not whole")
}

func TestPointsOfAFolder(t *testing.T) {
	broken := chainOf("B", 3)
	broken.Host, broken.Orphans = hostile, []string{hostile}
	broken.Points[2].Missing = "B-02.mrimgx needs B-01b.mrimgx " + hostile
	f := fakeImages{folders: map[string]result.Folder{
		"/b": {
			Sets: []result.Set{chainOf("A", 24), broken}, Broken: []result.Broken{{File: hostile, Error: hostile}},
			Windows: []result.WindowsImage{{Computer: hostile, Folder: "/b/W", Begun: time.Now(), Volumes: []result.WindowsVolume{{Name: "C:", File: `E:\W\` + hostile, Size: 5 << 30}}, Problems: []string{hostile}}},
		},
		"/empty": {},
	}}
	c := consoleOf(t, f)
	w := pointed(t, c, "/points")
	has(t, w, 200, "27 points of STUDIO-PC and &lt;img", "1 cannot be restored: files are missing.", "B-02.mrimgx needs B-01b.mrimgx", "Still whole: ",
		"Files that cannot be read", "System images that Windows made", "of no use by itself", "5.0 GiB", "␊")
	if links, rows := strings.Count(w.Body.String(), `class="tp`), strings.Count(w.Body.String(), `<tr><th scope="row"><a href="/points/point?file=`); links != 27 || rows != 27 {
		t.Errorf("%d points on the timeline, %d in the table", links, rows)
	}
	if strings.Contains(strings.ToLower(w.Body.String()), "verified") {
		t.Error("the page claims what nobody knows")
	}
	has(t, get(t, c, "/points?folder=/empty"), 200, "No restore point here yet.", "opened before")
	has(t, pointed(t, c, "/points", "folder", "/nowhere"), 502, "no such folder", "look again", `name="folder"`)
}

func TestThousandsOfPointsAreBounded(t *testing.T) {
	var fulls []result.Set
	for i := range 100 {
		fulls = append(fulls, chainOf(fmt.Sprintf("F%d", i), 1))
	}
	c := consoleOf(t, fakeImages{folders: map[string]result.Folder{"/b": {Sets: []result.Set{chainOf("A", 2000)}}, "/fulls": {Sets: fulls}}})
	seen := map[string]bool{}
	for page, pages := "/points?folder=%2Fb", 0; page != ""; pages++ {
		w := get(t, c, page)
		if w.Body.Len() > 600<<10 || pages > 10 {
			t.Fatalf("%s has %d bytes, page %d", page, w.Body.Len(), pages)
		}
		has(t, w, 200, "2000 points of STUDIO-PC")
		for _, m := range regexp.MustCompile(`<th scope="row"><a href="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
			if seen[m[1]] {
				t.Fatalf("%s is there twice", m[1])
			}
			seen[m[1]] = true
		}
		next := regexp.MustCompile(`href="([^"]*)">Older points`).FindStringSubmatch(w.Body.String())
		if page = ""; next != nil {
			page = strings.ReplaceAll(next[1], "&amp;", "&")
		}
	}
	if len(seen) != 2000 {
		t.Errorf("%d points on all pages", len(seen))
	}
	w := get(t, c, "/points?folder=/fulls&from=90")
	if n := strings.Count(w.Body.String(), `class="tp`); n != 10 {
		t.Errorf("%d points on the last page", n)
	}
	has(t, get(t, c, "/points?folder=/fulls&from=9999999"), 200, "100 points")
}

func TestPoint(t *testing.T) {
	s := chainOf("A", 3)
	s.Encrypt, s.Disk = "aes-256", hostile
	s.Points[2].Files = []string{"A-00.mrimgx", "A-01.mrimgx", "part.mrimgx", "A-02.mrimgx"}
	s.Points[1].Missing = hostile
	c := consoleOf(t, fakeImages{
		folders: map[string]result.Folder{"/b": {Sets: []result.Set{s}}},
		parts:   []result.ImagePartition{{Partition: "3", Label: hostile, FileSystem: "NTFS", Size: 5 << 30, Readable: true}, {Partition: "2", Reason: "no known file system"}},
		show:    result.Image{Disks: []result.Disk{{Partitions: []result.Partition{{Number: 3, Used: 3 << 30}}}}},
	})
	has(t, pointed(t, c, "/points/point", "file", "A-02.mrimgx"), 200, "the full of ", "1 incremental, 1 other file", "aes-256", "Browse files", "no known file system",
		"ingot verify /b/A-02.mrimgx", "ingot mount /b/A-02.mrimgx", "5.0 GiB", "3.0 GiB", "part=3")
	w := pointed(t, c, "/points/point", "file", "A-01.mrimgx")
	has(t, w, 200, "It cannot be restored", "&lt;img")
	if strings.Contains(w.Body.String(), "Browse files") || strings.Contains(w.Body.String(), "ingot restore") {
		t.Error("files can be browsed that cannot be had")
	}
	has(t, pointed(t, c, "/points/point", "file", "C.mrimgx"), 502, "C.mrimgx is no restore point")
	has(t, pointed(t, c, "/points/point"), 200, "Windows system image", "ingot ls /b")
}

func TestBrowse(t *testing.T) {
	changed := time.Date(2026, 11, 20, 21, 4, 0, 0, time.Local)
	f := fakeImages{files: []result.File{
		{Path: "Users/" + hostile, Type: "folder"},
		{Path: "Users/x?", PathHex: "55736572732f78ff", Type: "file", Size: 5 << 20, Modified: &changed, Attributes: []string{"hidden"}},
		{Path: "Users/link", Type: "link", Target: hostile, Error: hostile},
	}}
	c := consoleOf(t, f)
	w := pointed(t, c, "/browse", "file", "a.mrimgx", "part", "3", "path", "Users/.//")
	has(t, w, 200, "Partition 3", "5.0 MiB", "20 Nov 2026, 21:04", "hidden", "leads to", "path=Users%2Fx%FF", "This point", "/browse/versions?")
	has(t, pointed(t, c, "/browse", "file", "a.mrimgx"), 303)

	f.listErr = &query.Error{Text: "read folder: damaged " + hostile, Code: 6}
	has(t, pointed(t, consoleOf(t, f), "/browse", "file", "a.mrimgx", "part", "3"), 200, "Not all of this folder can be read", "damaged", "leads to")
	f.files, f.listErr = []result.File{{Path: "a/b", Error: "read index: damaged " + hostile}}, nil
	w = pointed(t, consoleOf(t, f), "/browse", "file", "a.mrimgx", "part", "3", "path", "a/b")
	has(t, w, 502, "This folder cannot be read", "damaged", "Partition 3")
	if strings.Contains(w.Body.String(), "This folder is empty") {
		t.Error("an unreadable folder is said to be empty")
	}
	f.files, f.listErr = nil, &query.Error{Text: "read folder: damaged " + hostile, Code: 6}
	has(t, pointed(t, consoleOf(t, f), "/browse", "file", "a.mrimgx", "part", "3", "path", "a/b"), 502, "This folder cannot be read", "Partition 3")
	has(t, pointed(t, consoleOf(t, f), "/browse", "file", "a.mrimgx", "part", "3"), 502, "That did not work.", "damaged")
}

func TestBrowseIsBounded(t *testing.T) {
	f := fakeImages{}
	for i := range 1100 {
		f.files = append(f.files, result.File{Path: fmt.Sprintf("f%04d", i), Type: "file"})
	}
	c := consoleOf(t, f)
	for from, want := range map[string]int{"": 500, "500": 500, "1000": 100, "-4": 500, "7000": 0} {
		w := pointed(t, c, "/browse", "file", "a", "part", "1", "from", from)
		if n := strings.Count(w.Body.String(), ">Versions<"); n != want {
			t.Errorf("from %s: %d files, want %d", from, n, want)
		}
		if more := strings.Contains(w.Body.String(), ">More</a>"); more != (want == 500) {
			t.Errorf("from %s: more %v", from, more)
		}
	}
}

func TestVersions(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 9, 0, 0, 0, time.Local) }
	c := consoleOf(t, fakeImages{versions: []result.Version{
		{Disk: "D", Partition: "3", Status: "absent", First: day(1), Last: day(2), Image: "a.mrimgx", Points: 2},
		{Disk: "D", Partition: "3", Status: "present", Path: "xy", Type: "file", Version: 1, Size: 3 << 20, First: day(3), Last: day(3), Image: "b.mrimgx", Points: 1},
		{Disk: "D", Partition: "3", Status: "unreadable", Error: hostile, First: day(4), Last: day(4), Image: "c.mrimgx", Points: 1},
	}})
	w := pointed(t, c, "/browse/versions", "file", "a.mrimgx", "part", "3", "path", "xy")
	has(t, w, 200, "Versions of", "not there", "version 1", "3.0 MiB", "cannot be read", "/browse/file?file=b.mrimgx&amp;folder=%2Fb&amp;part=3&amp;path=xy", "Sun 1 Nov 2026, 09:00 to Mon 2 Nov")
}

func TestPasswordIsAskedForAndKept(t *testing.T) {
	var asked []string
	f := fakeImages{
		folders:   map[string]result.Folder{"/b": {Sets: []result.Set{chainOf("A", 2), chainOf("B", 1)}}},
		parts:     []result.ImagePartition{{Partition: "1", Readable: true}},
		encrypted: map[string]bool{"/b/A-00.mrimgx": true, "/b/A-01.mrimgx": true, "/b/B-00.mrimgx": true},
		asked:     &asked,
	}
	c := consoleOf(t, f)
	has(t, pointed(t, c, "/points/point", "file", "A-00.mrimgx"), 200, "This set is encrypted", "Enter its password")
	w := pointed(t, c, "/browse", "file", "A-00.mrimgx", "part", "1", "path", "x\xff")
	if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/points/password?") {
		t.Fatalf("%d %s", w.Code, w.Header())
	}
	has(t, get(t, c, w.Header().Get("Location")), 200, `type="password"`, "A-00.mrimgx")
	post := func(password string) *httptest.ResponseRecorder {
		form := url.Values{"password": {password}}
		r := httptest.NewRequest(http.MethodPost, w.Header().Get("Location"), strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if password != "" && strings.Contains(w.Body.String()+fmt.Sprint(w.Header()), password) {
			t.Errorf("the password is in the answer: %s", w.Body)
		}
		return w
	}
	has(t, post("secret-and-wrong"), 403, "That is not the password of this set.")
	has(t, post(""), 403, "That is not the password")
	if w := post("right"); w.Code != 303 || w.Header().Get("Location") != "/browse?file=A-00.mrimgx&folder=%2Fb&part=1&path=x%FF" {
		t.Fatalf("%d %s", w.Code, w.Header())
	}
	has(t, pointed(t, c, "/points/point", "file", "A-01.mrimgx"), 200, "Browse files")
	asked = nil
	has(t, pointed(t, c, "/points/point", "file", "B-00.mrimgx"), 200, "Enter its password")
	if strings.Contains(strings.Join(asked, ","), "right") {
		t.Errorf("the password of one set was tried on another one: %v", asked)
	}
	if w := get(t, c, "/points/password?folder=/b&file=B-00.mrimgx&password=right"); w.Code != 200 || strings.Contains(w.Body.String(), "right") {
		t.Errorf("a password in the address: %d", w.Code)
	}
}

// failing gives some bytes and then an error.
type failing struct {
	io.Reader
	err    error
	closed bool
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) && f.err != nil {
		err = f.err
	}
	return n, err
}

func (f *failing) Close() error { f.closed = true; return nil }

func TestDownload(t *testing.T) {
	damaged := &query.Error{Text: "block 7 is damaged", Code: 3}
	for _, c := range []struct {
		size int
		err  error
	}{{0, nil}, {10, nil}, {256 << 10, nil}, {256<<10 + 1, nil}, {3 << 20, nil}, {0, damaged}, {10, damaged}, {256 << 10, damaged}, {3 << 20, damaged}, {3 << 20, io.ErrUnexpectedEOF}} {
		want := bytes.Repeat([]byte("ingot"), c.size/5+1)[:c.size]
		f := &failing{Reader: bytes.NewReader(want), err: c.err}
		server := httptest.NewServer(consoleOf(t, fakeImages{contents: func() io.ReadCloser { return f }}))
		resp, err := http.Get(server.URL + "/browse/file?folder=/b&file=a&part=3&path=Users/B%C3%A4r+%22x%22.doc")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		server.Close()
		switch {
		case !f.closed:
			t.Errorf("%d bytes, %v: not closed", c.size, c.err)
		case c.err == nil && (err != nil || !bytes.Equal(got, want)):
			t.Errorf("%d bytes: %d came, %v", c.size, len(got), err)
		case c.err != nil && err == nil && resp.StatusCode == 200:
			t.Errorf("%d bytes with %v: a whole answer", c.size, c.err)
		}
		if c.err == nil {
			h := resp.Header
			if h.Get("Content-Type") != "application/octet-stream" || h.Get("Content-Security-Policy") != "sandbox" ||
				h.Get("Content-Disposition") != `attachment; filename="B_r _x_.doc"; filename*=UTF-8''B%C3%A4r%20%22x%22.doc` {
				t.Errorf("%v", h)
			}
		}
	}
}

// endless gives zeros until it is closed.
type endless struct{ closed chan struct{} }

func (e endless) Read(p []byte) (int, error) { return len(p), nil }

func (e endless) Close() error { close(e.closed); return nil }

func TestDownloadEndsWithTheBrowser(t *testing.T) {
	e := endless{make(chan struct{})}
	server := httptest.NewServer(consoleOf(t, fakeImages{contents: func() io.ReadCloser { return e }}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/browse/file?folder=/b&file=a&part=3&path=x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-e.closed
}

func TestAttachmentNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt":      `attachment; filename="a.txt"; filename*=UTF-8''a.txt`,
		"a\r\nb: c":  `attachment; filename="a__b_ c"; filename*=UTF-8''a%E2%90%8D%E2%90%8Ab%3A%20c`,
		"\xff\u202e": `attachment; filename="__"; filename*=UTF-8''%EF%BF%BD%EF%BF%BD`,
	} {
		if got := attachment(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// placesOnly is a service that knows of one definition.
type placesOnly struct {
	Service
	err error
}

func (s placesOnly) Status(context.Context) (service.Status, error) {
	return service.Status{Definitions: []service.DefinitionStatus{{Name: "pc", Comment: hostile, Places: []string{"/backups/pc", "relative"}}}}, s.err
}

func TestFoldersOfDefinitions(t *testing.T) {
	c := consoleOf(t, fakeImages{})
	c.Service = placesOnly{}
	has(t, get(t, c, "/points"), 200, `href="/points?folder=%2Fbackups%2Fpc"`, "written to by &lt;img")
	c.Service = placesOnly{err: service.ErrNotRunning}
	has(t, get(t, c, "/points"), 200, "Open a folder with images")
}

func TestMemoryIsBounded(t *testing.T) {
	var m pointsMemory
	for i := range 100 {
		m.remember(&result.Folder{}, fmt.Sprint("/", i))
		m.keep(fmt.Sprint(i), "x")
	}
	if p := m.paths(); len(p) != maxFolders || p[0] != "/99" || len(m.passwords) != maxPasswords {
		t.Errorf("%v, %d passwords", p, len(m.passwords))
	}
}

func TestCommandsAreQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"/b/a.mrimgx":  "/b/a.mrimgx",
		"/b/my $(rm)'": `'/b/my $(rm)'\'''`,
		"/b/\xff'\n":   `$'/b/\xff\'\x0a'`,
	} {
		if got := quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
