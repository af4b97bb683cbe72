package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"ingot/internal/block"
)

// pieceSize is how much of each table is read at a time. A FAT12 table, whose
// entries do not end with bytes, is far smaller than one piece.
const pieceSize = 1 << 20

// readTables reads the piece of every table at off into bufs.
func (v *Volume) readTables(bufs [][]byte, off int64) error {
	for i, b := range bufs {
		at := v.boot.FATOffset + int64(i)*v.boot.FATSize + off
		if n, err := v.r.ReadAt(b, at); n < len(b) {
			return fmt.Errorf("read FAT %d at byte %d: %w", i+1, at, err)
		}
	}
	return nil
}

// tally is what a walk over the tables has counted.
type tally struct {
	used, bad int64
	differ    bool // the tables are not alike
}

// walk reads the tables and gives each row of used clusters, numbered from 0
// for the first one of the data area, to emit until that returns false.
func (v *Volume) walk(emit func(first, n int64) bool) (t tally, stopped bool, err error) {
	total := v.boot.tableBytes()
	bufs := make([][]byte, v.boot.FATs)
	space := make([]byte, v.boot.FATs*min(total, pieceSize))
	run := row{open: -1, emit: emit}
	for off := int64(0); off < total; off += pieceSize {
		n := min(pieceSize, total-off)
		for i := range bufs {
			bufs[i] = space[int64(i)*n : int64(i+1)*n]
		}
		if err := v.readTables(bufs, off); err != nil {
			return t, false, err
		}
		if !v.piece(&t, &run, bufs, off*8/int64(v.boot.Bits)) {
			return t, true, nil
		}
	}
	return t, !run.close(v.boot.TotalClusters, &t), nil
}

// piece takes one piece of all tables, whose first entry is number first.
func (v *Volume) piece(t *tally, run *row, bufs [][]byte, first int64) bool {
	same := len(bufs) == 1 || bytes.Equal(bufs[0], bufs[1])
	t.differ = t.differ || !same
	bad := badMark(v.boot.Bits)
	n := min(int64(len(bufs[0]))*8/int64(v.boot.Bits), v.boot.TotalClusters+2-first)
	for i := max(0, 2-first); i < n; i++ {
		e := entry(v.boot.Bits, bufs[0], i)
		if !same {
			e |= entry(v.boot.Bits, bufs[1], i)
		}
		if e == bad {
			t.bad++
		}
		switch cluster := first + i - 2; {
		case e != 0 && run.open < 0:
			run.open = cluster
		case e == 0 && run.open >= 0 && !run.close(cluster, t):
			return false
		}
	}
	return true
}

// row is the used clusters that are being seen one after the other.
type row struct {
	open int64 // the first, or -1
	emit func(first, n int64) bool
}

// close ends the row, if there is one, before cluster end. It reports whether
// to go on.
func (r *row) close(end int64, t *tally) bool {
	if r.open < 0 {
		return true
	}
	first := r.open
	r.open = -1
	t.used += end - first
	return r.emit(first, end-first)
}

// entry is entry i of a table; only 28 bits of a FAT32 entry are one.
func entry(width int, b []byte, i int64) uint32 {
	switch width {
	case 32:
		return binary.LittleEndian.Uint32(b[4*i:]) & 0x0fffffff
	case 16:
		return uint32(binary.LittleEndian.Uint16(b[2*i:]))
	}
	pair := uint32(binary.LittleEndian.Uint16(b[i*3/2:]))
	if i%2 != 0 {
		return pair >> 4
	}
	return pair & 0xfff
}

// badMark is the entry of a cluster that cannot be used.
func badMark(width int) uint32 {
	if width == 32 {
		return 0x0ffffff7
	}
	return 1<<width - 9
}

// usedMap is everything before the clusters, and the used clusters.
type usedMap struct {
	v    *Volume
	used int64 // clusters that were counted by Open
}

// Extents implements block.Map.
func (m usedMap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		start, size := m.v.boot.DataStart, m.v.boot.ClusterSize
		pending := block.Extent{Off: 0, Len: start}
		t, stopped, err := m.v.walk(func(first, n int64) bool {
			e := block.Extent{Off: start + first*size, Len: n * size}
			if e.Off == pending.End() {
				pending.Len += e.Len
				return true
			}
			before := pending
			pending = e
			return yield(before, nil)
		})
		if stopped {
			return
		}
		if err == nil && t.used != m.used {
			err = fmt.Errorf("FAT: %d clusters are used now, %d were when the volume was opened: the source is changing", t.used, m.used)
		}
		if err != nil {
			yield(block.Extent{}, err)
			return
		}
		yield(pending, nil)
	}
}
