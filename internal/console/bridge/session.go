package bridge

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ticketTime  = time.Minute
	codeTries   = 5
	mostTickets = 16
	mostSession = 32
)

// sessions are who is in, and what lets others in. It is all in memory.
type sessions struct {
	opts   *Options
	cookie string // its name
	code   string // "" once it was tried too often

	mu      sync.Mutex
	tries   int
	tickets []pass
	open    []*session
}

// pass is a ticket that was not used yet. Only its hash is kept.
type pass struct {
	sum   [sha256.Size]byte
	until time.Time
}

// session is a browser that is in.
type session struct {
	sum         [sha256.Size]byte
	began, last time.Time
	streams     atomic.Int32
}

func (s *sessions) init(o *Options) {
	s.opts = o
	s.code = newCode()
}

// secret is 256 random bits.
func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b)
}

// newCode is eight characters that are not taken for each other.
func newCode() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}

// ticket makes one.
func (s *sessions) ticket() string {
	t := secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tickets = append(s.tickets, pass{sha256.Sum256([]byte(t)), s.opts.Now().Add(ticketTime)})
	s.tickets = s.tickets[max(0, len(s.tickets)-mostTickets):]
	return t
}

// useTicket says whether a ticket lets in; it does so once.
func (s *sessions) useTicket(t string) bool {
	sum := sha256.Sum256([]byte(t))
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.tickets, func(p pass) bool { return subtle.ConstantTimeCompare(p.sum[:], sum[:]) == 1 })
	if i < 0 {
		return false
	}
	until := s.tickets[i].until
	s.tickets = slices.Delete(s.tickets, i, i+1)
	return s.opts.Now().Before(until)
}

// useCode says whether a code lets in. After too many wrong ones none does.
func (s *sessions) useCode(code string) bool {
	code = strings.ToUpper(strings.TrimSpace(code))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code == "" || code == "" {
		return false
	}
	if subtle.ConstantTimeCompare([]byte(code), []byte(s.code)) == 1 {
		return true
	}
	if s.tries++; s.tries >= codeTries {
		s.code = ""
	}
	return false
}

// begin opens a session and gives the value of its cookie.
func (s *sessions) begin() string {
	v := secret()
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, &session{sum: sha256.Sum256([]byte(v)), began: now, last: now})
	s.open = s.open[max(0, len(s.open)-mostSession):]
	return v
}

// of is the session of a request; nil when it has none that is still good.
func (s *sessions) of(r *http.Request) *session {
	c, err := r.Cookie(s.cookie)
	if err != nil {
		return nil
	}
	sum, now := sha256.Sum256([]byte(c.Value)), s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(x *session) bool {
		return now.Sub(x.last) >= s.opts.SessionIdle && x.streams.Load() == 0 || now.Sub(x.began) >= s.opts.SessionMost
	})
	for _, x := range s.open {
		if subtle.ConstantTimeCompare(x.sum[:], sum[:]) == 1 {
			x.last = now
			return x
		}
	}
	return nil
}

// end closes a session.
func (s *sessions) end(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(o *session) bool { return o == x })
}
