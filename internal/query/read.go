package query

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
)

// Read gives the contents of a file, which Ref names. It comes back when the
// first bytes are there, so that a file that cannot be read is an error of it;
// what goes wrong later is one of the reader: only io.EOF says that all was
// read. Close ends the child. One goroutine at a time uses the reader.
func (t *Tools) Read(ctx context.Context, ref string) (io.ReadCloser, error) {
	limit := t.ReadTimeout
	if limit <= 0 {
		limit = DefaultReadTimeout
	}
	c, err := t.start(ctx, limit, t.command("cat", nil, ref))
	if err != nil {
		return nil, err
	}
	r := &contents{child: c, buf: bufio.NewReaderSize(c.out, 64<<10)}
	r.ending = sync.OnceValue(func() error { return c.end(nil) })
	if _, err := r.buf.Peek(1); err != nil {
		if err := r.ending(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// contents are the bytes that a child prints.
type contents struct {
	child  *child
	buf    *bufio.Reader
	ending func() error // waits for the child: what was wrong with it
	end    error        // what Read gave last
	closed bool
}

func (r *contents) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, errors.New("read a file that was closed")
	case r.end != nil:
		return 0, r.end
	}
	n, err := r.buf.Read(p)
	if err != nil {
		if r.end = r.ending(); r.end == nil {
			r.end = err
		}
	}
	return n, r.end
}

// Close ends the child, whatever is left to be read.
func (r *contents) Close() error {
	r.closed = true
	r.child.kill(errEnough)
	return nil
}
