package btrfs

import (
	"encoding/binary"
	"fmt"
)

// Items of the free space tree (btrfs_tree.h, "Free space tree"): for each
// block group its own, and behind that either the free extents, whose keys say
// all, or pieces of a bitmap with a bit for each sector.
const (
	treeFreeSpace       = 10
	kindFreeInfo        = 198
	kindFreeExtent      = 199
	kindFreeBitmap      = 200
	compatROFreeTree    = 0x01
	compatROFreeIsValid = 0x02
)

// rows joins ranges of a chunk that touch, and sums up what comes of them, so
// that two sources of the same ranges can be compared.
type rows struct {
	from, end  int64 // the row being seen
	n, bytes   int64 // rows that have ended
	mix        uint64
	disordered bool
}

// add takes the next range of n bytes at off.
func (r *rows) add(off, n int64) {
	r.disordered = r.disordered || off < r.end
	if off > r.end {
		r.close()
		r.from = off
	}
	r.end = off + n
}

// close ends the row. The sum is the one after the other, scrambled by the
// finalizer of MurmurHash3.
func (r *rows) close() {
	if r.end > r.from {
		r.n++
		r.bytes += r.end - r.from
		for _, v := range []int64{r.from, r.end} {
			r.mix = (r.mix ^ uint64(v)) * 0xff51afd7ed558ccd
			r.mix = (r.mix ^ r.mix>>33) * 0xc4ceb9fe1a85ec53
			r.mix ^= r.mix >> 33
		}
	}
	r.from = r.end
}

// compareFree fails unless what the free space tree calls free is exactly what
// is in no extent. It does nothing for volumes that have no such tree.
func (v *Volume) compareFree() error {
	const valid = compatROFreeTree | compatROFreeIsValid
	if v.super.compatRO&valid != valid {
		return nil
	}
	r, err := v.findRoot(treeFreeSpace)
	if err != nil {
		return err
	}
	free, used := v.cursor(r), v.cursor(v.extentRoot)
	for i := range v.chunks {
		ch := &v.chunks[i]
		var gaps, said rows
		end := int64(0)
		if _, err := v.extents(used, ch, func(off, n int64) bool {
			gaps.add(end, off-end)
			end = off + n
			return true
		}); err != nil {
			return err
		}
		gaps.add(end, ch.length-end)
		gaps.close()
		if err := v.freeRows(free, ch, &said); err != nil {
			return err
		}
		said.close()
		if said.n != gaps.n || said.bytes != gaps.bytes || said.mix != gaps.mix || said.disordered {
			return fmt.Errorf("free space tree: it has %d bytes free in chunk %d, in other places than the %d that the extent tree leaves", said.bytes, ch.logical, gaps.bytes)
		}
	}
	return nil
}

// freeRows gives the free ranges of a chunk, as offsets from its start, to out.
func (f *forest) freeRows(c *cursor, ch *chunk, out *rows) error {
	it, ok, err := c.seek(key{id: uint64(ch.logical)})
	for ; ok && it.id < uint64(ch.end()); it, ok, err = c.next() {
		off, n := int64(it.id)-ch.logical, it.off
		if n > uint64(ch.length-off) {
			return fmt.Errorf("free space tree: the item %v reaches over the end of chunk %d", it.key, ch.logical)
		}
		switch it.kind {
		case kindFreeInfo:
		case kindFreeExtent:
			out.add(off, int64(n))
		case kindFreeBitmap:
			if err := f.bits(it, off, out); err != nil {
				return err
			}
		default:
			return fmt.Errorf("free space tree: an item %v", it.key)
		}
	}
	return err
}

// bits gives the ranges of set bits of a bitmap item, for the sectors from off
// on, to out.
func (f *forest) bits(it item, off int64, out *rows) error {
	sectors := int64(it.off) / f.super.SectorSize
	if int64(len(it.data)) < (sectors+7)/8 {
		return fmt.Errorf("free space tree: %d bytes of bits for %d sectors at %d", len(it.data), sectors, it.id)
	}
	for i := int64(0); i < sectors; i++ {
		if i%64 == 0 && sectors-i >= 64 && binary.LittleEndian.Uint64(it.data[i/8:]) == 0 {
			i += 63 // nearly always
			continue
		}
		if it.data[i/8]>>(i%8)&1 != 0 {
			out.add(off+i*f.super.SectorSize, f.super.SectorSize)
		}
	}
	return nil
}
