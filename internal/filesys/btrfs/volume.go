package btrfs

import (
	"fmt"
	"iter"
	"sync/atomic"

	"ingot/internal/block"
)

// Facts is what is known about a volume. Sizes are bytes, from the start of the
// partition; clusters are the sectors that Btrfs allocates by.
type Facts struct {
	Label, UUID   string // UUID: lower case, with hyphens
	SectorSize    int64  // of the file system, which is not that of the device
	NodeSize      int64
	ClusterSize   int64
	TotalClusters int64
	FreeClusters  int64  // on the device, in chunks and outside; 0 when the trees were not to be trusted
	UsedBytes     int64  // bytes in the map that Used gives
	WholeReason   string // why everything counts as used; "" when the map is proven
	Warnings      []string
}

// Volume is a Btrfs volume found by Open. Its methods may be called from
// several goroutines.
type Volume struct {
	forest
	facts      Facts
	extentRoot root
	stripes    []stripe
	used       block.Map
	files      *Tree // nil: cannot be read
}

// Open reads the superblock and the trees of chunks and extents of the volume
// in partition r. It fails when the superblock cannot be read or is not sound.
// Doubts about the rest make Facts.WholeReason.
func Open(r block.Reader) (*Volume, error) {
	s, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	v := &Volume{forest: forest{r: r, super: &s, second: new(atomic.Int64)}}
	v.facts = Facts{
		Label: s.Label, UUID: fmt.Sprintf("%x-%x-%x-%x-%x", s.FSID[:4], s.FSID[4:6], s.FSID[6:8], s.FSID[8:10], s.FSID[10:]),
		SectorSize: s.SectorSize, NodeSize: s.NodeSize, ClusterSize: s.SectorSize, TotalClusters: s.Device.Size / s.SectorSize,
	}
	if err := v.load(); err != nil {
		v.facts.WholeReason = err.Error()
		v.facts.FreeClusters = 0
		v.facts.UsedBytes = r.Size()
		v.used = block.Whole(r.Size())
	}
	v.openFiles()
	if n := v.second.Load(); n > 0 {
		v.facts.Warnings = append(v.facts.Warnings, fmt.Sprintf("Tree blocks are damaged and were read from their second copies (%d times). Run btrfs scrub on the volume.", n))
	}
	return v, nil
}

// openFiles makes the tree of files, also of volumes that are to be copied whole.
func (v *Volume) openFiles() {
	s := v.super
	err := s.unreadable()
	if err == nil {
		v.files, err = readTree(v.r, s)
	}
	if err != nil {
		v.files = nil
		v.facts.Warnings = append(v.facts.Warnings, fmt.Sprintf("The files of the volume cannot be read here: %v.", err))
	} else if s.logRoot != 0 {
		v.facts.Warnings = append(v.facts.Warnings, "The log tree has not been replayed: the volume is mounted, or was not unmounted. Its files are read without what only that tree has: the last seconds of files that were synced. Mount and unmount it before making the image.")
	}
}

// Facts returns what is known about the volume.
func (v *Volume) Facts() Facts { return v.facts }

// Used is the map of the bytes that matter, from the start of the partition,
// with those behind the file system's end. A walk ends with an error when a
// tree cannot be read or when the extents of a chunk no longer add up to what
// Open found.
func (v *Volume) Used() block.Map { return v.used }

// load does all that may show that the volume must be copied whole.
func (v *Volume) load() (err error) {
	s := v.super
	if err := s.doubt(v.r.Size()); err != nil {
		return err
	}
	if v.chunks, err = systemChunks(s); err != nil {
		return err
	}
	if v.chunks, err = v.readChunks(); err != nil {
		return err
	}
	if v.stripes, err = v.chunks.stripes(&s.Device); err != nil {
		return err
	}
	if err := v.compareDevice(v.stripes); err != nil {
		return err
	}
	if err := v.count(); err != nil {
		return err
	}
	if err := v.compareFree(); err != nil {
		return err
	}
	used := block.Merge(extentMap{v}, v.fixed())
	n, err := block.Bytes(used)
	if err != nil {
		return err
	}
	v.used, v.facts.UsedBytes = used, n
	v.facts.FreeClusters = (v.r.Size() - n) / s.SectorSize
	return nil
}

// count finds the extent tree and what the block groups say, and checks their
// sum.
func (v *Volume) count() (err error) {
	if v.extentRoot, err = v.findRoot(treeExtent); err != nil {
		return err
	}
	groups := v.extentRoot
	if v.super.compatRO&compatROBlockGroupTree != 0 {
		if groups, err = v.findRoot(treeBlockGroup); err != nil {
			return err
		}
	}
	total, err := v.readUsed(groups)
	if err != nil {
		return err
	}
	if total != v.super.BytesUsed {
		return fmt.Errorf("the superblock counts %d used bytes, the block groups %d", v.super.BytesUsed, total)
	}
	for _, tree := range []root{v.super.root, v.super.chunkRoot, v.extentRoot, groups} {
		if err := v.holds(v.extentRoot, tree); err != nil {
			return err
		}
	}
	return nil
}

// fixed are the bytes that are in use whatever the trees say: the start of the
// device, the copies of the superblock, and what lies behind the last sector.
func (v *Volume) fixed() block.Extents {
	s := v.super
	size := s.Device.Size / s.SectorSize * s.SectorSize
	all := []block.Extent{{Off: 0, Len: min(reserved, v.r.Size())}, {Off: size, Len: v.r.Size() - size}}
	for _, at := range []int64{copyOffset1, copyOffset2} {
		if at < size {
			all = append(all, block.Extent{Off: at, Len: min(max(superSize, s.SectorSize), size-at)})
		}
	}
	return block.NewExtents(all...)
}

// extentMap is the used bytes of all chunks, in the order of the device.
type extentMap struct{ v *Volume }

// Extents implements block.Map.
func (m extentMap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		c := m.v.cursor(m.v.extentRoot)
		for _, s := range m.v.stripes {
			stopped, err := m.v.extents(c, s.chunk, func(off, n int64) bool {
				return yield(block.Extent{Off: s.at + off, Len: n}, nil)
			})
			if stopped {
				return
			}
			if err != nil {
				yield(block.Extent{}, err)
				return
			}
		}
		if err := m.v.unchanged(); err != nil {
			yield(block.Extent{}, err)
		}
	}
}

// unchanged fails when the volume has another superblock than it had.
func (v *Volume) unchanged() error {
	s, err := superAt(v.r, superOffset)
	if err == nil && (s.Generation != v.super.Generation || s.FSID != v.super.FSID || s.root != v.super.root) {
		err = fmt.Errorf("the generation of the volume is %d now and was %d when the volume was opened: the source is changing", s.Generation, v.super.Generation)
	}
	return err
}
