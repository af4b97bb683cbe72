package vhdx

import (
	"fmt"
	"io"
	"maps"
	"sync"

	"ingot/internal/block"
)

// pageSize is what the log changes at a time.
const pageSize = 4 * kib

// image is the file with its log replayed: the file itself, pages whose bytes
// lie in the log, and ranges of zeros. A page wins over a range of zeros.
type image struct {
	r     io.ReaderAt
	real  int64 // bytes of the file
	size  int64 // bytes with the log replayed; behind real there are zeros
	pages map[int64]logPage
	zeros block.Extents

	torn bool  // the log holds entries, and none is whole
	work int64 // done to keep pages and zeros apart
}

// logPage is a page of the file that lies in the log: the first eight and the
// last four bytes stand in the descriptor, the others in a sector of data.
type logPage struct {
	lead [8]byte
	tail [4]byte
	off  int64 // of the sector's data in the file
}

var errOutside = corrupt("the file ends before")

// ReadAt implements io.ReaderAt.
func (m *image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > m.size-int64(len(p)) {
		return 0, errOutside
	}
	if n := min(int64(len(p)), max(m.real-off, 0)); n > 0 {
		if err := full(m.r, p[:n], off); err != nil {
			return 0, err
		}
		clear(p[n:])
	} else {
		clear(p)
	}
	if len(m.pages) == 0 && len(m.zeros) == 0 {
		return len(p), nil
	}
	return len(p), m.lay(p, off)
}

// lay puts what the log says over p, the bytes at off.
func (m *image) lay(p []byte, off int64) error {
	end := off + int64(len(p))
	for _, z := range m.zeros {
		if lo, hi := max(z.Off, off), min(z.End(), end); lo < hi {
			clear(p[lo-off : hi-off])
		}
	}
	for n := off / pageSize; n*pageSize < end; n++ {
		page, ok := m.pages[n]
		if !ok {
			continue
		}
		b, err := m.page(page)
		if err != nil {
			return err
		}
		lo, hi := max(n*pageSize, off), min((n+1)*pageSize, end)
		copy(p[lo-off:hi-off], b[lo-n*pageSize:])
	}
	return nil
}

// page is the contents of a page of the log.
func (m *image) page(l logPage) ([]byte, error) {
	b := make([]byte, pageSize)
	copy(b, l.lead[:])
	copy(b[pageSize-4:], l.tail[:])
	if err := full(m.r, b[8:pageSize-4], l.off); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return b, nil
}

// maxWork bounds what a hostile log can make zero do.
const maxWork = 1 << 26

// zero takes a range of whole pages for zeros from now on.
func (m *image) zero(e block.Extent) error {
	first, last := e.Off/pageSize, e.End()/pageSize
	if last-first < int64(len(m.pages)) {
		m.work += last - first
		for n := first; n < last; n++ {
			delete(m.pages, n)
		}
	} else {
		m.work += int64(len(m.pages))
		maps.DeleteFunc(m.pages, func(n int64, _ logPage) bool { return n >= first && n < last })
	}
	m.zeros = append(m.zeros, e)
	if m.work > maxWork || len(m.zeros) > maxWork/pageSize {
		return corrupt("log: more ranges of zeros than can be")
	}
	return nil
}

// cacheSize is the size of the pages in which tables are kept in memory, and
// cachePages how many of them there are at most.
const (
	cacheSize  = 64 * kib
	cachePages = 64
)

// cache is a reader for tables and bitmaps: small reads that come back.
type cache struct {
	m     *image
	mu    sync.Mutex
	pages map[int64][]byte
}

// ReadAt implements io.ReaderAt.
func (c *cache) ReadAt(p []byte, off int64) (int, error) {
	for done := 0; done < len(p); {
		n := (off + int64(done)) / cacheSize
		page, err := c.page(n)
		if err != nil {
			return done, err
		}
		in := off + int64(done) - n*cacheSize
		if in >= int64(len(page)) {
			return done, errOutside
		}
		done += copy(p[done:], page[in:])
	}
	return len(p), nil
}

func (c *cache) page(n int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.pages[n]; ok {
		return b, nil
	}
	b := make([]byte, max(min(cacheSize, c.m.size-n*cacheSize), 0))
	if _, err := c.m.ReadAt(b, n*cacheSize); err != nil {
		return nil, err
	}
	if len(c.pages) >= cachePages {
		for old := range c.pages { // any one
			delete(c.pages, old)
			break
		}
	}
	c.pages[n] = b
	return b, nil
}
