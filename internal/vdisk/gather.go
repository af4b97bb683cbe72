package vdisk

import (
	"io"
	"sync"
)

// gatherSize is how much is written to the file at a time.
const gatherSize = 1 << 20

// page is where a write may end without another one going on within the same
// page of the cache, which the kernel may have begun to write out.
const page = 4096

// gather makes one large write of small ones that follow each other. What is
// written elsewhere goes out behind what came before it. Its errors may be those
// of earlier writes.
type gather struct {
	w io.WriterAt

	mu  sync.Mutex
	at  int64 // of buf in the file
	buf []byte
}

// WriteAt implements io.WriterAt.
func (g *gather) WriteAt(p []byte, off int64) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if off != g.at+int64(len(g.buf)) {
		if err := g.out(len(g.buf)); err != nil {
			return 0, err
		}
		g.at = off
	}
	if len(g.buf) == 0 && len(p) >= gatherSize {
		n, err := g.w.WriteAt(p, off)
		g.at += int64(n)
		return n, err
	}
	g.buf = append(g.buf, p...)
	if len(g.buf) >= gatherSize {
		if err := g.out(len(g.buf) - int((g.at+int64(len(g.buf)))%page)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// out writes the first n bytes of what was gathered.
func (g *gather) out(n int) error {
	if n <= 0 {
		return nil
	}
	if _, err := g.w.WriteAt(g.buf[:n], g.at); err != nil {
		return err
	}
	g.at += int64(n)
	g.buf = g.buf[:copy(g.buf, g.buf[n:])]
	return nil
}

// flush writes all that was gathered.
func (g *gather) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out(len(g.buf))
}
