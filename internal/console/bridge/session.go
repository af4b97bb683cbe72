package bridge

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"strings"
	"time"
)

const (
	ticketLife = time.Minute
	maxTickets = 16 // that wait; more makes the oldest worthless
	codeTries  = 5
)

// alphabet has no characters that are read as others: no I, L, O, U (Crockford).
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// digest is of a ticket or session: looking one up by it tells nothing by time.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// doors are the ways in; Bridge.mu guards them.
type doors struct {
	tickets  map[digest]time.Time // when they were made
	code     string               // "" when there is none
	tries    int                  // left for the code
	sessions map[digest]*session
	count    int // of sessions so far
}

type session struct {
	number      int // for the log: it is no secret
	known       bool
	began, used time.Time
	active      int // requests under way
	streams     int // of them, event streams
	ctx         context.Context
	end         context.CancelFunc
}

func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// word is 8 characters of 5 random bits.
func word(alphabet string) string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return base32.NewEncoding(alphabet).EncodeToString(b[:])
}

// Ticket makes a ticket: 256 bits, good once and for 60 s.
func (b *Bridge) Ticket() string {
	ticket := secret()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.Clock()
	var oldest digest
	for d, made := range b.doors.tickets {
		if now.Sub(made) >= ticketLife {
			delete(b.doors.tickets, d)
		} else if was, ok := b.doors.tickets[oldest]; !ok || made.Before(was) {
			oldest = d
		}
	}
	if len(b.doors.tickets) >= maxTickets {
		delete(b.doors.tickets, oldest)
	}
	b.doors.tickets[digestOf(ticket)] = now
	return ticket
}

// Code makes a code that lets its bearer in once; 5 wrong ones end it. It is the
// only one: that before it ends.
func (b *Bridge) Code() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doors.code, b.doors.tries = word(alphabet), codeTries
	return b.doors.code
}

// spend says whether the ticket counts, and makes it worthless.
func (b *Bridge) spend(ticket string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := digestOf(ticket)
	made, ok := b.doors.tickets[d]
	delete(b.doors.tickets, d)
	return ok && b.Clock().Sub(made) < ticketLife
}

// try says whether this is the code; right or wrong, a try is used up.
func (b *Bridge) try(code string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	if b.doors.code == "" {
		return false
	}
	right := subtle.ConstantTimeCompare([]byte(code), []byte(b.doors.code)) == 1
	b.doors.tries--
	if right || b.doors.tries <= 0 {
		b.doors.code = ""
	}
	return right
}

// tries is how many are left.
func (b *Bridge) tries() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doors.code == "" {
		return 0
	}
	return b.doors.tries
}

// begin makes a session and returns what the browser has to show for it.
func (b *Bridge) begin(known bool) (string, *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doors.count++
	now := b.Clock()
	s := &session{number: b.doors.count, known: known, began: now, used: now}
	s.ctx, s.end = context.WithCancel(context.Background())
	token := secret()
	b.doors.sessions[digestOf(token)] = s
	return token, s
}

// over says whether a session has ended by its age; Bridge.mu is held. While a
// request of it is under way it is not idle.
func (b *Bridge) over(s *session) bool {
	now := b.Clock()
	return now.Sub(s.began) >= b.SessionMost || s.active == 0 && now.Sub(s.used) >= b.SessionIdle
}

// endSessions ends those sessions, and the streams of theirs.
func (b *Bridge) endSessions(these func(*session) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for d, s := range b.doors.sessions {
		if these(s) {
			s.end()
			delete(b.doors.sessions, d)
		}
	}
}

// session is the one of this token; nil when there is none on such a connection.
// It is then in use until release.
func (b *Bridge) session(token string, known bool) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.doors.sessions[digestOf(token)]
	if s == nil || b.over(s) || s.known && !known {
		return nil
	}
	s.active++
	s.used = b.Clock()
	return s
}

func (b *Bridge) release(s *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.active--
	s.used = b.Clock()
}

// stream takes a place for an event stream, if there is one, or gives it back.
func (b *Bridge) stream(s *session, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.streams+n > maxStreams {
		return false
	}
	s.streams += n
	return true
}
