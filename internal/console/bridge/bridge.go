package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// Limits of what a browser may send, and of how long it may take.
const (
	maxBody    = 1 << 20
	maxHeader  = 16 << 10
	maxStreams = 8 // of events in a session
)

// Options are what a bridge is made of. Next and Host must be given.
type Options struct {
	Next http.Handler
	// Host is the name it answers to, without the port: a label of our own
	// below localhost, see Label.
	Host string
	// Idle is how long the bridge stays after its last request and stream; 0 is
	// ten minutes.
	Idle time.Duration
	// First is the page that somebody who comes in sees; "" is "/".
	First string
	// SessionIdle and SessionMost bound a session; 0 is 30 minutes and 12 hours.
	SessionIdle, SessionMost time.Duration
	Now                      func() time.Time // nil is time.Now
	Log                      *slog.Logger     // nil is silent
	// Owner says who has the other end of a connection; nil asks the kernel.
	Owner func(client, server netip.AddrPort) (Owner, error)
}

// Owner is whose the other end of a connection is.
type Owner struct {
	Same  bool // the user of the bridge
	Known bool // the kernel has said
}

// Bridge is a way for one user's browser to the console.
type Bridge struct {
	opts     Options
	host     string // with the port
	sessions sessions
	guard    *http.CrossOriginProtection
	busy     atomic.Int64 // requests and streams under way
	last     atomic.Int64 // end of the last one, in Unix nanoseconds
}

// New makes a bridge.
func New(o Options) *Bridge {
	for _, d := range []struct {
		of   *time.Duration
		zero time.Duration
	}{{&o.Idle, 10 * time.Minute}, {&o.SessionIdle, 30 * time.Minute}, {&o.SessionMost, 12 * time.Hour}} {
		if *d.of <= 0 {
			*d.of = d.zero
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.First == "" {
		o.First = "/"
	}
	if o.Owner == nil {
		o.Owner = ownerOf
	}
	b := &Bridge{opts: o, guard: http.NewCrossOriginProtection()}
	b.sessions.init(&b.opts)
	return b
}

// Listen opens the loopback address at a port that is free.
func Listen() (net.Listener, error) { return net.Listen("tcp4", "127.0.0.1:0") }

// URL is the address that lets a browser in, once, within a minute.
func (b *Bridge) URL() string { return "http://" + b.host + "/enter#" + b.sessions.ticket() }

// Address is that of the console, for who has a session or the code.
func (b *Bridge) Address() string { return "http://" + b.host + "/" }

// Code is what may be typed where a ticket cannot be used.
func (b *Bridge) Code() string { return b.sessions.code }

// Attach tells the bridge where it will listen, before addresses are given out.
func (b *Bridge) Attach(l net.Listener) {
	port := l.Addr().(*net.TCPAddr).Port
	b.host = fmt.Sprintf("%s:%d", b.opts.Host, port)
	b.sessions.cookie = fmt.Sprintf("ingot-%d", port) // browsers keep cookies apart by name, not by port
}

// Serve serves until ctx ends or nobody has asked for anything for a while.
func (b *Bridge) Serve(ctx context.Context, l net.Listener) error {
	if b.host == "" {
		b.Attach(l)
	}
	b.last.Store(b.opts.Now().UnixNano())
	srv := &http.Server{
		Handler: b, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		ConnContext: b.meet, ErrorLog: slog.NewLogLogger(b.opts.Log.Handler(), slog.LevelDebug),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go b.watch(ctx, cancel)
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// watch ends the bridge when it has been idle for long enough.
func (b *Bridge) watch(ctx context.Context, end func()) {
	tick := time.NewTicker(min(b.opts.Idle/4, 10*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if b.busy.Load() == 0 && b.opts.Now().Sub(time.Unix(0, b.last.Load())) >= b.opts.Idle {
			end()
			return
		}
	}
}

type ownerKey struct{}

// meet asks whose a new connection is, and closes it when it is not ours.
func (b *Bridge) meet(ctx context.Context, c net.Conn) context.Context {
	var o Owner
	client, err1 := netip.ParseAddrPort(c.RemoteAddr().String())
	server, err2 := netip.ParseAddrPort(c.LocalAddr().String())
	err := errors.Join(err1, err2)
	if err == nil {
		o, err = b.opts.Owner(client, server)
	}
	switch {
	case err != nil || !o.Known:
		b.opts.Log.Warn("whose a connection is cannot be told", "error", err)
		o = Owner{}
	case !o.Same:
		b.opts.Log.Warn("a connection of another user was closed")
		_ = c.Close()
	}
	return context.WithValue(ctx, ownerKey{}, o)
}

func ownerIn(ctx context.Context) Owner {
	o, _ := ctx.Value(ownerKey{}).(Owner)
	return o
}

// headers are on every answer. What the pages need is all that is allowed.
var headers = [][2]string{
	{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; " +
		"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Permissions-Policy", "camera=(), microphone=(), geolocation=(), usb=(), serial=()"},
	{"Cache-Control", "no-store"},
}

// ServeHTTP checks a request in the order of the package comment and passes on
// what is left.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.busy.Add(1)
	defer func() {
		b.last.Store(b.opts.Now().UnixNano())
		b.busy.Add(-1)
	}()
	for _, h := range headers {
		w.Header().Set(h[0], h[1])
	}
	if o := ownerIn(r.Context()); o.Known && !o.Same {
		panic(http.ErrAbortHandler) // the connection is closed already
	}
	if status, why := b.refused(w, r); status != 0 {
		b.opts.Log.Warn("a request was refused", "method", r.Method, "status", status, "why", why)
		http.Error(w, why, status)
		return
	}
	if b.door(w, r) {
		return
	}
	s := b.sessions.of(r)
	if s == nil {
		b.askIn(w, r, http.StatusUnauthorized, "")
		return
	}
	b.pass(w, r, s)
}

// refused says what of a request must not be, whoever asks.
func (b *Bridge) refused(w http.ResponseWriter, r *http.Request) (status int, why string) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	switch {
	case !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, r.Method):
		return http.StatusMethodNotAllowed, "This method is not for here."
	case r.ContentLength > maxBody:
		return http.StatusRequestEntityTooLarge, "That is too much."
	case r.Host != b.host:
		return http.StatusMisdirectedRequest, "This is not the host that was asked for."
	case b.guard.Check(r) != nil:
		return http.StatusForbidden, "Another page must not do this."
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return 0, ""
	case "cross-site":
		top := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		if top && (r.URL.Path == "/" || r.URL.Path == "/enter") {
			return 0, ""
		}
	}
	return http.StatusForbidden, "Another page must not ask for this."
}

// pass gives the request to the console.
func (b *Bridge) pass(w http.ResponseWriter, r *http.Request, s *session) {
	if r.Header.Get("Accept") == "text/event-stream" {
		if s.streams.Add(1) > maxStreams {
			s.streams.Add(-1)
			http.Error(w, "Too many pages are open.", http.StatusTooManyRequests)
			return
		}
		defer s.streams.Add(-1)
	}
	if r.Method == http.MethodPost {
		b.opts.Log.Info("asked for", "path", r.URL.Path)
	}
	r.Header.Del("Cookie") // nothing behind this needs it
	b.opts.Next.ServeHTTP(w, r)
}
