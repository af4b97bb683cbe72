package ntfs

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"ingot/internal/filesys/ntfs/internal/expand"
)

// maxUnit bounds a compression unit. Windows has 16 clusters, of 4 KiB at most.
const maxUnit = 1 << 20

// compressed is the contents of an LZNT1-compressed attribute. It is made of
// units of 2^n clusters, each of which is one of three: without a hole, its
// clusters are the contents; all hole, it is zeros; and clusters with a hole
// behind them are the compressed contents.
type compressed struct {
	s      *stream
	raw    stream // the clusters alone, without regard to the sizes
	unit   int64  // bytes
	mu     sync.Mutex
	at     int64 // first byte of the unit in plain, -1 for none
	plain  []byte
	packed []byte
}

func newCompressed(s *stream) (contents, error) {
	if s.unit > 16 || s.clusterSize<<s.unit > maxUnit {
		return nil, fmt.Errorf("compression unit of 2^%d clusters", s.unit)
	}
	if s.unit == 0 {
		return s, nil
	}
	all := endVCN(s.runs) * s.clusterSize
	return &compressed{
		s: s, unit: s.clusterSize << s.unit, at: -1,
		raw: stream{r: s.r, clusterSize: s.clusterSize, runs: s.runs, size: all, valid: all},
	}, nil
}

// ReadAt implements contents.
func (c *compressed) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := c.piece(p[done:], off+int64(done))
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// piece fills the front of p, up to the end of the unit that holds off.
func (c *compressed) piece(p []byte, off int64) (int, error) {
	if off >= c.s.valid {
		clear(p)
		return len(p), nil
	}
	first := off / c.unit * c.unit
	p = p[:min(int64(len(p)), c.s.valid-off, first+c.unit-off)]
	have, hole, err := c.s.inUnit(first/c.s.clusterSize, c.unit/c.s.clusterSize)
	switch {
	case err != nil:
		return 0, err
	case have == 0:
		clear(p)
		return len(p), nil
	case !hole:
		return c.raw.ReadAt(p, off)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at != first {
		if err := c.expand(first, have*c.s.clusterSize); err != nil {
			return 0, err
		}
	}
	return copy(p, c.plain[off-first:]), nil
}

// expand takes the unit at a byte into plain; size is that of its clusters.
func (c *compressed) expand(first, size int64) error {
	c.at = -1
	if c.plain == nil {
		c.plain, c.packed = make([]byte, c.unit), make([]byte, c.unit)
	}
	if n, err := c.raw.ReadAt(c.packed[:size], first); int64(n) < size {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	if err := expand.LZNT1(c.plain, c.packed[:size]); err != nil {
		return fmt.Errorf("compression unit at byte %d: %w", first, err)
	}
	c.at = first
	return nil
}

// inUnit counts the clusters of the n from VCN first on, and tells whether a
// hole, or the end of the runs, is behind them.
func (s *stream) inUnit(first, n int64) (have int64, hole bool, err error) {
	end := first + n
	for i := s.runAt(first); i < len(s.runs) && s.runs[i].vcn < end; i++ {
		r := s.runs[i]
		if r.lcn == sparse {
			hole = true
			continue
		}
		if hole {
			return 0, false, fmt.Errorf("compression unit at VCN %d: clusters behind a hole", first)
		}
		have += min(r.vcn+r.n, end) - max(r.vcn, first)
	}
	return have, have < n, nil
}
