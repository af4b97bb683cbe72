package vhdx

import (
	"encoding/binary"
	"fmt"
	"iter"

	"ingot/internal/block"
	"ingot/internal/diskchain"
)

// States of a block of payload ([MS-VHDX] 2.5.1.1), and of a block of bitmap,
// which is absent or present.
const (
	stateAbsent    = 0 // look into the parent
	stateUndefined = 1
	stateZero      = 2
	stateUnmapped  = 3
	statePresent   = 6
	statePartial   = 7 // the bitmap says which sectors are here
)

const (
	bitmapSize   = mib            // of a block of bitmap: the sectors of one chunk
	chunkSectors = bitmapSize * 8 // [MS-VHDX] 2.5.1
	batReserved  = (mib - 1) &^ 7 // bits of an entry
	batPage      = cacheSize / 8  // entries read at a time by a walk
)

// batEntry is one entry of the block table: off is where its bytes lie in the
// file.
type batEntry struct {
	state int
	off   int64
}

// ratio is the number of blocks in a chunk, behind which an entry for their
// bitmap stands.
func (d *Disk) ratio() int64 { return chunkSectors * d.meta.logical / d.meta.block }

// count is the number of blocks of payload.
func (d *Disk) count() int64 { return (d.meta.size + d.meta.block - 1) / d.meta.block }

// entries is the number of entries the table must have ([MS-VHDX] 2.5).
func (d *Disk) entries() int64 {
	n, r := d.count(), d.ratio()
	if d.meta.hasParent {
		return (n + r - 1) / r * (r + 1)
	}
	return n + (n-1)/r
}

// entry reads the entry of a block.
func (d *Disk) entry(b int64) (batEntry, error) {
	var raw [8]byte
	if err := d.tableEntry(raw[:], b+b/d.ratio()); err != nil {
		return batEntry{}, err
	}
	return d.parse(binary.LittleEndian.Uint64(raw[:]), b)
}

func (d *Disk) tableEntry(p []byte, index int64) error {
	if err := full(d.tables, p, d.bat.off+8*index); err != nil {
		return fmt.Errorf("VHDX: block table: %w", err)
	}
	return nil
}

// parse checks the entry of block b.
func (d *Disk) parse(v uint64, b int64) (batEntry, error) {
	e := batEntry{int(v & 7), int64(v &^ (mib - 1))}
	bad := v&batReserved != 0
	switch e.state {
	case statePartial, statePresent:
		need := min(d.meta.block, d.meta.size-b*d.meta.block)
		bad = bad || e.off < sectionSize || e.off > d.m.size-need || e.state == statePartial && !d.meta.hasParent
	case stateAbsent, stateUndefined, stateZero, stateUnmapped:
	default:
		bad = true
	}
	if bad {
		return e, corrupt("VHDX: block table: entry of block %d is %#x, in a file of %d bytes", b, v, d.m.size)
	}
	return e, nil
}

// bitmap reads the bits of the sectors that [in, in+n) of a block touches. The
// first bit is that of sector first of the block, bit first%8 of the first
// byte: blocks begin with a byte of their own.
func (d *Disk) bitmap(b, in, n int64) (bits diskchain.Bitmap, first int64, err error) {
	r := d.ratio()
	var raw [8]byte
	if err := d.tableEntry(raw[:], (b/r+1)*(r+1)-1); err != nil {
		return bits, 0, err
	}
	v := binary.LittleEndian.Uint64(raw[:])
	off := int64(v &^ (mib - 1))
	if v&7 != statePresent || v&batReserved != 0 || off < sectionSize || off > d.m.size-bitmapSize {
		return bits, 0, corrupt("VHDX: block table: entry of the bitmap of chunk %d is %#x, and block %d needs it", b/r, v, b)
	}
	first = in / d.meta.logical
	last := (in + n + d.meta.logical - 1) / d.meta.logical
	from := b % r * (d.meta.block / d.meta.logical / 8)
	bits.Bytes = make([]byte, (last+7)/8-first/8)
	if err := full(d.tables, bits.Bytes, off+from+first/8); err != nil {
		return bits, 0, fmt.Errorf("VHDX: bitmap of block %d: %w", b, err)
	}
	return bits, first, nil
}

// isHeld is true for blocks whose bytes are in the file.
func isHeld(state int) bool { return state == statePresent }

// isDecided is true for blocks for which no parent is asked.
func isDecided(state int) bool { return state != stateAbsent && state != statePartial }

// blocks is the map of those bytes whose state in this file is to be kept, and of
// a block that is here in part, of the sectors that are here. It walks the block
// table.
func (d *Disk) blocks(keep func(state int) bool) block.Map {
	return block.Joined(func(add func(block.Extent) bool) error {
		var err error
		for b, e := range d.walk(&err) {
			off := b * d.meta.block
			all := block.Extent{Off: off, Len: min(d.meta.block, d.meta.size-off)}
			if e.state == statePartial {
				if more, err := d.partial(b, all, add); !more || err != nil {
					return err
				}
			} else if keep(e.state) && !add(all) {
				return nil
			}
		}
		return err
	})
}

// partial adds the sectors of a block that are here, and says whether more is
// wanted.
func (d *Disk) partial(b int64, all block.Extent, add func(block.Extent) bool) (bool, error) {
	bits, _, err := d.bitmap(b, 0, all.Len)
	if err != nil {
		return false, err
	}
	for r := range bits.Runs(0, all.Len/d.meta.logical) {
		if r.Set && !add(block.Extent{Off: all.Off + r.From*d.meta.logical, Len: r.Len * d.meta.logical}) {
			return false, nil
		}
	}
	return true, nil
}

// walk gives the entries of all blocks. It ends early with an error in err.
func (d *Disk) walk(err *error) iter.Seq2[int64, batEntry] {
	return func(yield func(int64, batEntry) bool) {
		r, count := d.ratio(), d.count()
		page := make([]byte, 0, 8*batPage)
		var start int64 // index of the entry the page begins with
		for b := range count {
			i := b + b/r
			if (i-start)*8 >= int64(len(page)) {
				start = i
				page = page[:8*min(batPage, d.entries()-i)]
				if *err = d.tableEntry(page, i); *err != nil {
					return
				}
			}
			var e batEntry
			if e, *err = d.parse(binary.LittleEndian.Uint64(page[(i-start)*8:]), b); *err != nil || !yield(b, e) {
				return
			}
		}
	}
}
