package xfs

import (
	"fmt"
	"iter"

	"ingot/internal/block"
)

// Facts is what is known about a volume. Sizes are bytes, from the start of
// the partition; clusters are the blocks of the file system.
type Facts struct {
	Label, UUID   string // UUID: lower case, with hyphens
	Version       int    // 4 or 5
	SectorSize    int64
	ClusterSize   int64
	TotalClusters int64
	FreeClusters  int64  // in the free-space trees; 0 when they were not to be trusted
	UsedBytes     int64  // bytes in the map that Used gives
	WholeReason   string // why everything counts as used; "" when the map is proven
	Unsettled     string // why clusters that are free now need not stay free; "" when they do
	Warnings      []string
}

// Volume is an XFS volume found by Open. Its methods may be called from
// several goroutines.
type Volume struct {
	r     block.Reader
	super Super
	facts Facts
	used  block.Map
	files *Tree // nil: cannot be read
}

// Open reads the superblock and the free-space trees of the volume in partition
// r. It fails when r cannot be read at its start or does not begin with a sound
// superblock. Doubts about the rest make Facts.WholeReason.
func Open(r block.Reader) (*Volume, error) {
	s, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	v := &Volume{r: r, super: s}
	v.facts = Facts{
		Label: s.Label, UUID: fmt.Sprintf("%x-%x-%x-%x-%x", s.UUID[:4], s.UUID[4:6], s.UUID[6:8], s.UUID[8:10], s.UUID[10:]),
		Version: s.Version, SectorSize: s.SectorSize, ClusterSize: s.BlockSize, TotalClusters: s.Blocks,
	}
	if s.tree.unreadable == nil {
		v.files = newTree(r, &v.super)
	}
	if s.tree.damaged {
		v.facts.Warnings = append(v.facts.Warnings, "The volume is marked as needing repair, and its files are read as they lie. Run xfs_repair on it.")
	}
	if err := v.load(); err != nil {
		v.facts.WholeReason = err.Error()
		v.facts.FreeClusters = 0
		v.facts.UsedBytes = r.Size()
		v.used = block.Whole(r.Size())
	}
	return v, nil
}

// readSuper reads the superblock at the start of the partition.
func readSuper(r block.Reader) (Super, error) {
	b := make([]byte, minSector)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return Super{}, fmt.Errorf("read XFS superblock at byte 0: %w", err)
	}
	size, err := sectorSize(b)
	if err != nil {
		return Super{}, err
	}
	b = make([]byte, size)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return Super{}, fmt.Errorf("read XFS superblock at byte 0: %w", err)
	}
	return ParseSuper(b)
}

// Facts returns what is known about the volume.
func (v *Volume) Facts() Facts { return v.facts }

// Used is the map of the bytes that matter, from the start of the partition,
// with those behind the file system's end. A walk ends with an error when a
// tree cannot be read or when the number of free blocks is no longer the one
// counted by Open.
func (v *Volume) Used() block.Map { return v.used }

// load does all that may show that the volume must be copied whole.
func (v *Volume) load() error {
	s := &v.super
	if s.doubt != nil {
		return s.doubt
	}
	if need := s.Blocks * s.BlockSize; need > v.r.Size() {
		return fmt.Errorf("the file system says it has %d bytes, the partition has %d", need, v.r.Size())
	}
	clean, err := v.logClean()
	if err != nil {
		return err
	}
	if !clean {
		v.unclean()
	}
	var free, spare int64
	for no := range s.Groups {
		g, err := v.readGroup(no)
		if err != nil {
			return err
		}
		if err := v.prove(g); err != nil {
			return err
		}
		free += g.free
		spare += g.ring[2]
		if s.lazy {
			spare += g.btreeBlocks
		}
	}
	if clean && s.FreeBlocks != free+spare {
		return fmt.Errorf("the superblock counts %d free blocks, the allocation groups %d", s.FreeBlocks, free+spare)
	}
	v.facts.FreeClusters = free
	v.facts.UsedBytes = v.r.Size() - free*s.BlockSize
	v.used = usedMap{v, free}
	return nil
}

// unclean notes that the log holds changes that did not reach their places, or
// may do so. The superblock's count is one of them.
func (v *Volume) unclean() {
	v.facts.Unsettled = "its log was not closed by an unmount"
	v.facts.Warnings = append(v.facts.Warnings,
		"The log is in use: the volume is mounted, or was not unmounted. Unless this is a snapshot, mount and unmount it, and image again. Files are read without what only the log has.")
}

// prove walks both trees of a group and fails unless they hold the same
// extents, as many as the AGF says, and nothing that is in use.
func (v *Volume) prove(g *group) error {
	must := g.inUse(&v.super)
	var bno, cnt tally
	var held error
	if _, err := v.walk(g, &g.bno, func(e extent) bool {
		bno.add(e)
		must, held = outside(must, g.first*v.super.BlockSize, e, v.super.BlockSize)
		return held == nil
	}); err != nil {
		return err
	}
	if held != nil {
		return fmt.Errorf("bnobt of allocation group %d: %w", g.no, held)
	}
	if bno.blocks != g.free || bno.longest != g.longest {
		return fmt.Errorf("bnobt of allocation group %d holds %d blocks, at most %d in a row; its AGF says %d and %d", g.no, bno.blocks, bno.longest, g.free, g.longest)
	}
	if _, err := v.walk(g, &g.cnt, func(e extent) bool { cnt.add(e); return true }); err != nil {
		return err
	}
	if bno != cnt {
		return fmt.Errorf("bnobt and cntbt of allocation group %d do not hold the same extents (%d blocks, %d blocks)", g.no, bno.blocks, cnt.blocks)
	}
	return nil
}

// outside fails when a free extent holds the first of the bytes that are in
// use, and gives those that come behind it. base is the byte of block 0.
func outside(must block.Extents, base int64, e extent, size int64) (block.Extents, error) {
	lo, hi := base+e.start*size, base+e.end()*size
	for len(must) > 0 && must[0].End() <= lo {
		must = must[1:]
	}
	if len(must) > 0 && must[0].Off < hi {
		return must, fmt.Errorf("the free extent of %d blocks at %d holds bytes of %v, which are in use", e.n, e.start, must[0])
	}
	return must, nil
}

// tally is what the extents of a tree amount to, in whatever order they come.
type tally struct {
	extents, blocks, longest int64
	mix                      uint64
}

// add counts an extent. The sum of scrambled extents is the same for the same
// set of them, and hardly for any other (the finalizer of MurmurHash3).
func (t *tally) add(e extent) {
	t.extents++
	t.blocks += e.n
	t.longest = max(t.longest, e.n)
	h := uint64(e.start)<<32 | uint64(e.n)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	t.mix += h ^ h>>33
}

// usedMap is all of the partition but the free extents, of which Open counted
// the blocks.
type usedMap struct {
	v    *Volume
	free int64
}

// Extents implements block.Map.
func (m usedMap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		w := gaps{yield: yield}
		s := &m.v.super
		for no := range s.Groups {
			g, err := m.v.readGroup(no)
			stopped := false
			if err == nil {
				stopped, err = m.v.walk(g, &g.bno, func(e extent) bool {
					w.free += e.n
					return w.skip((g.first+e.start)*s.BlockSize, e.n*s.BlockSize)
				})
			}
			if stopped {
				return
			}
			if err != nil {
				yield(block.Extent{}, err)
				return
			}
		}
		if w.free != m.free {
			yield(block.Extent{}, fmt.Errorf("XFS: %d blocks are free now, %d were when the volume was opened: the source is changing", w.free, m.free))
			return
		}
		w.skip(m.v.r.Size(), 0)
	}
}

// gaps yields what lies between the extents it is told to skip.
type gaps struct {
	yield func(block.Extent, error) bool
	pos   int64 // the end of what was skipped last
	free  int64 // blocks skipped
}

func (w *gaps) skip(off, n int64) bool {
	from := w.pos
	w.pos = off + n
	return off == from || w.yield(block.Extent{Off: from, Len: off - from}, nil)
}
