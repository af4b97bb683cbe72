package ext

import (
	"errors"
	"fmt"

	"ingot/internal/block"
)

// maxForeign bounds the memory for metadata that lies outside of its group. A
// volume of 16 TiB with flex_bg has some ten thousand such places; one with
// more than this is copied whole.
const maxForeign = 1 << 20

// Facts is what is known about a volume. Sizes are bytes.
type Facts struct {
	Type          string // "ext2", "ext3", "ext4"
	Label, UUID   string
	BlockSize     int64
	ClusterSize   int64 // the block size, unless with bigalloc
	TotalClusters int64
	FreeClusters  int64  // 0 when the bitmaps were not to be trusted
	UsedBytes     int64  // bytes in the map that Used gives
	WholeReason   string // why everything counts as used; "" when the map is proven
	Unsettled     string // why clusters that are free now need not stay free; "" when they do
	Warnings      []string
}

// Volume is an ext file system found by Open. Its methods may be called from
// several goroutines.
type Volume struct {
	r     block.Reader
	super super
	facts Facts
	used  block.Map
	files *Tree // nil when features are not understood
}

// Open reads the superblock, the descriptors and the bitmaps of the file system
// in partition r. It fails when there is no sound superblock. Damage behind
// that makes Facts.WholeReason.
func Open(r block.Reader) (*Volume, error) {
	b := make([]byte, superSize)
	if n, err := r.ReadAt(b, superOff); n < len(b) {
		return nil, fmt.Errorf("read ext superblock at byte %d: %w", superOff, err)
	}
	s, err := parseSuper(b)
	if err != nil {
		return nil, err
	}
	v := &Volume{r: r, super: s}
	v.facts = Facts{
		Type: s.kind(), Label: s.label, UUID: uuidText(s.uuid),
		BlockSize: s.blockSize, ClusterSize: s.clusterSize, TotalClusters: s.clusters(),
	}
	if err := v.load(); err != nil {
		v.facts.WholeReason = err.Error()
		v.facts.FreeClusters = 0
		v.used = block.Whole(r.Size())
		v.facts.UsedBytes = r.Size()
	}
	return v, nil
}

func uuidText(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// Facts returns what is known about the volume.
func (v *Volume) Facts() Facts { return v.facts }

// Used is the map of the bytes that matter, from the start of the partition. A
// walk ends with an error when the source cannot be read, when a bitmap is no
// longer sound, or when the number of used clusters is no longer the one
// counted by Open.
func (v *Volume) Used() block.Map { return v.used }

// load does all that may show that the volume must be copied whole.
func (v *Volume) load() error {
	s := &v.super
	if u := s.unknown(); u != "" {
		return fmt.Errorf("the file system has %s, which are not known here", u)
	}
	v.files = newTree(v.r, s)
	v.notices()
	if need := s.blocks * s.blockSize; need > v.r.Size() {
		return fmt.Errorf("the file system says it has %d bytes, the partition has %d", need, v.r.Size())
	}
	if s.state&stateErrors != 0 {
		return errors.New("errors in the file system have been noted in its superblock: run e2fsck -f on it")
	}
	return v.count()
}

// count walks all bitmaps once and proves them: each group by itself, the
// metadata outside of its group, the sum, and without checksums what inodes
// point to.
func (v *Volume) count() error {
	must, err := v.super.foreign(v.r)
	if err != nil {
		return err
	}
	var used int64
	first := bitmaps{&v.super, v.r, func(n int64) error { used = n; return nil }}
	if v.facts.UsedBytes, err = covered(first, must); err != nil {
		return err
	}
	// Block 0 is no part of a group where the first data block is 1.
	free := v.super.clusters() - v.super.first - used
	if s := &v.super; free*s.ratio() != s.freeBlocks {
		return fmt.Errorf("the bitmaps have %d free blocks, the superblock says %d", free*s.ratio(), s.freeBlocks)
	}
	if !v.super.metadataCsum() {
		if err := v.files.claims(); err != nil {
			return err
		}
	}
	v.facts.FreeClusters = free
	v.used = bitmaps{&v.super, v.r, func(n int64) error {
		if n != used {
			return fmt.Errorf("block bitmaps: %d clusters are used now, %d were when the volume was opened: the source is changing", n, used)
		}
		return nil
	}}
	return nil
}

// covered adds up the bytes of a map and fails unless it holds all of must.
func covered(m block.Map, must block.Extents) (int64, error) {
	total, missing, err := block.Covered(m, must)
	if err == nil && missing.Len > 0 {
		err = notUsed(missing)
	}
	return total, err
}

func notUsed(e block.Extent) error {
	return fmt.Errorf("block bitmaps: bytes %v hold metadata of a group and are not marked as used", e)
}

// foreign are the places of bitmaps and inode tables that lie outside of their
// groups, in bytes, in order.
func (s *super) foreign(r block.Reader) (block.Extents, error) {
	buf := make([]byte, s.blockSize)
	var ds []desc
	var rows [3]rowOf // block bitmaps, inode bitmaps, inode tables stand in rows of their own
	for n := range s.descBlocks() {
		var err error
		if ds, err = s.descs(r, n, buf, ds[:0]); err != nil {
			return nil, err
		}
		for i, d := range ds {
			g := n*s.descsPerBlock() + int64(i)
			start, end := s.groupStart(g), s.groupStart(g)+s.groupBlocks(g)
			for k, e := range [...]span{{d.bitmap, 1}, {d.inodeBitmap, 1}, {d.table, s.tableBlocks()}} {
				if e.at < start || e.at+e.n > end {
					rows[k].add(e)
				}
			}
		}
		if len(rows[0])+len(rows[1])+len(rows[2]) > maxForeign {
			return nil, fmt.Errorf("group descriptors: more than %d places of metadata outside of their groups", maxForeign)
		}
	}
	var out []block.Extent
	for _, row := range rows {
		for _, e := range row {
			out = append(out, block.Extent{Off: e.at * s.blockSize, Len: e.n * s.blockSize})
		}
	}
	return block.NewExtents(out...), nil
}

// rowOf is a list of spans, of which the last one grows.
type rowOf []span

func (l *rowOf) add(e span) {
	if n := len(*l); n > 0 && (*l)[n-1].at+(*l)[n-1].n == e.at {
		(*l)[n-1].n += e.n
		return
	}
	*l = append(*l, e)
}
