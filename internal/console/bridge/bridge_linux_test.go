package bridge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rig is a bridge at work, before a console that notes what it is asked.
type rig struct {
	*testing.T
	b      *Bridge
	addr   string
	log    *lockedLog
	mu     sync.Mutex
	asked  []string
	now    time.Time
	cookie string
}

type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{T: t, log: &lockedLog{}, now: time.Now()}
	o := Options{
		Host: "ingot-abcdefgh.localhost", Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Now: func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now },
		Next: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			r.mu.Lock()
			r.asked = append(r.asked, q.Method+" "+q.URL.Path+q.Header.Get("Cookie"))
			r.mu.Unlock()
			if q.URL.Path == "/events" {
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				<-q.Context().Done()
			}
			fmt.Fprint(w, "console")
		}),
	}
	if change != nil {
		change(&o)
	}
	r.b = New(o)
	l, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	r.b.Attach(l)
	go func() { ended <- r.b.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *rig) heard() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// send sends a request as a browser of our user would, but for change.
func (r *rig) send(method, path, body string, change func(*http.Request)) *http.Response {
	r.Helper()
	q, err := http.NewRequestWithContext(r.Context(), method, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	q.Host = r.b.host
	if body != "" {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if r.cookie != "" {
		q.Header.Set("Cookie", r.b.sessions.cookie+"="+r.cookie)
	}
	q.Header.Set("Sec-Fetch-Site", "same-origin")
	if change != nil {
		change(q)
	}
	c := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := c.Do(q)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// ticketOf is what is behind the # of the address.
func (r *rig) ticketOf() string {
	r.Helper()
	_, t, ok := strings.Cut(r.b.URL(), "#")
	if !ok || len(t) != 64 {
		r.Fatalf("no ticket in %s", r.b.URL())
	}
	return t
}

// comeIn enters with a ticket.
func (r *rig) comeIn() {
	r.Helper()
	resp := r.send("POST", "/enter", "ticket="+r.ticketOf(), nil)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
		r.Fatalf("enter: %s", resp.Status)
	}
	for _, c := range resp.Cookies() {
		if c.Name == r.b.sessions.cookie {
			r.cookie = c.Value
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
				r.Errorf("%+v", c)
			}
		}
	}
	if r.cookie == "" {
		r.Fatal("no cookie")
	}
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestATicketWorksOnceAndForAMinute(t *testing.T) {
	r := newRig(t, nil)
	if resp := r.send("GET", "/", "", nil); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(text(t, resp), `name="code"`) {
		t.Errorf("without a session: %s", resp.Status)
	}
	first := r.ticketOf()
	r.cookie = ""
	if resp := r.send("POST", "/enter", "ticket="+first, nil); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.Status)
	}
	for name, ticket := range map[string]string{"used": first, "none": "", "made up": strings.Repeat("0", 64)} {
		if resp := r.send("POST", "/enter", "ticket="+ticket, nil); resp.StatusCode != http.StatusUnauthorized || len(resp.Cookies()) > 0 || !strings.Contains(text(t, resp), `name="code"`) {
			t.Errorf("a ticket that is %s: %s", name, resp.Status)
		}
	}
	late := r.ticketOf()
	r.pass(ticketTime)
	if resp := r.send("POST", "/enter", "ticket="+late, nil); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("after a minute: %s", resp.Status)
	}
	r.comeIn()
	if resp := r.send("GET", "/", "", nil); resp.StatusCode != http.StatusOK || text(t, resp) != "console" {
		t.Error(resp.Status)
	}
	if strings.Contains(r.log.String(), first) || strings.Contains(r.log.String(), late) || strings.Contains(r.log.String(), r.cookie) {
		t.Errorf("the log has a secret:\n%s", r.log)
	}
	if resp := r.send("GET", "/enter?ticket="+r.ticketOf(), "", nil); len(resp.Cookies()) > 0 {
		t.Error("a GET lets in")
	}
}

func TestCodes(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Owner = func(netip.AddrPort, netip.AddrPort) (Owner, error) { return Owner{}, errors.New("a container") }
	})
	if resp := r.send("POST", "/enter", "ticket="+r.ticketOf(), nil); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a ticket from nobody knows whom: %s", resp.Status)
	}
	if resp := r.send("POST", "/enter", "code="+url.QueryEscape(" "+strings.ToLower(r.b.Code())), nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the code: %s", resp.Status)
	}
	code := r.b.Code()
	for range codeTries {
		if resp := r.send("POST", "/enter", "code=AAAAAAA0", nil); resp.StatusCode != http.StatusUnauthorized {
			t.Error(resp.Status)
		}
	}
	if resp := r.send("POST", "/enter", "code="+code, nil); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the code after %d wrong ones: %s", codeTries, resp.Status)
	}
}

func TestSessionsEnd(t *testing.T) {
	r := newRig(t, nil)
	in := func() bool { return r.send("GET", "/x", "", nil).StatusCode == http.StatusOK }
	r.comeIn()
	for range 3 {
		r.pass(r.b.opts.SessionIdle - time.Second)
		if !in() {
			t.Fatal("a session that is used ended")
		}
	}
	r.pass(r.b.opts.SessionIdle)
	if in() {
		t.Error("an idle session goes on")
	}
	r.comeIn()
	for range 26 {
		r.pass(29 * time.Minute)
		in()
	}
	if in() {
		t.Error("a session of more than 12 hours goes on")
	}
	r.comeIn()
	if resp := r.send("POST", "/leave", "", nil); resp.StatusCode != http.StatusSeeOther {
		t.Error(resp.Status)
	}
	if in() {
		t.Error("after leaving")
	}
}

// Rebinding: an address that resolves to us is not ours.
func TestHostsThatAreNotOurs(t *testing.T) {
	r := newRig(t, nil)
	r.comeIn()
	port := r.addr[strings.LastIndexByte(r.addr, ':'):]
	for _, host := range []string{"evil.example", "evil.example" + port, r.addr, "127.0.0.1:1", "localhost" + port, "ingot-abcdefgh.localhost", "ingot-abcdefgh.localhost:1", "x.ingot-abcdefgh.localhost" + port} {
		for _, what := range []string{"GET /", "POST /x", "GET /events", "GET /enter", "POST /enter"} {
			method, path, _ := strings.Cut(what, " ")
			if resp := r.send(method, path, "", func(q *http.Request) { q.Host = host }); resp.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("%s for %s: %s", what, host, resp.Status)
			}
		}
	}
	if n := r.heard(); n > 0 {
		t.Errorf("the console heard of it: %q", r.asked)
	}
}

// What pages of other origins can have a browser send.
func TestRequestsOfOtherPages(t *testing.T) {
	r := newRig(t, nil)
	r.comeIn()
	for name, c := range map[string]struct {
		method, path string
		headers      map[string]string
	}{
		"a form of another port":        {"POST", "/x", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://ingot-abcdefgh.localhost:1"}},
		"a form of another site":        {"POST", "/x", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}},
		"an old browser's form":         {"POST", "/x", map[string]string{"Sec-Fetch-Site": "", "Origin": "http://evil.example"}},
		"a sandboxed page's form":       {"POST", "/x", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "null"}},
		"an image":                      {"GET", "/x", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}},
		"an image on the first page":    {"GET", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}},
		"a frame":                       {"GET", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}},
		"a link to a page within":       {"GET", "/x", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}},
		"a script of another port":      {"GET", "/x", map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}},
		"a login form of somebody else": {"POST", "/enter", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}},
	} {
		resp := r.send(c.method, c.path, "", func(q *http.Request) {
			q.Header.Del("Sec-Fetch-Site")
			for k, v := range c.headers {
				if v != "" {
					q.Header.Set(k, v)
				}
			}
		})
		if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if n := r.heard(); n > 0 {
		t.Errorf("the console heard of it: %q", r.asked)
	}
	for _, method := range []string{"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
		if resp := r.send(method, "/x", "", nil); resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
	// A link to the first page is what may come from anywhere.
	if resp := r.send("GET", "/", "", func(q *http.Request) {
		q.Header.Set("Sec-Fetch-Site", "cross-site")
		q.Header.Set("Sec-Fetch-Mode", "navigate")
		q.Header.Set("Sec-Fetch-Dest", "document")
	}); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

func TestHeadersAndLimits(t *testing.T) {
	r := newRig(t, nil)
	r.comeIn()
	for _, path := range []string{"/", "/enter", "/enter/enter.js", "/enter/enter.css"} {
		resp := r.send("GET", path, "", nil)
		for _, h := range headers {
			if resp.Header.Get(h[0]) != h[1] {
				t.Errorf("%s: %s is %q", path, h[0], resp.Header.Get(h[0]))
			}
		}
		if body := text(t, resp); resp.StatusCode != http.StatusOK || strings.Contains(body, "<style") || strings.Contains(body, " style=") || strings.Contains(body, "onclick") {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	for _, h := range []string{"default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "form-action 'self'"} {
		if !strings.Contains(headers[0][1], h) {
			t.Errorf("the policy has no %s", h)
		}
	}
	large := httptest.NewRequest("POST", "http://"+r.b.host+"/x", strings.NewReader(strings.Repeat("x", maxBody+1)))
	w := httptest.NewRecorder()
	if r.b.ServeHTTP(w, large); w.Code != http.StatusRequestEntityTooLarge {
		t.Error(w.Code)
	}
	for i := range maxStreams + 1 {
		resp := r.send("GET", "/events", "", func(q *http.Request) { q.Header.Set("Accept", "text/event-stream") })
		if want := map[bool]int{true: http.StatusTooManyRequests, false: http.StatusOK}[i == maxStreams]; resp.StatusCode != want {
			t.Errorf("stream %d: %s", i+1, resp.Status)
		}
	}
	for _, a := range r.asked {
		if strings.Contains(a, r.cookie) {
			t.Error("the console sees the cookie")
		}
	}
}

func TestTheBridgeEndsWhenNobodyIsThere(t *testing.T) {
	b := New(Options{Host: "ingot-abcdefgh.localhost", Next: http.NotFoundHandler(), Idle: 50 * time.Millisecond})
	l, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(t.Context(), l); err != nil {
		t.Error(err)
	}
}

// Another user of the machine gets nowhere, whatever they know: their connection
// is closed. A process of theirs tries.
func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test needs to be root")
	}
	r := newRig(t, nil)
	r.comeIn()
	before := r.log.String()
	curl := func(uid uint32, args ...string) (string, error) {
		cmd := exec.Command("curl", append([]string{"-sS", "-o", "-", "-w", "%{http_code}", "--max-time", "10", "-H", "Host: " + r.b.host}, args...)...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := curl(0, "-b", r.b.sessions.cookie+"="+r.cookie, "http://"+r.addr+"/mine"); err != nil || !strings.Contains(out, "console") {
		t.Fatalf("our own user: %v %s (is the package curl there?)", err, out)
	}
	heard := r.heard()
	for name, args := range map[string][]string{
		"a cookie": {"-b", r.b.sessions.cookie + "=" + r.cookie, "http://" + r.addr + "/"},
		"a ticket": {"-d", "ticket=" + r.ticketOf(), "http://" + r.addr + "/enter"},
		"the code": {"-d", "code=" + r.b.Code(), "http://" + r.addr + "/enter"},
		"nothing":  {"http://" + r.addr + "/enter"},
	} {
		if out, err := curl(54321, args...); err == nil || !strings.Contains(out, "000") {
			t.Errorf("another user with %s: %v %s", name, err, out)
		}
	}
	if r.heard() != heard {
		t.Errorf("the console heard of it: %q", r.asked)
	}
	if log := strings.TrimPrefix(r.log.String(), before); strings.Contains(log, "session began") || strings.Count(log, "another user was closed") != 4 {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestOwnerOfAConnection(t *testing.T) {
	l, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, server := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(l.Addr().String())
	if o, err := ownerOf(client, server); err != nil || !o.Known || !o.Same {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := ownerOf(netip.AddrPortFrom(client.Addr(), client.Port()^1), server); err == nil || o.Known {
		t.Errorf("a connection that is not: %+v, %v", o, err)
	}
	if o, err := ownerOf(netip.MustParseAddrPort("[::1]:80"), server); err == nil || o.Known {
		t.Errorf("IPv6: %+v, %v", o, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if o, err := ownerOf(client, server); err == nil && o.Known {
		t.Errorf("nobody has it any more: %+v", o)
	}
}

func FuzzDiagAnswer(f *testing.F) {
	client, server := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:80")
	good := make([]byte, answerSize)
	binary.NativeEndian.PutUint32(good, answerSize)
	binary.NativeEndian.PutUint16(good[4:], sockDiagByFamily)
	copy(good[headerSize+4:], diagID(client, server))
	binary.NativeEndian.PutUint32(good[headerSize+4+idSize+12:], 1000)
	binary.NativeEndian.PutUint32(good[headerSize+4+idSize+16:], 7)
	f.Add(good)
	f.Add(good[:headerSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		uid, err := diagAnswer(b, client, server)
		if err == nil && uid != binary.NativeEndian.Uint32(b[headerSize+4+idSize+12:]) {
			t.Errorf("%d of %x", uid, b)
		}
	})
}

func TestLabels(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	a, err := Label(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Label(dir); err != nil || again != a {
		t.Errorf("%s, then %s, %v", a, again, err)
	}
	if other, err := Label(t.TempDir()); err != nil || other == a {
		t.Errorf("%s, %v", other, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "host"), []byte("evil.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if mended, err := Label(dir); err != nil || !labelShape.MatchString(mended) {
		t.Errorf("%s, %v", mended, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "host"), &st); err != nil || st.Mode&0o777 != 0o600 {
		t.Errorf("%o, %v", st.Mode, err)
	}
}
