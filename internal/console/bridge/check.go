package bridge

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// policy is the Content-Security-Policy of every page: what is not from here
// does not run, and no string becomes markup or script.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), usb=(), serial=()")
	h.Set("Cache-Control", "no-store")
}

// ServeHTTP makes the checks in their order. Who is at the other end was asked
// when the connection was accepted.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if status, why := b.refuse(r); status != 0 {
		b.Log.Warn("request refused", "user", b.User, "method", r.Method, "status", status, "reason", why)
		w.Header().Set("Connection", "close")
		http.Error(w, "Refused: "+why+".", status)
		return
	}
	if b.enter(w, r) {
		return
	}
	s := b.session(token(r), known(r))
	if s == nil {
		b.enterPage(w, http.StatusUnauthorized, "You are not signed in, or not any more.")
		return
	}
	b.touch(1)
	defer b.touch(-1)
	defer b.release(s)
	b.inside(w, r, s)
}

// refuse is what a request is refused with and why; 0 is not at all. The order
// counts: what is first decides.
func (b *Bridge) refuse(r *http.Request) (int, string) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "this method is not served"
	case r.ContentLength > maxBody:
		return http.StatusRequestEntityTooLarge, "the request is larger than 1 MiB"
	case r.Host != b.Host:
		// A name that was rebound to this address is a same origin to the browser.
		return http.StatusMisdirectedRequest, "this is not the host asked for"
	case b.cross.Check(r) != nil:
		return http.StatusForbidden, "the request comes from another origin"
	case !fetchAllowed(r):
		return http.StatusForbidden, "the request comes from another site"
	}
	return 0, ""
}

// fetchAllowed judges by what browsers say about where a request is from. Who
// sends nothing is no browser of these years; the session decides.
func fetchAllowed(r *http.Request) bool {
	switch values := r.Header.Values("Sec-Fetch-Site"); {
	case len(values) == 0:
		return true
	case len(values) > 1:
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "cross-site": // a link to the front door
		return r.Method == http.MethodGet && (r.URL.Path == "/" || r.URL.Path == "/enter") &&
			r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return false
}

// inside is a request of a session.
func (b *Bridge) inside(w http.ResponseWriter, r *http.Request, s *session) {
	if !readBody(w, r) {
		return
	}
	if r.URL.Path == "/leave" {
		b.leave(w, r, s)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if !b.stream(s, 1) {
			http.Error(w, "Too many event streams in this session.", http.StatusTooManyRequests)
			return
		}
		defer b.stream(s, -1)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	r = r.WithContext(ctx)
	dropCookie(r)
	if r.Method == http.MethodPost {
		note := &noted{ResponseWriter: w, status: http.StatusOK}
		defer func() { b.audit(r, s, note.status) }()
		w = note
	}
	b.Next.ServeHTTP(w, r)
}

// readBody has the body in memory before anything is done, so that the time for
// it ends and that of the answer, which may be a stream, does not.
func readBody(w http.ResponseWriter, r *http.Request) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "The request is larger than 1 MiB, or was cut.", http.StatusRequestEntityTooLarge)
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a recorder of tests has none
	return true
}

// dropCookie keeps the secret of the session from who is behind the bridge.
func dropCookie(r *http.Request) {
	cookies := r.Cookies()
	r.Header = r.Header.Clone()
	r.Header.Del("Cookie")
	for _, c := range cookies {
		if c.Name != cookieName {
			r.AddCookie(c)
		}
	}
}

// audit is the line for every change asked for: the path without its query.
func (b *Bridge) audit(r *http.Request, s *session, status int) {
	b.Log.Info("console", "user", b.User, "session", s.number, "method", r.Method, "path", r.URL.Path, "status", status)
}

// noted is a ResponseWriter that remembers the status.
type noted struct {
	http.ResponseWriter
	status int
}

func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }
