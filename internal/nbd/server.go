package nbd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"ingot/internal/block"
)

// Export is something clients can attach.
type Export struct {
	Name, Description string
	Reader            block.Reader
	// Used is what of it is not a hole; nil is all.
	Used block.Map
	// Writer is what is written to, nil for an export that is read-only. What it
	// wrote must show in Reader and Used.
	Writer Writer
	// BlockSize is the size of reads that suits it best, a power of two from 512
	// bytes on; 0 is 64 KiB.
	BlockSize int64
}

// Writer is what can be done to an export beside reading it.
type Writer interface {
	WriteAt(p []byte, off int64) (int, error)
	// Zero sets n bytes from off on to zeros.
	Zero(off, n int64) error
	Sync() error
}

// Server serves exports. Its fields are not to be changed while it does.
type Server struct {
	// Exports are what is served; the first one is that of a client that names
	// none.
	Exports []Export
	// TLS, when set, is what every client has to use.
	TLS *tls.Config
	// Log, when set, is told what went wrong with clients and exports. It may be
	// called by several goroutines.
	Log func(err error)

	limits limits
}

// limits are bounds; the zero value of each is the default.
type limits struct {
	conns     int           // at once
	requests  int           // of one connection under way at once
	reads     int           // of all connections under way at once
	bytes     int64         // of memory these have
	options   int           // of one handshake
	handshake time.Duration // it may take
	send      time.Duration // a client may take for an answer, or for its data
	grace     time.Duration // requests under way have when the server ends
}

func (l limits) withDefaults() limits {
	return limits{
		or(l.conns, 32), or(l.requests, 16), or(l.reads, 4*runtime.GOMAXPROCS(0)), or(l.bytes, maxRequest), or(l.options, 256),
		or(l.handshake, 30*time.Second), or(l.send, 2*time.Minute), or(l.grace, 5*time.Second),
	}
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Serve answers the clients of a listener, which it closes, until ctx ends. It
// returns when the last connection has ended; the error is that of a listener
// that broke.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	lim := s.limits.withDefaults()
	free := make(chan struct{}, lim.conns)
	reads := make(chan struct{}, lim.reads)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil {
			if temporary(err) {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			cancel()
			return fmt.Errorf("accept NBD clients at %s: %w", l.Addr(), errors.Join(err, l.Close()))
		}
		select {
		case free <- struct{}{}:
			all.Go(func() {
				s.client(ctx, c, lim, reads)
				<-free
			})
		default:
			s.log(fmt.Errorf("a client was turned away: there are %d", lim.conns))
			_ = c.Close()
		}
	}
}

// temporary says whether a listener will go on: too many open files, a client
// that left at once.
func temporary(err error) bool {
	var ne interface{ Temporary() bool }
	return errors.As(err, &ne) && ne.Temporary()
}

func (s *Server) log(err error) {
	if s.Log != nil {
		s.Log(err)
	}
}

// find is the export of a name, nil when there is none.
func (s *Server) find(name string) *Export {
	for i := range s.Exports {
		if s.Exports[i].Name == name || i == 0 && name == "" {
			return &s.Exports[i]
		}
	}
	return nil
}

// client serves one connection from its first byte to its last. All connections
// share reads, of which each read under way has one.
func (s *Server) client(ctx context.Context, c net.Conn, lim limits, reads chan struct{}) {
	h := &handshake{s: s, raw: c, c: c, lim: lim, reads: reads}
	defer func() { _ = h.c.Close() }()
	// When the server ends, nothing more is read; what is under way may end.
	stop := context.AfterFunc(ctx, func() {
		_ = c.SetReadDeadline(time.Now())
		_ = c.SetWriteDeadline(time.Now().Add(lim.grace))
	})
	defer stop()
	_ = c.SetDeadline(time.Now().Add(lim.handshake))
	e, err := h.run()
	if err == nil && e != nil {
		_ = c.SetDeadline(time.Time{})
		err = newSession(ctx, s, h, e).run()
	}
	if err != nil && ctx.Err() == nil {
		s.log(fmt.Errorf("NBD client %s: %w", c.RemoteAddr(), err))
	}
}
