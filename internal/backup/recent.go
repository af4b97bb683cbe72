package backup

import (
	"sync"

	"ingot/internal/block"
)

// recent is a point in time with the blocks that were read last: a file system
// is looked into by many small reads, each of which would have a whole block
// decompressed and hashed.
type recent struct {
	block.Reader
	size int64 // of a block

	mu    sync.Mutex
	slots []slot // a block has its place by its number
}

// slot is a block that was read.
type slot struct {
	number int64 // plus one; 0: none
	b      []byte
}

// recentBytes is how much is held; recentLeast is how many blocks that is at
// least.
const (
	recentBytes = 8 << 20
	recentLeast = 2
)

func newRecent(r block.Reader, size int64) *recent {
	return &recent{Reader: r, size: size, slots: make([]slot, max(recentBytes/size, recentLeast))}
}

// ReadAt implements block.Reader. A read over the border of a block, or of one
// or more, goes past what is held.
func (c *recent) ReadAt(p []byte, off int64) (int, error) {
	n := off / c.size
	if off < 0 || len(p) == 0 || (off+int64(len(p))-1)/c.size != n || off+int64(len(p)) > c.Size() || int64(len(p)) == c.size {
		return c.Reader.ReadAt(p, off)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.slots[n%int64(len(c.slots))]
	if s.number != n+1 {
		if s.b == nil {
			s.b = make([]byte, c.size)
		}
		s.number = 0
		s.b = s.b[:min(c.size, c.Size()-n*c.size)]
		if k, err := c.Reader.ReadAt(s.b, n*c.size); k < len(s.b) {
			return 0, err
		}
		s.number = n + 1
	}
	return copy(p, s.b[off-n*c.size:]), nil
}
