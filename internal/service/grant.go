package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long a code can be used, and what it gives lasts.
const (
	codeTime  = 2 * time.Minute
	grantTime = 15 * time.Minute
	mostCodes = 20 // waiting at a time
)

// grants are the rights of an owner that an administrator has lent to a process
// for a while. The process asks for a code, shows it, and the administrator
// hands it in: neither the right nor a password passes through the process, and
// it ends with it.
type grants struct {
	now func() time.Time

	mu      sync.Mutex
	waiting []grant
	given   []grant
}

// grant is one, asked for or given.
type grant struct {
	code    string
	uid     int
	process Process
	until   time.Time
}

// of says whether it is that of the process at the other end of a connection: a
// number that another process has got since does not do.
func (g *grant) of(p Peer) bool {
	return g.uid == p.UID && g.process.PID == p.PID && g.process.Began != "" && g.process.Began == processBegan(p.PID)
}

// role is what a peer may do now, and until when if that is lent.
func (g *grants) role(p Peer) (Role, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy()
	if i := slices.IndexFunc(g.given, func(x grant) bool { return x.of(p) }); i >= 0 && p.Role.May(See) && p.Role != None {
		return Own, g.given[i].until
	}
	return p.Role, time.Time{}
}

// tidy forgets what is over. It is called with g.mu held.
func (g *grants) tidy() {
	over := func(x grant) bool { return !g.now().Before(x.until) }
	g.waiting = slices.DeleteFunc(g.waiting, over)
	g.given = slices.DeleteFunc(g.given, over)
}

// ask gives the code by which an administrator lends the peer their rights.
func (g *grants) ask(p Peer) (Code, error) {
	x := grant{code: newCode(), uid: p.UID, process: Process{p.PID, processBegan(p.PID)}, until: g.now().Add(codeTime)}
	if x.process.Began == "" {
		return Code{}, badRequest("which process asks is not known")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy()
	g.waiting = slices.DeleteFunc(g.waiting, func(w grant) bool { return w.of(p) })
	if len(g.waiting) >= mostCodes {
		return Code{}, &Problem{"too many codes wait to be used", http.StatusTooManyRequests, "too-many", "try again in two minutes"}
	}
	g.waiting = append(g.waiting, x)
	return Code{x.code, x.until}, nil
}

// give lends what was asked for with a code.
func (g *grants) give(code string) (Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidy()
	code = strings.ToUpper(strings.TrimSpace(code))
	i := slices.IndexFunc(g.waiting, func(w grant) bool { return w.code == code })
	if i < 0 {
		return Grant{}, &Problem{"nobody waits for this code", http.StatusNotFound, "no-code", "a code is good for two minutes and once: ask for a new one where it was shown"}
	}
	x := g.waiting[i]
	g.waiting = slices.Delete(g.waiting, i, i+1)
	x.until = g.now().Add(grantTime)
	g.given = append(g.given, x)
	return Grant{fmt.Sprintf("uid %d", x.uid), x.process.PID, x.until}, nil
}

// end takes back what was lent to a peer.
func (g *grants) end(p Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.given = slices.DeleteFunc(g.given, func(x grant) bool { return x.of(p) })
}

// newCode is eight characters that are not taken for each other.
func newCode() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // 32: no byte is favoured
	b := make([]byte, 8)
	_, _ = rand.Read(b) // it never fails: crypto/rand ends the program instead
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}

// Code is what a process shows so that an administrator lends it their rights.
type Code struct {
	Code  string    `json:"code"`
	Until time.Time `json:"until"`
}

// Grant is what was lent to whom.
type Grant struct {
	Who   string    `json:"who"`
	PID   int       `json:"pid"`
	Until time.Time `json:"until"`
}

// postSession does ask, unlock and lock.
func (s *Service) postSession(req *http.Request) (any, error) {
	p := peerOf(req.Context())
	switch req.PathValue("verb") {
	case "ask":
		return s.grants.ask(p)
	case "lock":
		s.grants.end(p)
		return done{}, nil
	}
	return nil, badRequest("%q is neither ask nor lock", req.PathValue("verb"))
}

func (s *Service) postUnlock(req *http.Request) (any, error) {
	var body Code
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		return nil, badRequest("the request: %v", err)
	}
	if by := peerOf(req.Context()); by.Lent {
		return nil, &Problem{"rights that are lent cannot be lent on", http.StatusForbidden, "forbidden", "unlock as the administrator (sudo)"}
	}
	g, err := s.grants.give(body.Code)
	if err == nil {
		s.log.Info("rights of an owner are lent", "to", g.Who, "pid", g.PID, "until", g.Until)
		s.bus.send("session", "session.role", g)
	}
	return g, err
}

// Session gives who asks and what they may do.
func (c *Client) Session(ctx context.Context) (v Session, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/session", nil, &v)
	return v, err
}

// AskUnlock asks for a code with which an administrator lends this process the
// rights of an owner.
func (c *Client) AskUnlock(ctx context.Context) (code Code, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/session/ask", nil, &code)
	return code, err
}

// Unlock lends the rights of an owner to the process that shows this code.
func (c *Client) Unlock(ctx context.Context, code string) (g Grant, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/unlock", Code{Code: code}, &g)
	return g, err
}

// Lock gives back what was lent to this process.
func (c *Client) Lock(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/v1/session/lock", nil, nil)
}
