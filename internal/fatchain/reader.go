package fatchain

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Reader is the contents of a file. It may be used by several goroutines.
type Reader struct {
	chain Chain
	size  int64
	valid int64

	mu    sync.Mutex
	marks []int64 // cluster number i*markStep of the chain
	index int64   // of the cluster that was sought last, and the cluster
	at    int64
}

// markStep is how many clusters lie between two that are remembered.
const markStep = 1024

// Reader gives the first size bytes of a chain, of which those from valid on
// are zeros whatever lies in the clusters. It reads nothing yet.
func (c Chain) Reader(size, valid int64) *Reader {
	return &Reader{chain: c, size: size, valid: min(valid, size)}
}

// Size is the number of bytes.
func (r *Reader) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at byte %d of a file", off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > r.size-off {
		p, end = p[:r.size-off], io.EOF
	}
	stored := max(min(int64(len(p)), r.valid-off), 0)
	done := int64(0)
	for done < stored {
		n, err := r.some(p[done:stored], off+done)
		done += n
		if err != nil {
			return int(done), err
		}
	}
	clear(p[stored:])
	return len(p), end
}

// some reads what lies in one row of clusters.
func (r *Reader) some(p []byte, off int64) (int64, error) {
	s := r.chain.space
	within := off % s.Size
	want := (within + int64(len(p)) + s.Size - 1) / s.Size
	cluster, n, err := r.row(off/s.Size, want)
	if err != nil {
		return 0, fmt.Errorf("find byte %d of the file: %w", off, err)
	}
	at := s.Offset(cluster) + within
	size := min(int64(len(p)), n*s.Size-within)
	if got, err := s.reader.ReadAt(p[:size], at); int64(got) < size {
		return int64(got), fmt.Errorf("read %d bytes at byte %d: %w", size, at, err)
	}
	return size, nil
}

var errShort = errors.New("the chain of clusters ends before the file does")

// row finds a cluster by its number in the chain, and how many clusters from
// there on, at most want, are neighbours.
func (r *Reader) row(index, want int64) (cluster, n int64, err error) {
	c := r.chain
	if c.first == 0 {
		return 0, 0, errShort
	}
	if c.row > 0 {
		if !c.space.Has(c.first) || c.row > c.space.Count+2-c.first {
			return 0, 0, fmt.Errorf("%d clusters in a row begin at cluster %d of %d", c.row, c.first, c.space.Count)
		}
		if index >= c.row {
			return 0, 0, errShort
		}
		return c.first + index, min(want, c.row-index), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.seek(index); err != nil {
		return 0, 0, err
	}
	cluster = r.at
	for n = 1; n < want; n++ {
		before := r.at
		if err := r.step(); err != nil {
			break // comes again when it is asked for
		}
		if r.at != before+1 {
			break
		}
	}
	return cluster, n, nil
}

// seek brings index and at to a cluster.
func (r *Reader) seek(index int64) error {
	c := r.chain
	if index >= c.space.Count {
		return errShort // or the chain goes round
	}
	if len(r.marks) == 0 {
		if !c.space.Has(c.first) {
			return fmt.Errorf("the chain begins at cluster %d of %d", c.first, c.space.Count)
		}
		r.marks, r.index, r.at = []int64{c.first}, 0, c.first
	}
	if known := min(index/markStep, int64(len(r.marks)-1)); r.index > index || r.index < known*markStep {
		r.index, r.at = known*markStep, r.marks[known]
	}
	for r.index < index {
		if err := r.step(); err != nil {
			return err
		}
	}
	return nil
}

// step goes one cluster further.
func (r *Reader) step() error {
	next, err := r.chain.space.Next(r.at)
	if err == nil && next == 0 {
		err = errShort
	}
	if err != nil {
		return err
	}
	r.index, r.at = r.index+1, next
	if r.index == int64(len(r.marks))*markStep {
		r.marks = append(r.marks, next)
	}
	return nil
}
