package bridge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// rig is a bridge that serves, with a clock that only the test moves.
type rig struct {
	*Bridge
	t       *testing.T
	client  *http.Client
	log     *lockedBuffer
	now     atomic.Int64
	changes atomic.Int32
	last    atomic.Pointer[http.Request] // that Next saw
	stop    context.CancelFunc
	ended   chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a rig; how, if any, changes the bridge before.
func serve(t *testing.T, how func(*Bridge)) *rig {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, err := Host("ingot-test2345", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, log: &lockedBuffer{}, ended: make(chan error, 1)}
	g.now.Store(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano())
	g.Bridge = New(Options{Next: http.HandlerFunc(g.next), Host: host, User: "tester",
		Clock: func() time.Time { return time.Unix(0, g.now.Load()) }, Log: slog.New(slog.NewTextHandler(g.log, nil))})
	if how != nil {
		how(g.Bridge)
	}
	at := l.Addr().String()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp4", at)
	}}
	g.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var ctx context.Context
	ctx, g.stop = context.WithCancel(context.Background())
	go func() { g.ended <- g.Serve(ctx, l) }()
	t.Cleanup(func() { g.stop(); transport.CloseIdleConnections() })
	return g
}

func (g *rig) pass(d time.Duration) { g.now.Add(int64(d)) }

// next is a console: it changes with each POST and streams until it is told.
func (g *rig) next(w http.ResponseWriter, r *http.Request) {
	g.last.Store(r)
	if r.Method == http.MethodPost {
		g.changes.Add(1)
	}
	if r.URL.Path == "/events" {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	fmt.Fprint(w, "the console")
}

// do asks; set are names and values of headers, Host and Cookie among them.
func (g *rig) do(method, path, body string, set ...string) *http.Response {
	g.t.Helper()
	r, err := http.NewRequest(method, "http://"+g.Bridge.Host+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(set); i += 2 {
		if set[i] == "Host" {
			r.Host = set[i+1]
		} else {
			r.Header.Set(set[i], set[i+1])
		}
	}
	res, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		res.Body = io.NopCloser(bytes.NewReader(text))
	}
	return res
}

func text(res *http.Response) string {
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func (g *rig) want(res *http.Response, status int) *http.Response {
	g.t.Helper()
	if res.StatusCode != status {
		g.t.Fatalf("%s %s: status %d, want %d: %s", res.Request.Method, res.Request.URL.Path, res.StatusCode, status, text(res))
	}
	return res
}

func (g *rig) post(field, value string) *http.Response {
	g.t.Helper()
	return g.do("POST", "/enter", url.Values{field: {value}}.Encode())
}

// in begins a session and returns the header that shows it.
func (g *rig) in() string {
	g.t.Helper()
	res := g.want(g.post("ticket", g.Ticket()), http.StatusSeeOther)
	return strings.Split(res.Header.Get("Set-Cookie"), ";")[0]
}

func TestTicketCountsOnceAndForAMinute(t *testing.T) {
	g := serve(t, nil)
	ticket := g.Ticket()
	g.Code()
	res := g.want(g.post("ticket", ticket), http.StatusSeeOther)
	if to := res.Header.Get("Location"); to != "/" {
		t.Errorf("entering leads to %q", to)
	}
	cookie := res.Header.Get("Set-Cookie")
	for _, part := range []string{"ingot=", "; HttpOnly", "; SameSite=Strict", "; Path=/"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("cookie %q lacks %q", cookie, part)
		}
	}
	g.want(g.do("GET", "/", "", "Cookie", strings.Split(cookie, ";")[0]), http.StatusOK)
	again := g.want(g.post("ticket", ticket), http.StatusUnauthorized)
	if !strings.Contains(text(again), `name="code"`) {
		t.Error("the page has no field for the code")
	}
	late, good := g.Ticket(), g.Ticket()
	g.pass(59 * time.Second)
	g.want(g.post("ticket", good), http.StatusSeeOther)
	g.pass(time.Second)
	g.want(g.post("ticket", late), http.StatusUnauthorized)
	g.want(g.do("POST", "/enter?ticket="+g.Ticket(), "a=b"), http.StatusUnauthorized)
	for _, secret := range []string{ticket, late, good, strings.TrimPrefix(strings.Split(cookie, ";")[0], "ingot=")} {
		if strings.Contains(g.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// curl asks as another user, with everything that would let the own one in.
func (g *rig) curl(uid uint32, cookie string, args ...string) (string, error) {
	_, port, _ := strings.Cut(g.Bridge.Host, ":")
	all := append([]string{"-sS", "-m", "20", "--noproxy", "*", "--resolve", g.Bridge.Host + ":127.0.0.1", "--connect-to", "::127.0.0.1:" + port,
		"-o", "/dev/null", "-w", "%{http_code}", "-H", "Cookie: " + cookie}, args...)
	cmd := exec.Command("curl", all...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Dir = "/"
	out, err := cmd.Output()
	return string(out), err
}

func TestOtherUserIsClosed(t *testing.T) {
	g := serve(t, nil)
	cookie, ticket := g.in(), g.Ticket()
	before := strings.Count(g.log.String(), "session begins")
	for _, args := range [][]string{{g.Address()}, {"--data-urlencode", "ticket=" + ticket, g.Address() + "enter"}, {g.Address() + "enter"}} {
		if out, err := g.curl(12345, cookie, args...); err == nil || out != "000" {
			t.Errorf("another user got %q (%v)", out, err)
		}
	}
	if n := strings.Count(g.log.String(), "session begins"); n != before {
		t.Error("a session of another user is in the log")
	}
	if n := strings.Count(g.log.String(), "connection of another user closed"); n != 3 {
		t.Errorf("%d connections closed, want 3", n)
	}
	// The same commands are good for the own user: it was not they that failed.
	if out, err := g.curl(0, cookie, g.Address()); out != "200" {
		t.Errorf("the own user got %q: %v", out, err)
	}
	if out, err := g.curl(0, cookie, "--data-urlencode", "ticket="+ticket, g.Address()+"enter"); out != "303" {
		t.Errorf("the own user got %q: %v", out, err)
	}
}

// TestConnectionThatIsClosedIsNobodys: the kernel names user 0 for a socket
// that its process has closed; sent by another user it must not count as root's.
func TestConnectionThatIsClosedIsNobodys(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	end, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	if got := ownerOf(end); got != ours {
		t.Errorf("open connection: %d, want ours", got)
	}
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if got := ownerOf(end); got == ours {
		t.Error("a connection that was closed counts as the user's")
	}
}

func TestReboundHostIsMisdirected(t *testing.T) {
	g := serve(t, nil)
	cookie := g.in()
	_, port, _ := strings.Cut(g.Bridge.Host, ":")
	for _, host := range []string{"evil.example", "evil.example:" + port, "127.0.0.1:" + port, "127.0.0.1:1", "localhost:" + port,
		strings.ToUpper(g.Bridge.Host), "x." + g.Bridge.Host, strings.TrimSuffix(g.Bridge.Host, ":"+port)} {
		g.want(g.do("GET", "/", "", "Host", host, "Cookie", cookie), http.StatusMisdirectedRequest)
		g.want(g.do("GET", "/enter", "", "Host", host), http.StatusMisdirectedRequest)
		g.want(g.do("POST", "/change", "a=b", "Host", host, "Cookie", cookie, "Origin", "http://"+host), http.StatusMisdirectedRequest)
		g.want(g.do("POST", "/enter", "ticket="+g.Ticket(), "Host", host), http.StatusMisdirectedRequest)
		g.want(g.do("GET", "/events", "", "Host", host, "Cookie", cookie, "Accept", "text/event-stream"), http.StatusMisdirectedRequest)
	}
	if g.changes.Load() != 0 || g.last.Load() != nil {
		t.Error("a request with another host came through")
	}
}

func TestForeignRequestsAreForbidden(t *testing.T) {
	g := serve(t, nil)
	cookie := g.in()
	bad := [][]string{
		{"POST", "/change", "Sec-Fetch-Site", "same-site", "Origin", "http://ingot-test2345.localhost:1"}, // a form from another port
		{"POST", "/change", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Origin", "https://evil.example"},
		{"POST", "/change", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		{"POST", "/enter", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		{"POST", "/leave", "Sec-Fetch-Site", "same-site"},
		{"POST", "/change", "Origin", "http://ingot-test2345.localhost:1"}, // a browser that says less
		{"POST", "/change", "Origin", "null"},
		{"GET", "/change", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		{"GET", "/", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		{"GET", "/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, // framed
		{"GET", "/points", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		{"GET", "/events", "Sec-Fetch-Site", "same-site", "Accept", "text/event-stream"},
		{"GET", "/", "Sec-Fetch-Site", "nonsense"},
	}
	for _, c := range bad {
		body := ""
		if c[0] == "POST" {
			body = "code=x"
		}
		res := g.want(g.do(c[0], c[1], body, append(c[2:], "Cookie", cookie)...), http.StatusForbidden)
		if res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a header of CORS")
		}
	}
	if g.changes.Load() != 0 || g.last.Load() != nil {
		t.Error("a foreign request came through")
	}
	for _, c := range [][]string{
		{"POST", "/change", "Sec-Fetch-Site", "same-origin", "Origin", "null"},
		{"GET", "/points", "Sec-Fetch-Site", "none"},
		{"GET", "/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
	} {
		g.want(g.do(c[0], c[1], "", append(c[2:], "Cookie", cookie)...), http.StatusOK)
	}
	if n := g.changes.Load(); n != 1 {
		t.Errorf("%d changes, want 1", n)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	g := serve(t, nil)
	cookie := g.in()
	answers := []*http.Response{
		g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusOK), g.want(g.do("GET", "/", ""), http.StatusUnauthorized),
		g.want(g.do("GET", "/enter", ""), http.StatusOK), g.want(g.do("GET", "/enter/enter.js", ""), http.StatusOK),
		g.want(g.do("GET", "/enter/enter.css", ""), http.StatusOK), g.want(g.do("GET", "/", "", "Host", "x"), http.StatusMisdirectedRequest),
		g.want(g.do("GET", "/", "", "Sec-Fetch-Site", "same-site"), http.StatusForbidden), g.want(g.do("PUT", "/", ""), http.StatusMethodNotAllowed),
	}
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",

		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
		"Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=()",
	}
	for _, res := range answers {
		for name, value := range want {
			if got := res.Header.Values(name); len(got) != 1 || got[0] != value {
				t.Errorf("%s, status %d: %s is %q, want %q", res.Request.URL.Path, res.StatusCode, name, got, value)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	g := serve(t, nil)
	cookie := g.in()
	g.want(g.do("POST", "/change", "a="+strings.Repeat("x", maxBody-2), "Cookie", cookie), http.StatusOK)
	g.want(g.do("POST", "/change", "a="+strings.Repeat("x", maxBody), "Cookie", cookie), http.StatusRequestEntityTooLarge)
	g.want(g.do("POST", "/change", "a="+strings.Repeat("x", maxBody)), http.StatusRequestEntityTooLarge) // before the session is looked at
	g.want(g.do("GET", "/", "", "Cookie", cookie, "X", strings.Repeat("x", 32<<10)), http.StatusRequestHeaderFieldsTooLarge)
	r, _ := http.NewRequest("POST", "http://"+g.Bridge.Host+"/change", io.MultiReader(strings.NewReader(strings.Repeat("x", maxBody+1)))) // of no stated size
	r.Header.Set("Cookie", cookie)
	res, err := g.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	g.want(res, http.StatusRequestEntityTooLarge)
	if n := g.changes.Load(); n != 1 {
		t.Errorf("%d changes, want 1", n)
	}
}

func TestSessionEnds(t *testing.T) {
	g := serve(t, func(b *Bridge) { b.Idle = 24 * time.Hour })
	cookie := g.in()
	g.pass(29 * time.Minute)
	g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusOK)
	g.pass(30 * time.Minute)
	g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusUnauthorized)
	cookie = g.in()
	for range 47 { // 11 h 45 min
		g.pass(15 * time.Minute)
		g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusOK)
	}
	g.pass(15 * time.Minute)
	g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusUnauthorized)
	cookie = g.in()
	g.want(g.do("GET", "/leave", "", "Cookie", cookie), http.StatusMethodNotAllowed)
	g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusOK)
	g.want(g.do("POST", "/leave", "", "Cookie", cookie), http.StatusSeeOther)
	g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusUnauthorized)
	g.want(g.do("GET", "/", "", "Cookie", g.in()+"; ingot=x"), http.StatusUnauthorized)
}

func TestCodeHasFiveTries(t *testing.T) {
	g := serve(t, nil)
	g.want(g.post("code", ""), http.StatusUnauthorized) // there is none yet
	code := g.Code()
	if len(code) != 8 {
		t.Errorf("code %q", code)
	}
	for range 4 {
		g.want(g.post("code", "WRONG000"), http.StatusUnauthorized)
	}
	g.want(g.post("code", strings.ToLower(code[:4]+" "+code[4:])), http.StatusSeeOther)
	g.want(g.post("code", code), http.StatusUnauthorized) // once
	code = g.Code()
	for range 5 {
		g.want(g.post("code", "WRONG000"), http.StatusUnauthorized)
	}
	if page := text(g.want(g.post("code", code), http.StatusUnauthorized)); strings.Contains(page, `name="code"`) {
		t.Error("after 5 tries there is still a field")
	}
}

func TestUnknownUserNeedsTheCode(t *testing.T) {
	var answer atomic.Int32
	answer.Store(int32(ours))
	g := serve(t, func(b *Bridge) { b.owner = func(net.Conn) owner { return owner(answer.Load()) } })
	known := g.in()
	g.client.CloseIdleConnections()
	answer.Store(int32(unknown))
	g.want(g.do("GET", "/", "", "Cookie", known), http.StatusUnauthorized)
	code, ticket := g.Code(), g.Ticket()
	if page := text(g.want(g.post("ticket", ticket), http.StatusUnauthorized)); !strings.Contains(page, `name="code"`) {
		t.Error("the page has no field for the code")
	}
	g.want(g.post("code", code), http.StatusSeeOther)
	g.client.CloseIdleConnections()
	answer.Store(int32(ours))
	g.want(g.post("ticket", ticket), http.StatusUnauthorized) // it was shown once
}

func TestStreams(t *testing.T) {
	g := serve(t, nil)
	cookie := g.in()
	var streams []*http.Response
	for range maxStreams {
		streams = append(streams, g.want(g.do("GET", "/events", "", "Cookie", cookie, "Accept", "text/event-stream"), http.StatusOK))
	}
	g.want(g.do("GET", "/events", "", "Cookie", cookie, "Accept", "text/event-stream"), http.StatusTooManyRequests)
	g.pass(time.Hour) // a stream is use
	if g.idle() {
		t.Error("idle with streams open")
	}
	g.want(g.do("GET", "/", "", "Cookie", cookie), http.StatusOK)
	other := g.want(g.do("GET", "/events", "", "Cookie", g.in(), "Accept", "text/event-stream"), http.StatusOK)
	g.want(g.do("POST", "/leave", "", "Cookie", cookie), http.StatusSeeOther)
	for _, s := range streams {
		_ = text(s) // ends
	}
	g.pass(12 * time.Hour)
	g.endSessions(g.over)
	_ = text(other)
}

func TestBridgeEnds(t *testing.T) {
	g := serve(t, func(b *Bridge) { b.Idle = time.Second })
	g.in()
	g.pass(time.Second)
	if err := <-g.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	g = serve(t, nil)
	g.in()
	g.stop()
	if err := <-g.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if g.Serve(t.Context(), l) == nil {
		t.Error("served on all addresses")
	}
}

func TestNextLearnsNoSecretAndChangesAreLogged(t *testing.T) {
	g := serve(t, nil)
	cookie := g.in()
	g.want(g.do("POST", "/change?secret=1", "a=b", "Cookie", cookie+"; theme=dark"), http.StatusOK)
	if got := g.last.Load().Header.Get("Cookie"); got != "theme=dark" {
		t.Errorf("the console sees the cookie %q", got)
	}
	if log := g.log.String(); !strings.Contains(log, "user=tester session=1 method=POST path=/change status=200") || strings.Contains(log, "secret") {
		t.Errorf("log:\n%s", log)
	}
}

func TestPagesObeyTheirOwnPolicy(t *testing.T) {
	g := serve(t, nil)
	g.Code()
	page := text(g.do("GET", "/enter", ""))
	for _, no := range []string{"<style", "style=", "onclick", "javascript:", "<script>"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if kind := g.do("GET", "/enter/enter.js", "").Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
		t.Errorf("the module is %q", kind)
	}
}
