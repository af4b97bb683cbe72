package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"

	"ingot/internal/block"
)

// pieceSize is how many bytes of bitmaps are read at a time: with flex_bg
// those of many groups stand in a row.
const pieceSize = 256 << 10

// errStop ends a walk whose consumer had enough.
var errStop = errors.New("enough")

// bitmaps is the map of the blocks in clusters that are marked as used, and of
// the bytes before and behind those that groups are made of. atEnd is told the
// number of used clusters when a walk has come to its end; its error is the
// walk's.
type bitmaps struct {
	s     *super
	r     block.Reader
	atEnd func(used int64) error
}

// Extents implements block.Map. It holds the descriptors of one block and
// pieceSize bytes of bitmaps at a time.
func (m bitmaps) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		s, j := m.s, joiner{yield: yield}
		err := j.add(0, s.first*s.blockSize)
		var used int64
		if err == nil {
			used, err = m.groups(&j)
		}
		if err == nil {
			end := s.blocks * s.blockSize
			err = j.add(end, m.r.Size()-end)
		}
		if err == nil {
			err = j.flush()
		}
		if err == nil {
			err = m.atEnd(used)
		}
		if err != nil && err != errStop {
			yield(block.Extent{}, err)
		}
	}
}

// joiner joins extents that touch.
type joiner struct {
	cur   block.Extent
	yield func(block.Extent, error) bool
}

func (j *joiner) add(off, n int64) error {
	if n == 0 {
		return nil
	}
	if j.cur.Len > 0 && off == j.cur.End() {
		j.cur.Len += n
		return nil
	}
	err := j.flush()
	j.cur = block.Extent{Off: off, Len: n}
	return err
}

func (j *joiner) flush() error {
	if j.cur.Len > 0 && !j.yield(j.cur, nil) {
		return errStop
	}
	return nil
}

// groups adds the used blocks of all groups to j.
func (m bitmaps) groups(j *joiner) (used int64, err error) {
	buf := make([]byte, max(min(pieceSize, m.s.groups*m.s.blockSize), m.s.blockSize))
	var ds []desc
	for n := range m.s.descBlocks() {
		if ds, err = m.s.descs(m.r, n, buf, ds[:0]); err != nil {
			return 0, err
		}
		got, err := m.row(n*m.s.descsPerBlock(), ds, buf, j)
		if err != nil {
			return 0, err
		}
		used += got
	}
	return used, nil
}

// row takes the groups from first on, which ds describes. Bitmaps that stand
// in a row are read at once.
func (m bitmaps) row(first int64, ds []desc, buf []byte, j *joiner) (used int64, err error) {
	s := m.s
	for i := 0; i < len(ds); {
		n := 1
		if ds[i].uninit {
			s.computed(buf[:s.blockSize], first+int64(i), ds[i])
		} else {
			for i+n < len(ds) && !ds[i+n].uninit && ds[i+n].bitmap == ds[i].bitmap+int64(n) && int64(n+1)*s.blockSize <= int64(len(buf)) {
				n++
			}
			if err := s.read(m.r, buf[:int64(n)*s.blockSize], ds[i].bitmap); err != nil {
				return 0, fmt.Errorf("block bitmap of group %d: %w", first+int64(i), err)
			}
		}
		for k := range n {
			b := buf[int64(k)*s.blockSize : int64(k+1)*s.blockSize]
			got, err := m.group(first+int64(i+k), ds[i+k], b, j)
			if err != nil {
				return 0, err
			}
			used += got
		}
		i += n
	}
	return used, nil
}

// group adds the used blocks of group g, whose bitmap is b, and proves that the
// bitmap is one: by its checksum, by its number of free clusters, and by the
// group's own metadata, which must be in use.
func (m bitmaps) group(g int64, d desc, b []byte, j *joiner) (used int64, err error) {
	s := m.s
	if err := s.bitmapCsum(g, d, b); err != nil {
		return 0, err
	}
	n, at, end := s.groupClusters(g), s.groupStart(g)*s.blockSize, s.blocks*s.blockSize
	err = setRuns(b, n, func(first, n int64) error {
		used += n
		off := at + first*s.clusterSize
		return j.add(off, min(n*s.clusterSize, end-off))
	})
	if err != nil {
		return 0, err
	}
	if free := n - used; free != d.free {
		return 0, fmt.Errorf("block bitmap of group %d: %d clusters are free there, the group's descriptor says %d", g, free, d.free)
	}
	var places [4]span
	for _, e := range s.own(g, d, places[:0]) {
		if first, last := e.at/s.ratio(), (e.at+e.n-1)/s.ratio(); !allSet(b, first, last+1) {
			return 0, fmt.Errorf("block bitmap of group %d: the %d blocks of metadata from block %d on are not marked as used", g, e.n, s.groupStart(g)+e.at)
		}
	}
	return used, nil
}

func (s *super) bitmapCsum(g int64, d desc, b []byte) error {
	if !s.metadataCsum() || d.uninit {
		return nil
	}
	got := crc32c(s.csumSeed, b[:s.clustersPerGroup/8])
	if s.descSize == oldDescSize {
		got &= 0xffff
	}
	if got != d.csum {
		return fmt.Errorf("block bitmap of group %d: its checksum is %#x, the group's descriptor says %#x", g, got, d.csum)
	}
	return nil
}

// span is n blocks from block at of a group on.
type span struct{ at, n int64 }

// own adds to out the places inside group g that hold its metadata. What lies
// in other groups (flex_bg) is not among them.
func (s *super) own(g int64, d desc, out []span) []span {
	if n := min(s.baseBlocks(g), s.groupBlocks(g)); n > 0 {
		out = append(out, span{0, n})
	}
	for _, e := range [...]span{{d.bitmap, 1}, {d.inodeBitmap, 1}, {d.table, s.tableBlocks()}} {
		if e.at -= s.groupStart(g); e.at >= 0 && e.at+e.n <= s.groupBlocks(g) {
			out = append(out, e)
		}
	}
	return out
}

// computed makes the bitmap of a group whose own one was never written: its
// metadata is in use, the rest is free.
func (s *super) computed(b []byte, g int64, d desc) {
	clear(b)
	for _, e := range s.own(g, d, nil) {
		for c := e.at / s.ratio(); c <= (e.at+e.n-1)/s.ratio(); c++ {
			b[c/8] |= 1 << (c % 8)
		}
	}
}

// setRuns calls do for each run of ones in the first n bits of b, whose length
// is a multiple of 8 bytes. Bit i of byte k is number 8k+i. Words in which
// nothing begins or ends, nearly all of a real volume, cost one comparison.
func setRuns(b []byte, n int64, do func(first, n int64) error) error {
	open := int64(-1) // first bit of the run being seen
	for base := int64(0); base < n; base += 64 {
		v := binary.LittleEndian.Uint64(b[base/8:])
		if n-base < 64 {
			v &= 1<<(n-base) - 1
		}
		for at := 0; at < 64; {
			rest := v >> at
			if open < 0 {
				if rest == 0 {
					break
				}
				at += bits.TrailingZeros64(rest)
				open = base + int64(at)
				continue
			}
			at += bits.TrailingZeros64(^rest)
			if at >= 64 {
				break
			}
			if err := do(open, base+int64(at)-open); err != nil {
				return err
			}
			open = -1
		}
	}
	if open >= 0 {
		return do(open, n-open)
	}
	return nil
}

// allSet reports whether the bits [first, end) of b are ones.
func allSet(b []byte, first, end int64) bool {
	for i := first; i < end; {
		if i%64 == 0 && end-i >= 64 {
			if binary.LittleEndian.Uint64(b[i/8:]) != ^uint64(0) {
				return false
			}
			i += 64
			continue
		}
		if b[i/8]>>(i%8)&1 == 0 {
			return false
		}
		i++
	}
	return true
}
