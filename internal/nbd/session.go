package nbd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// session is a connection in transmission.
type session struct {
	ctx        context.Context
	s          *Server
	e          *Export
	c          net.Conn
	r          *bufio.Reader
	lim        limits
	structured bool
	meta       bool // base:allocation was chosen

	reads  chan struct{} // one for each read under way, of all connections
	slots  chan struct{} // one for each request under way
	memory budget
	rooms  sync.Pool // of *[]byte, for what is read

	sending sync.Mutex
}

func newSession(ctx context.Context, s *Server, h *handshake, e *Export) *session {
	return &session{
		ctx: ctx, s: s, e: e, c: h.c, r: bufio.NewReaderSize(h.c, 64<<10), lim: h.lim, structured: h.structured, meta: h.meta == e,
		reads: h.reads, slots: make(chan struct{}, h.lim.requests), memory: newBudget(h.lim.bytes),
	}
}

// budget is how much memory the requests of a connection may have.
type budget struct {
	mu   *sync.Mutex
	more *sync.Cond
	free int64
}

func newBudget(n int64) budget {
	mu := new(sync.Mutex)
	return budget{mu, sync.NewCond(mu), n}
}

// take waits until n bytes, no more than there are in all, are free.
func (b *budget) take(n int64) {
	b.mu.Lock()
	for b.free < n {
		b.more.Wait()
	}
	b.free -= n
	b.mu.Unlock()
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	b.free += n
	b.mu.Unlock()
	b.more.Signal()
}

// run takes requests until the client has had enough, and returns when all are
// answered.
func (t *session) run() error {
	var all sync.WaitGroup
	defer all.Wait()
	for t.ctx.Err() == nil {
		var q request
		var b [requestSize]byte
		if _, err := io.ReadFull(t.r, b[:]); err != nil {
			return left(err)
		}
		if !q.decode(b[:]) {
			return errors.New("what it sends is no request")
		}
		if q.cmd == cmdDisc {
			return nil
		}
		need := t.cost(&q)
		t.slots <- struct{}{}
		t.memory.take(need)
		if err := t.receive(&q); err != nil {
			return err
		}
		all.Go(func() {
			if err := t.answer(&q); err != nil {
				_ = t.c.Close() // the loop ends
			}
			t.memory.give(need)
			<-t.slots
		})
	}
	return nil
}

// left is the error of a connection that ends between requests: none when the
// client just closed it, which many do.
func left(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return fmt.Errorf("read a request: %w", err)
}

// cost is how much memory a request will have.
func (t *session) cost(q *request) int64 {
	switch {
	case q.cmd == cmdRead && t.structured && q.flags&flagDF == 0:
		return min(q.len, maxChunk, t.lim.bytes)
	case q.cmd == cmdRead || q.cmd == cmdWrite:
		return min(q.len, maxRequest, t.lim.bytes)
	}
	return 0
}

// receive reads what is to be written. What is too much cannot be skipped, nor
// does anybody who follows the protocol send it.
func (t *session) receive(q *request) error {
	if q.cmd != cmdWrite {
		return nil
	}
	if q.len > min(maxRequest, t.lim.bytes) {
		return fmt.Errorf("it writes %d bytes at once", q.len)
	}
	_ = t.c.SetReadDeadline(time.Now().Add(t.lim.send))
	if err := t.ctx.Err(); err != nil {
		return err
	}
	q.data = make([]byte, q.len)
	if _, err := io.ReadFull(t.r, q.data); err != nil {
		return fmt.Errorf("read the %d bytes of a write: %w", q.len, err)
	}
	return t.c.SetReadDeadline(time.Time{})
}

// send writes one message. A client that does not take it is cut off.
func (t *session) send(parts ...[]byte) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	_ = t.c.SetWriteDeadline(time.Now().Add(t.lim.send))
	if t.ctx.Err() != nil {
		_ = t.c.SetWriteDeadline(time.Now().Add(t.lim.grace))
	}
	b := net.Buffers(parts)
	if _, err := b.WriteTo(t.c); err != nil {
		return fmt.Errorf("send an answer: %w", err)
	}
	return nil
}
