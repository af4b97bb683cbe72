// Package pipeline runs one job over a long row of items: read, work, write,
// with the reads and the writes in order and the work side by side.
//
// A fixed number of items is all there is: each belongs to one goroutine, which
// takes the next turn to read into it, works on it, waits for its turn to write
// it, and begins anew. So memory does not grow with the input, a slow writer
// holds the readers back, and an item's bytes stay on the core that read them.
//
// The package promises that no goroutine outlives Run and that the first error
// is the one returned. It does not promise which items were written when Run
// fails, only that they are a prefix of those that were read.
package pipeline

import (
	"context"
	"io"
	"iter"
	"runtime"
	"sync"
)

// Stages is what happens to an item. T holds the item's buffers and whatever
// the work needs for itself (a codec, a hasher): it is never used by two
// goroutines at once and is used again for later items.
type Stages[T any] struct {
	New   func() *T      // makes one item; called once for each
	Read  func(*T) error // fills it with the next input; io.EOF ends the run
	Work  func(*T) error // the costly part, done for several items at once
	Write func(*T) error // takes the result, in the order of Read
}

// From gives the Read that takes what seq yields, in its order, and what ends the
// walk when the run is over.
func From[T, P any](seq iter.Seq2[P, error], take func(*T, P)) (read func(*T) error, stop func()) {
	next, stop := iter.Pull2(seq)
	return func(it *T) error {
		p, err, ok := next()
		if !ok {
			return io.EOF
		}
		take(it, p)
		return err
	}, stop
}

// memory is what the items of a run may take together, in bytes.
const memory = 40 << 20

// Items is how many items of size bytes a run should have: four for each core,
// so that all cores are busy while some items wait for the disk or for their
// turn, but no more than fit into the memory of a small machine.
func Items(size int64) int {
	return int(max(min(int64(4*runtime.GOMAXPROCS(0)), memory/max(size, 1)), 2))
}

// Run moves items through the stages until Read returns io.EOF, a stage fails
// or ctx is done. At most items of them are under way at once.
func Run[T any](ctx context.Context, items int, s Stages[T]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run[T]{ctx: ctx, stages: s, last: make(chan struct{})}
	close(r.last)
	var all sync.WaitGroup
	for range max(items, 1) {
		all.Go(func() {
			if err := r.loop(s.New()); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

type run[T any] struct {
	ctx    context.Context
	stages Stages[T]

	reading sync.Mutex    // held while an item is read
	ended   bool          // Read has said io.EOF, or failed
	last    chan struct{} // closed when the item read last has been written
}

func (r *run[T]) loop(item *T) error {
	for {
		before, mine, err := r.read(item)
		if mine == nil {
			return err
		}
		if err := r.stages.Work(item); err != nil {
			return err
		}
		select {
		case <-before:
		case <-r.ctx.Done():
			return nil
		}
		if r.ctx.Err() != nil {
			return nil
		}
		if err := r.stages.Write(item); err != nil {
			return err
		}
		close(mine)
	}
}

// read takes a turn at the input. It returns the channel that says that the
// item before has been written, and the one to close when this one has; a nil
// channel means that there is nothing more to do.
func (r *run[T]) read(item *T) (before, mine chan struct{}, err error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.ended || r.ctx.Err() != nil {
		return nil, nil, nil
	}
	if err := r.stages.Read(item); err != nil {
		r.ended = true
		// Not errors.Is: an io.EOF within another error is an input that was
		// cut short, and no end.
		if err == io.EOF {
			err = nil
		}
		return nil, nil, err
	}
	before, mine = r.last, make(chan struct{})
	r.last = mine
	return before, mine, nil
}
