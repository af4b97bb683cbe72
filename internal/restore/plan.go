package restore

import (
	"fmt"
	"slices"

	"ingot/internal/block"
	"ingot/internal/disk"
)

// Source is a disk to be restored.
type Source struct {
	Layout *disk.Layout
	Parts  []Part // those whose contents there are, in the order of the disk
}

// Part is the content of one partition.
type Part struct {
	Number int
	Name   string // for messages
	Off    int64  // of the partition on the disk
	Reader block.Reader
	Used   block.Map // what of Reader is to be written
	// Step is the size in bytes whose multiples Reader gives best.
	Step int64
}

func (p *Part) extent() block.Extent { return block.Extent{Off: p.Off, Len: p.Reader.Size()} }

// Options say what to restore. The zero value restores everything there is.
type Options struct {
	// Partitions are the numbers of those to restore; none means all.
	Partitions []int
	// Blank says that the target reads as zeros everywhere, a file that was
	// just created: zeros are then not written, and it stays sparse.
	Blank bool
	// Check reads everything back and compares.
	Check bool
	// Workers is how many requests are under way at once; 0 chooses by cores and
	// memory.
	Workers int
}

// Plan is what a restore will do to its target.
type Plan struct {
	Parts []Part
	// Table says that the partition table is written. It is not when single
	// partitions are restored in place, into partitions of the same extent.
	Table bool
	// Lost are the partitions of the target that will be overwritten.
	Lost []disk.Partition
	// Bytes is how much will be written.
	Bytes    int64
	Warnings []string

	layout *disk.Layout
	target block.Device
	writes []disk.Write
	opts   Options
}

// Prepare says what restoring src to target means. current is how the target
// is cut now, nil when it has no table that can be read.
func Prepare(src Source, target block.Device, current *disk.Layout, opts Options) (*Plan, error) {
	p := &Plan{layout: src.Layout, target: target, opts: opts}
	var err error
	if p.Parts, err = choose(src.Parts, opts.Partitions); err != nil {
		return nil, err
	}
	p.Table = len(opts.Partitions) == 0 || !inPlace(p.Parts, current)
	if p.Table {
		if p.writes, err = src.Layout.Writes(target.Size()); err != nil {
			return nil, err
		}
		p.missing()
	}
	for i := range p.Parts {
		part := &p.Parts[i]
		if part.extent().End() > target.Size() {
			return nil, fmt.Errorf("%s ends at byte %d, the target has %d", part.Name, part.extent().End(), target.Size())
		}
		n, err := block.Bytes(part.Used)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.Name, err)
		}
		p.Bytes += n
	}
	p.lose(current)
	return p, nil
}

func choose(all []Part, numbers []int) ([]Part, error) {
	if len(numbers) == 0 {
		return all, nil
	}
	var out []Part
	for _, part := range all {
		if slices.Contains(numbers, part.Number) {
			out = append(out, part)
		}
	}
	for _, n := range numbers {
		if !slices.ContainsFunc(all, func(p Part) bool { return p.Number == n }) {
			return nil, fmt.Errorf("the image does not hold a partition %d", n)
		}
	}
	return out, nil
}

// inPlace says whether every part has a partition of exactly its extent on the
// target, so that the target's own table can stay.
func inPlace(parts []Part, current *disk.Layout) bool {
	if current == nil || current.Scheme == disk.SchemeNone {
		return false
	}
	for i := range parts {
		e := parts[i].extent()
		if !slices.ContainsFunc(current.Partitions, func(p disk.Partition) bool { return p.Off == e.Off && p.Len == e.Len }) {
			return false
		}
	}
	return true
}

// missing warns of partitions that the table will name and nobody fills.
func (p *Plan) missing() {
	for _, dp := range p.layout.Partitions {
		if dp.MSR || slices.ContainsFunc(p.Parts, func(part Part) bool { return part.Off == dp.Off }) {
			continue // a Microsoft reserved partition has no content
		}
		p.Warnings = append(p.Warnings, fmt.Sprintf(
			"partition %d (%s, at byte %d) is in the table but its content is not restored: format it before use", dp.Number, dp.TypeName, dp.Off))
	}
}

// lose finds the partitions of the target that will not survive.
func (p *Plan) lose(current *disk.Layout) {
	if current == nil {
		return
	}
	for _, dp := range current.Partitions {
		hit := p.Table || slices.ContainsFunc(p.Parts, func(part Part) bool {
			e := part.extent()
			return e.Off < dp.End() && dp.Off < e.End()
		})
		if hit {
			p.Lost = append(p.Lost, dp)
		}
	}
}
