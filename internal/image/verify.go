package image

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"

	"ingot/internal/block"
	"ingot/internal/pipeline"
)

// Damage is one damaged place of an image.
type Damage struct {
	Disk      int          // number of the disk in the image, from 1; 0: the metadata
	Partition int64        // its number on the disk
	Extent    block.Extent // bytes of the partition
	Err       error
}

// VerifyResult is what Verify found.
type VerifyResult struct {
	Blocks  int64    // stored blocks that were read
	Bytes   int64    // raw bytes of these
	Damaged []Damage // the first ones
	Count   int64    // of damaged places, those not listed too
}

// maxDamage is how many damaged places are listed.
const maxDamage = 10_000

// Verify reads every stored block, decodes it and compares its MD5, and those
// of all metadata. It goes on behind damage, which is listed in the result; its
// error means that it could not be carried out. progress, which may be nil, is
// told of raw bytes as they are done.
func (c *Chain) Verify(ctx context.Context, progress func(bytes int64)) (*VerifyResult, error) {
	v := &verifier{progress: progress}
	for i := range c.metas {
		if err := c.metas[i].check(c.blob); err != nil {
			v.damage(Damage{Err: err})
		}
	}
	for d, cd := range c.disks {
		for _, vol := range cd.Partitions {
			if err := v.volume(ctx, d+1, vol); err != nil {
				return nil, fmt.Errorf("verify partition %d: %w", vol.Doc.Header.Number, err)
			}
		}
	}
	return &v.result, nil
}

type verifier struct {
	progress func(int64)
	mu       sync.Mutex
	result   VerifyResult
}

func (v *verifier) damage(d Damage) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.result.Count++
	if len(v.result.Damaged) < maxDamage {
		v.result.Damaged = append(v.result.Damaged, d)
	}
}

// verifyItem is a row of pieces in one space.
type verifyItem struct {
	space    *space
	first, n int64
	buf      []byte
	bad      []Damage
}

func (v *verifier) volume(ctx context.Context, number int, vol *Volume) error {
	next, stop := iter.Pull2(vol.rows(Chunk))
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(2*max(Chunk, vol.BlockSize())), pipeline.Stages[verifyItem]{
		New: func() *verifyItem { return new(verifyItem) },
		Read: func(it *verifyItem) error {
			r, err, ok := next()
			if !ok {
				return io.EOF
			}
			it.space, it.first, it.n = r.space, r.first, r.n
			return err
		},
		Work: func(it *verifyItem) error {
			s := it.space
			size := min((it.first+it.n)*s.piece, s.size) - it.first*s.piece
			if int64(cap(it.buf)) < size {
				it.buf = make([]byte, size)
			}
			it.bad = it.bad[:0]
			return vol.check(s, it.first, it.n, it.buf[:size], func(piece int64, err error) error {
				it.bad = append(it.bad, Damage{Disk: number, Partition: vol.Doc.Header.Number, Err: err,
					Extent: block.Extent{Off: s.base + piece*s.piece, Len: s.length(piece)}})
				return nil
			})
		},
		Write: func(it *verifyItem) error {
			size := min((it.first+it.n)*it.space.piece, it.space.size) - it.first*it.space.piece
			v.result.Blocks += it.n
			v.result.Bytes += size
			for _, d := range it.bad {
				v.damage(d)
			}
			if v.progress != nil {
				v.progress(size)
			}
			return nil
		},
	})
}

// Chunk is how many raw bytes are read, decoded or compressed at a time: enough
// to fill the lanes of the hash at the usual block size, little enough to stay
// in a core's cache.
const Chunk = 1 << 20

// row is some neighbouring stored pieces of a space.
type row struct {
	space    *space
	first, n int64
}

// rows yields all stored pieces of the volume, at most chunk bytes together.
func (v *Volume) rows(chunk int64) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for i := range v.spaces {
			s := &v.spaces[i]
			per := max(chunk/s.piece, 1)
			ok := v.walk(s, func(e block.Extent, err error) bool {
				if err != nil {
					yield(row{}, err)
					return false
				}
				first := (e.Off - s.base) / s.piece
				for n := (e.Len + s.piece - 1) / s.piece; n > 0; {
					k := min(n, per)
					if !yield(row{s, first, k}, nil) {
						return false
					}
					first, n = first+k, n-k
				}
				return true
			})
			if !ok {
				return
			}
		}
	}
}
