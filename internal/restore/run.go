package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/job"
	"ingot/internal/pipeline"
)

const (
	// chunk is how many bytes are asked for and written at a time.
	chunk = 1 << 20
	// tableReach is how far from either end of a disk a partition table can
	// be found: protective MBR, GPT header and its usual 128 entries, in
	// sectors of 512 or 4096 bytes.
	tableReach = 64 << 10
)

// ErrDiffers is wrapped by the error of a check that found the target to
// differ from what was written.
var ErrDiffers = errors.New("the target does not hold what was written to it")

// head is how much of the front of each partition is held back until all else
// is on the disk: the boot sectors and superblocks by which a file system is
// recognised (the last one to come is that of Btrfs, at 64 KiB).
const head = 128 << 10

// Run carries the plan out. When it fails after its first write, the target is
// not to be used: it has no table if Table is set, and the partitions that were
// to be restored hold nothing that looks like a file system.
func (p *Plan) Run(ctx context.Context, log *job.Log) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !p.opts.Blank {
		if err := p.wipe(); err != nil {
			return err
		}
	}
	meter := log.Stage("restore", p.Bytes)
	var heads []disk.Write
	var done int64
	for i := range p.Parts {
		part := &p.Parts[i]
		meter.Object(part.Name)
		n, err := p.copy(ctx, part, meter, &heads)
		if err != nil {
			return fmt.Errorf("restore %s: %w", part.Name, err)
		}
		done += n
	}
	meter.End()
	if done != p.Bytes {
		return fmt.Errorf("restore: only %d of %d bytes came out of the source", done, p.Bytes)
	}
	log.Note("waiting until everything is on the disk")
	for _, writes := range [][]disk.Write{heads, p.writes} {
		if err := p.finish(writes); err != nil {
			return err
		}
	}
	if p.opts.Check {
		return p.check(ctx, log)
	}
	return p.checkTable() // always: nothing is found without it
}

// finish makes what was written before durable, and then adds these writes.
func (p *Plan) finish(writes []disk.Write) error {
	if err := p.sync(); err != nil {
		return err
	}
	for _, w := range writes {
		if _, err := p.target.WriteAt(w.Data, w.Off); err != nil {
			return fmt.Errorf("write to byte %d of the target: %w", w.Off, err)
		}
	}
	return p.sync()
}

func (p *Plan) sync() error {
	if err := p.target.Sync(); err != nil {
		return fmt.Errorf("sync the target: %w", err)
	}
	return nil
}

// wipe takes away what makes the old contents of the target look usable: its
// partition tables, and the front of the partitions that are restored.
func (p *Plan) wipe() error {
	var tables, fronts []block.Extent
	if p.Table {
		n := min(tableReach, p.target.Size())
		tables = []block.Extent{{Off: 0, Len: n}, {Off: p.target.Size() - n, Len: n}}
	}
	for i := range p.Parts {
		e := p.Parts[i].extent()
		fronts = append(fronts, block.Extent{Off: e.Off, Len: min(head, e.Len)})
	}
	for _, gone := range [][]block.Extent{tables, fronts} {
		for _, e := range gone {
			if _, err := p.target.WriteAt(make([]byte, e.Len), e.Off); err != nil {
				return fmt.Errorf("clear the old contents at byte %d of the target: %w", e.Off, err)
			}
		}
		if err := p.sync(); err != nil {
			return err
		}
	}
	return nil
}

// item is one request on its way.
type item struct {
	extent block.Extent
	buf    []byte
	other  []byte
}

func (it *item) size(b *[]byte) []byte {
	if int64(cap(*b)) < it.extent.Len {
		*b = make([]byte, max(chunk, it.extent.Len))
	}
	return (*b)[:it.extent.Len]
}

// each takes all of a part through work, side by side, and then through done,
// in order.
func (p *Plan) each(ctx context.Context, part *Part, work, done func(*item) error) error {
	step := max(chunk/max(part.Step, 1), 1) * max(part.Step, 1)
	read, stop := pipeline.From(block.Chunks(part.Used, step), func(it *item, p block.Extent) { it.extent = p })
	defer stop()
	workers := p.opts.Workers
	if workers == 0 {
		workers = pipeline.Items(3 * step) // raw, stored, and what a check compares with
	}
	return pipeline.Run(ctx, workers, pipeline.Stages[item]{
		New:  func() *item { return new(item) },
		Read: read,
		Work: func(it *item) error {
			it.buf = it.size(&it.buf)
			if _, err := part.Reader.ReadAt(it.buf, it.extent.Off); err != nil {
				return err
			}
			return work(it)
		},
		Write: done,
	})
}

// copy writes the contents of a part but for its head, which it adds to heads.
// It returns how many bytes the part had.
func (p *Plan) copy(ctx context.Context, part *Part, meter *job.Meter, heads *[]disk.Write) (done int64, err error) {
	nothing := func(*item) error { return nil }
	err = p.each(ctx, part, nothing, func(it *item) error {
		meter.Add(it.extent.Len)
		done += it.extent.Len
		at, buf := part.Off+it.extent.Off, it.buf
		if p.opts.Blank && allZero(buf) {
			return nil
		}
		if early := min(head-it.extent.Off, it.extent.Len); early > 0 {
			*heads = append(*heads, disk.Write{Off: at, Data: bytes.Clone(buf[:early])})
			at, buf = at+early, buf[early:]
		}
		if len(buf) == 0 {
			return nil
		}
		if _, err := p.target.WriteAt(buf, at); err != nil {
			return fmt.Errorf("write to byte %d of the target: %w", at, err)
		}
		return nil
	})
	return done, err
}

func allZero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

// forgetful is a target that can be told to drop what it caches, so that a
// check reads the medium and not memory.
type forgetful interface{ DropCache() error }

// check reads the target back and compares it with the source.
func (p *Plan) check(ctx context.Context, log *job.Log) error {
	if f, ok := p.target.(forgetful); ok {
		if err := f.DropCache(); err != nil {
			log.Note("the check may read from memory instead of the disk: %v", err)
		}
	}
	meter := log.Stage("check", p.Bytes)
	var done int64
	for i := range p.Parts {
		part := &p.Parts[i]
		meter.Object(part.Name)
		compare := func(it *item) error {
			it.other = it.size(&it.other)
			at := part.Off + it.extent.Off
			if _, err := p.target.ReadAt(it.other, at); err != nil {
				return fmt.Errorf("read byte %d of the target: %w", at, err)
			}
			if !bytes.Equal(it.buf, it.other) {
				return fmt.Errorf("%w: bytes %d to %d", ErrDiffers, at, at+it.extent.Len-1)
			}
			return nil
		}
		err := p.each(ctx, part, compare, func(it *item) error {
			meter.Add(it.extent.Len)
			done += it.extent.Len
			return nil
		})
		if err != nil {
			return fmt.Errorf("check %s: %w", part.Name, err)
		}
	}
	meter.End()
	if done != p.Bytes {
		return fmt.Errorf("check: only %d of %d bytes came out of the source", done, p.Bytes)
	}
	return p.checkTable()
}

func (p *Plan) checkTable() error {
	for _, w := range p.writes {
		got := make([]byte, len(w.Data))
		if _, err := p.target.ReadAt(got, w.Off); err != nil {
			return fmt.Errorf("read the partition table back at byte %d: %w", w.Off, err)
		}
		if !bytes.Equal(got, w.Data) {
			return fmt.Errorf("partition table: %w: bytes %d to %d", ErrDiffers, w.Off, w.Off+int64(len(w.Data))-1)
		}
	}
	return nil
}
