package image

import (
	"context"
	"fmt"
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

// Verify reads every block that the point in time stores, in whichever file of
// its chain, decodes it and compares its MD5 and, where there is one, its
// BLAKE3, and the MD5 of all metadata of these files. It goes on behind damage, which is listed in the result; its
// error means that it could not be carried out. progress, which may be nil, is
// told of raw bytes as they are done.
func (c *Chain) Verify(ctx context.Context, progress func(bytes int64)) (*VerifyResult, error) {
	v := &verifier{progress: progress}
	for _, f := range c.files {
		for i := range f.metas {
			if err := f.metas[i].check(f.blob); err != nil {
				v.damage(Damage{Err: fmt.Errorf("%s: %w", f.name, err)})
			}
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
	row
	buf []byte
	bad []Damage
}

func (v *verifier) volume(ctx context.Context, number int, vol *Volume) error {
	read, stop := pipeline.From(vol.rows(Chunk), func(it *verifyItem, r row) {
		it.space, it.first, it.n = r.space, r.first, r.n
		it.strong = append(it.strong[:0], r.strong...)
	})
	defer stop()
	return pipeline.Run(ctx, pipeline.Items(2*max(Chunk, vol.BlockSize())), pipeline.Stages[verifyItem]{
		New:  func() *verifyItem { return new(verifyItem) },
		Read: read,
		Work: func(it *verifyItem) error {
			s := it.space
			size := min((it.first+it.n)*s.piece, s.size) - it.first*s.piece
			if int64(cap(it.buf)) < size {
				it.buf = make([]byte, size)
			}
			it.bad = it.bad[:0]
			return vol.check(&it.row, it.buf[:size], func(piece int64, err error) error {
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
	strong   []*[strongSize]byte // their hashes, nil where there is none
	marks    []mark              // their tags, of a sealed image
}

// rows yields all stored pieces of the volume, at most chunk bytes together; a
// row is good until the next one.
func (v *Volume) rows(chunk int64) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for i := range v.spaces {
			if !v.spaceRows(&v.spaces[i], chunk, yield) {
				return
			}
		}
	}
}

func (v *Volume) spaceRows(s *space, chunk int64, yield func(row, error) bool) bool {
	per := max(chunk/s.piece, 1)
	cur := row{space: s}
	next, err := v.records(s)
	for err == nil {
		var rec record
		var ok bool
		if rec, ok, err = next(); !ok || err != nil {
			break
		}
		if cur.n == per || cur.n > 0 && rec.piece != cur.first+cur.n {
			if !yield(cur, nil) {
				return false
			}
			cur.n, cur.strong = 0, cur.strong[:0]
		}
		if cur.n == 0 {
			cur.first = rec.piece
		}
		cur.n++
		var strong *[strongSize]byte
		if rec.hasStrong {
			strong = &rec.strong
		}
		cur.strong = append(cur.strong, strong)
	}
	if err != nil {
		yield(row{}, err)
		return false
	}
	return cur.n == 0 || yield(cur, nil)
}

// recordsOf is records of an area; one that the volume does not have is empty.
func (v *Volume) recordsOf(a Area) (func() (record, bool, error), error) {
	for i := range v.spaces {
		if v.spaces[i].area == a {
			return v.records(&v.spaces[i])
		}
	}
	return func() (record, bool, error) { return record{}, false, nil }, nil
}

// records gives the stored pieces of a space with all that is known of them,
// one for each call.
func (v *Volume) records(s *space) (func() (record, bool, error), error) {
	if s.area == Reserved {
		return v.tables[len(v.tables)-1].reader(Reserved).next, nil
	}
	state, err := newState(v.tables)
	if err != nil {
		return nil, err
	}
	return state.next, nil
}
