package fatchain

import (
	"errors"
	"fmt"
	"iter"
)

// Chain is the clusters of a file, in order.
type Chain struct {
	space *Space
	first int64 // 0: there are none
	row   int64 // how many follow each other without the table; 0 when it chains them
}

// Chain is the chain that the table gives from a first cluster on; 0 is that of
// an empty file.
func (s *Space) Chain(first int64) Chain { return Chain{s, first, 0} }

// Row is n clusters one behind the other.
func (s *Space) Row(first, n int64) Chain {
	if n <= 0 {
		return Chain{space: s}
	}
	return Chain{s, first, n}
}

// Table says whether the table must be read to walk the chain.
func (c Chain) Table() bool { return c.row == 0 && c.first != 0 }

// Run is N neighbouring clusters.
type Run struct{ First, N int64 }

// maxRun bounds a run, so that a walk that wants only the beginning soon has it.
const maxRun = 1 << 12

// errRound is given of a chain that goes round.
var errRound = errors.New("the chain goes round and does not end")

// Runs walks the chain. Runs may touch.
func (c Chain) Runs() iter.Seq2[Run, error] {
	if c.row > 0 || c.first == 0 {
		return c.inRow()
	}
	return func(yield func(Run, error) bool) {
		if !c.space.Has(c.first) {
			yield(Run{}, fmt.Errorf("the chain begins at cluster %d of %d", c.first, c.space.Count))
			return
		}
		// Brent's search for a cycle: the walk must not come back to a mark
		// that is moved on ever more seldom.
		mark, steps, limit := int64(0), int64(0), int64(2)
		run := Run{c.first, 1}
		for at := c.first; ; {
			next, err := c.space.Next(at)
			if err == nil && next == mark && next != 0 {
				err = errRound
			}
			if err == nil && next == at+1 && run.N < maxRun {
				run.N++
			} else {
				if !yield(run, nil) {
					return
				}
				run = Run{next, 1}
			}
			if err != nil {
				yield(Run{}, err)
				return
			}
			if next == 0 {
				return
			}
			at = next
			if steps++; steps == limit {
				mark, limit = at, limit*2
			}
		}
	}
}

// inRow is a walk that needs no table.
func (c Chain) inRow() iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		if c.row == 0 {
			return
		}
		if !c.space.Has(c.first) || c.row > c.space.Count+2-c.first {
			yield(Run{}, fmt.Errorf("%d clusters in a row begin at cluster %d of %d", c.row, c.first, c.space.Count))
			return
		}
		yield(Run{c.first, c.row}, nil)
	}
}

// Ranges walks the bytes of the clusters: offset in the volume and length.
// These may touch.
func (c Chain) Ranges() iter.Seq2[Range, error] {
	return func(yield func(Range, error) bool) {
		for run, err := range c.Runs() {
			if err != nil {
				yield(Range{}, err)
				return
			}
			if !yield(Range{c.space.Offset(run.First), run.N * c.space.Size}, nil) {
				return
			}
		}
	}
}

// Range is Len bytes from Off on.
type Range struct{ Off, Len int64 }

// Piece is what lies at a place of the volume.
type Piece struct {
	Off  int64
	Data []byte // valid until the next one
}

// pieceSize is how much Pieces reads at a time.
const pieceSize = 64 << 10

// Pieces reads the first limit bytes of the chain, or all that there is, one
// piece after the other.
func (c Chain) Pieces(limit int64) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		var buf []byte
		for r, err := range c.Ranges() {
			if err != nil {
				yield(Piece{}, err)
				return
			}
			for r.Len > 0 {
				n := min(r.Len, pieceSize, limit)
				if n <= 0 {
					return
				}
				if int64(cap(buf)) < n {
					buf = make([]byte, n)
				}
				if got, err := c.space.reader.ReadAt(buf[:n], r.Off); int64(got) < n {
					yield(Piece{}, fmt.Errorf("read %d bytes at byte %d: %w", n, r.Off, err))
					return
				}
				if !yield(Piece{r.Off, buf[:n]}, nil) {
					return
				}
				r, limit = Range{r.Off + n, r.Len - n}, limit-n
			}
		}
	}
}
