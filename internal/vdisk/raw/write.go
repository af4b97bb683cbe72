package raw

import (
	"context"
	"fmt"
	"io"
	"iter"

	"ingot/internal/block"
	"ingot/internal/pipeline"
)

const (
	// chunk is how much is read at a time.
	chunk = 1 << 20
	// grain is the least that a file system gives out, as most are.
	grain = 4096
	// leap is how many bytes of zeros it takes for a hole to be worth its while.
	leap = 64 << 10
)

// Write copies the size bytes of r that used holds to the same place in w, which
// reads as zeros and is as large as it shall be. Zeros are not written. progress
// is told how many bytes of used are done, and may be nil.
func Write(ctx context.Context, w io.WriterAt, size int64, r block.Reader, used block.Map, progress func(int64)) error {
	if progress == nil {
		progress = func(int64) {}
	}
	type item struct {
		piece block.Piece
		buf   []byte
	}
	read, stop := pipeline.From(block.Pieces(used, grain, chunk, size), func(it *item, p block.Piece) { it.piece = p })
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(chunk), pipeline.Stages[item]{
		New:  func() *item { return &item{buf: make([]byte, chunk)} },
		Read: read,
		Work: func(it *item) error { return it.piece.Load(r, it.buf) },
		Write: func(it *item) error {
			for e := range runs(it.buf[:it.piece.Len]) {
				if _, err := w.WriteAt(it.buf[e.Off:e.End()], it.piece.Off+e.Off); err != nil {
					return fmt.Errorf("write %d bytes at byte %d: %w", e.Len, it.piece.Off+e.Off, err)
				}
			}
			progress(it.piece.Bytes())
			return nil
		},
	})
}

// runs are the stretches of b to be written: those between holes that are worth
// it.
func runs(b []byte) iter.Seq[block.Extent] {
	return func(yield func(block.Extent) bool) {
		var cur block.Extent
		for off := int64(0); off < int64(len(b)); off += grain {
			end := min(off+grain, int64(len(b)))
			if block.Zeros(b[off:end]) {
				continue
			}
			if cur.Len > 0 && off-cur.End() >= leap {
				if !yield(cur) {
					return
				}
				cur.Len = 0
			}
			if cur.Len == 0 {
				cur.Off = off
			}
			cur.Len = end - cur.Off
		}
		if cur.Len > 0 {
			yield(cur)
		}
	}
}
