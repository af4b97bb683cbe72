package exfat

import (
	"fmt"
	"iter"

	"ingot/internal/block"
	"ingot/internal/fatchain"
)

// pieceSize is how much of a bitmap is read at a time.
const pieceSize = 1 << 20

// bitmap is an allocation bitmap (specification, 7.1): bit 0 is cluster 2.
type bitmap struct {
	reader *fatchain.Reader
	boot   *Boot
}

// read fills b with the bytes of the bitmap from off on.
func (m bitmap) read(b []byte, off int64) error {
	if n, err := m.reader.ReadAt(b, off); n < len(b) {
		return fmt.Errorf("read byte %d of the allocation bitmap: %w", off+int64(n), err)
	}
	return nil
}

// size is the number of bytes that have a meaning.
func (m bitmap) size() int64 { return (m.boot.TotalClusters + 7) / 8 }

// Extents implements block.Map: the clusters whose bit is set.
func (m bitmap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		size := m.size()
		buf := make([]byte, min(size, pieceSize))
		row := row{boot: m.boot, open: -1, yield: yield}
		for off := int64(0); off < size; off += pieceSize {
			b := buf[:min(pieceSize, size-off)]
			if err := m.read(b, off); err != nil {
				yield(block.Extent{}, err)
				return
			}
			if !row.piece(b, off*8) {
				return
			}
		}
		row.set(m.boot.TotalClusters, false)
	}
}

// row is the set bits that are being seen one after the other.
type row struct {
	boot  *Boot
	open  int64 // the first, or -1
	yield func(block.Extent, error) bool
}

// piece takes the bits of b, the first of which is number first. It reports
// whether to go on.
func (r *row) piece(b []byte, first int64) bool {
	for i, c := range b {
		at := first + int64(i)*8
		if c == 0 && r.open < 0 || c == 0xff && r.open >= 0 && at+8 <= r.boot.TotalClusters {
			continue
		}
		for k := range min(8, r.boot.TotalClusters-at) {
			if !r.set(at+k, c>>k&1 != 0) {
				return false
			}
		}
	}
	return true
}

// set takes bit i.
func (r *row) set(i int64, used bool) bool {
	switch {
	case used && r.open < 0:
		r.open = i
	case !used && r.open >= 0:
		e := block.Extent{Off: r.boot.DataStart + r.open*r.boot.ClusterSize, Len: (i - r.open) * r.boot.ClusterSize}
		r.open = -1
		return r.yield(e, nil)
	}
	return true
}

// counted is a map that must have as many bytes as when it was counted.
type counted struct {
	block.Map
	bytes int64
}

// Extents implements block.Map.
func (c counted) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		var n int64
		for e, err := range c.Map.Extents() {
			if !yield(e, err) || err != nil {
				return
			}
			n += e.Len
		}
		if n != c.bytes {
			yield(block.Extent{}, fmt.Errorf("exFAT: %d bytes are in use now, %d were when the volume was opened: the source is changing", n, c.bytes))
		}
	}
}

// usedBits looks for the bits of single clusters, a page of the bitmap at a
// time. It is not for concurrent use.
type usedBits struct {
	bitmap
	page []byte
	off  int64 // of the page
}

const bitsPage = 64 << 10

// all reports whether the bits of n clusters from first on are set; if not,
// free is one whose bit is not.
func (u *usedBits) all(first, n int64) (free int64, ok bool, err error) {
	for i := first - 2; i < first-2+n; {
		at := i / 8
		if u.page == nil || at < u.off || at >= u.off+int64(len(u.page)) {
			u.off = at / bitsPage * bitsPage
			page := make([]byte, min(bitsPage, u.size()-u.off))
			if err := u.read(page, u.off); err != nil {
				return 0, false, err
			}
			u.page = page
		}
		c := u.page[at-u.off]
		if c == 0xff {
			i = (at + 1) * 8
			continue
		}
		if c>>(i%8)&1 == 0 {
			return i + 2, false, nil
		}
		i++
	}
	return 0, true, nil
}
