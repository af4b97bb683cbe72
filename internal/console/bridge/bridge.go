package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// The limits of a request. The server of net/http adds 4 KiB to that of headers.
const (
	maxBody    = 1 << 20
	maxHeader  = 16 << 10
	maxStreams = 8 // event streams of a session
)

// Options are what a bridge is made of.
type Options struct {
	Next        http.Handler     // the console
	Host        string           // the only one answered to, "ingot-k3v9ab2q.localhost:40123"; see Host
	User        string           // for the lines of the log
	First       string           // the page that who comes in sees; "" is "/"
	Idle        time.Duration    // without requests and streams the bridge ends; 0 is 10 minutes
	SessionIdle time.Duration    // 0 is 30 minutes
	SessionMost time.Duration    // 0 is 12 hours
	Clock       func() time.Time // nil is time.Now
	Log         *slog.Logger     // nil is silent
}

// Bridge serves the console to one user.
type Bridge struct {
	Options
	owner  func(net.Conn) owner
	cross  *http.CrossOriginProtection
	mu     sync.Mutex
	used   time.Time // when a request last ended, or was let in
	active int       // requests under way
	doors  doors
}

// New makes a bridge, which serves nothing yet.
func New(o Options) *Bridge {
	fill(&o.Idle, 10*time.Minute)
	fill(&o.SessionIdle, 30*time.Minute)
	fill(&o.SessionMost, 12*time.Hour)
	if o.First == "" {
		o.First = "/"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Bridge{Options: o, owner: ownerOf, cross: http.NewCrossOriginProtection(), used: o.Clock()}
	b.doors = doors{tickets: map[digest]time.Time{}, sessions: map[digest]*session{}}
	return b
}

func fill(d *time.Duration, otherwise time.Duration) {
	if *d == 0 {
		*d = otherwise
	}
}

// Host is the authority of a bridge with this label that listens there.
func Host(label string, at net.Addr) (string, error) {
	a, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return "", fmt.Errorf("address of the console: %w", err)
	}
	return label + ".localhost:" + strconv.Itoa(int(a.Port())), nil
}

// Address is where the console is, for those who are in.
func (b *Bridge) Address() string { return "http://" + b.Host + "/" }

// URL is the address that lets the bearer of a ticket in.
func (b *Bridge) URL(ticket string) string { return b.Address() + "enter#" + ticket }

// Invitation lets its bearer in, if they are the bridge's user.
type Invitation struct {
	URL     string `json:"url"`     // with a ticket, good once and for 60 s
	Address string `json:"address"` // without
	Code    string `json:"code"`    // for where the ticket does not count
}

// Invite makes a ticket and a code. The code before it ends.
func (b *Bridge) Invite() Invitation {
	b.touch(0)
	return Invitation{URL: b.URL(b.Ticket()), Address: b.Address(), Code: b.Code()}
}

// Serve serves until the context ends or nobody has asked anything for the time
// of Idle; both are no error. The listener must be one of 127.0.0.1; it is closed.
func (b *Bridge) Serve(ctx context.Context, l net.Listener) error {
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil || !at.Addr().Is4() || !at.Addr().IsLoopback() {
		return errors.Join(fmt.Errorf("serve the console on %v: only 127.0.0.1 will do", l.Addr()), l.Close())
	}
	server := b.server(ctx)
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() { defer close(watched); b.watch(ctx, done); _ = server.Close() }()
	err = server.Serve(&ownListener{l, b})
	close(done)
	<-watched
	b.endSessions(func(*session) bool { return true })
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the console on %v: %w", l.Addr(), err)
}

func (b *Bridge) server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           b,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // lifted once the body is there
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withOwner,
		ErrorLog:          slog.NewLogLogger(b.Log.Handler(), slog.LevelWarn),
	}
}

// watch returns when the bridge should end; meanwhile it ends old sessions.
func (b *Bridge) watch(ctx context.Context, done <-chan struct{}) {
	tick := time.NewTicker(min(max(b.Idle/20, time.Millisecond), 10*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-tick.C:
			b.endSessions(b.over)
			if b.idle() {
				return
			}
		}
	}
}

func (b *Bridge) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active == 0 && b.Clock().Sub(b.used) >= b.Idle
}

// touch counts a request that begins (1) or ends (-1), or notes a sign of life (0).
func (b *Bridge) touch(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active += n
	b.used = b.Clock()
}
