package vhdx

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"

	"ingot/internal/block"
)

// Marks and sizes of the log ([MS-VHDX] 2.3).
const (
	entryMark       = "loge"
	zeroMark        = "zero"
	descriptorMark  = "desc"
	dataMark        = "data"
	sectorSize      = 4 * kib
	entryHeaderSize = 64
	descriptorSize  = 32
)

// ring is the log: entries lie in it one behind the other, over its end to its
// start.
type ring struct {
	r        io.ReaderAt
	off, len int64
	id       guid
	seen     int   // entries that bear the id, valid or not
	valid    int   // those whose checksum is right
	budget   int64 // bytes that may still be read of entries
}

// at is the place in the file of a place in the ring.
func (g *ring) at(pos int64) int64 { return g.off + pos%g.len }

// sector reads the sector at a place in the ring.
func (g *ring) sector(b []byte, pos int64) error {
	return full(g.r, b[:sectorSize], g.at(pos))
}

// entry is the header of a log entry ([MS-VHDX] 2.3.1.1); pos, size and tail are
// bytes in the ring.
type entry struct {
	pos, size, tail int64
	sequence        uint64
	descriptors     int64
	flushed, last   int64 // sizes the file had or should have
}

// dataStart is where the sectors of data begin in the entry.
func (e *entry) dataStart() int64 {
	return (entryHeaderSize + descriptorSize*e.descriptors + sectorSize - 1) / sectorSize * sectorSize
}

var errBudget = corrupt("log: entries lie over each other")

// entry reads the entry at pos. It is not ok when there is no valid one; an
// error says that the file cannot be read, or is hostile.
func (g *ring) entry(pos int64) (e entry, ok bool, err error) {
	b := make([]byte, sectorSize)
	if err := g.sector(b, pos); err != nil {
		return e, false, err
	}
	if string(b[:4]) != entryMark || guid(b[32:48]) != g.id {
		return e, false, nil
	}
	g.seen++
	e = entry{
		pos: pos, size: int64(binary.LittleEndian.Uint32(b[8:])), tail: int64(binary.LittleEndian.Uint32(b[12:])),
		sequence: binary.LittleEndian.Uint64(b[16:]), descriptors: int64(binary.LittleEndian.Uint32(b[24:])),
		flushed: int64(binary.LittleEndian.Uint64(b[48:])), last: int64(binary.LittleEndian.Uint64(b[56:])),
	}
	if e.size < sectorSize || e.size%sectorSize != 0 || e.size > g.len || e.tail%sectorSize != 0 || e.tail >= g.len ||
		e.sequence == 0 || e.dataStart() > e.size || e.flushed < 0 || e.last < 0 || e.last > maxFileSize {
		return e, false, nil
	}
	sum, err := g.checksum(&e)
	if err != nil || sum != binary.LittleEndian.Uint32(b[4:]) {
		return e, false, err
	}
	g.valid++
	whole := true
	err = g.descriptors(&e, func(descriptor) error { return nil })
	if errors.Is(err, errDescriptor) {
		whole, err = false, nil
	}
	return e, whole, err
}

// checksum is that of all bytes of an entry.
func (g *ring) checksum(e *entry) (uint32, error) {
	if g.budget -= e.size; g.budget < 0 {
		return 0, errBudget
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	b := make([]byte, sectorSize)
	var sum uint32
	for n := int64(0); n < e.size; n += sectorSize {
		if err := g.sector(b, e.pos+n); err != nil {
			return 0, err
		}
		if n == 0 {
			clear(b[4:8])
		}
		sum = crc32.Update(sum, table, b)
	}
	return sum, nil
}

// descriptor is one change ([MS-VHDX] 2.3.1.2 and 2.3.1.3): a range of zeros, or
// a page.
type descriptor struct {
	zero block.Extent // empty: it is a page
	off  int64        // of the page
	page logPage
}

// errDescriptor is that of an entry whose parts do not belong together.
var errDescriptor = errors.New("descriptor does not belong to its entry")

// descriptors gives all changes of an entry to do.
func (g *ring) descriptors(e *entry, do func(descriptor) error) error {
	b := make([]byte, sectorSize)
	data := e.dataStart()
	for i := range e.descriptors {
		at := entryHeaderSize + descriptorSize*i
		if i == 0 || at%sectorSize == 0 {
			if err := g.sector(b, e.pos+at/sectorSize*sectorSize); err != nil {
				return err
			}
		}
		d, isData, err := parseDescriptor(b[at%sectorSize:][:descriptorSize], e.sequence)
		if err != nil {
			return err
		}
		if isData {
			if data >= e.size {
				return errDescriptor
			}
			if err := g.data(e.pos+data, e.sequence); err != nil {
				return err
			}
			d.page.off = g.at(e.pos+data) + 8
			data += sectorSize
		}
		if err := do(d); err != nil {
			return err
		}
	}
	return nil
}

func parseDescriptor(b []byte, sequence uint64) (d descriptor, isData bool, err error) {
	off := binary.LittleEndian.Uint64(b[16:])
	if off%pageSize != 0 || off > maxFileSize || binary.LittleEndian.Uint64(b[24:]) != sequence {
		return d, false, errDescriptor
	}
	switch string(b[:4]) {
	case zeroMark:
		n := binary.LittleEndian.Uint64(b[8:])
		if n%pageSize != 0 || n > maxFileSize {
			return d, false, errDescriptor
		}
		return descriptor{zero: block.Extent{Off: int64(off), Len: int64(n)}}, false, nil
	case descriptorMark:
		d.off = int64(off)
		copy(d.page.tail[:], b[4:8])
		copy(d.page.lead[:], b[8:16])
		return d, true, nil
	}
	return d, false, errDescriptor
}

// data checks the mark and the two halves of the sequence number that a sector
// of data bears ([MS-VHDX] 2.3.1.4).
func (g *ring) data(pos int64, sequence uint64) error {
	b := make([]byte, sectorSize)
	if err := g.sector(b, pos); err != nil {
		return err
	}
	high, low := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[sectorSize-4:])
	if string(b[:4]) != dataMark || uint64(high)<<32|uint64(low) != sequence {
		return errDescriptor
	}
	return nil
}

// active finds the active sequence ([MS-VHDX] 2.3.3): of all rows of valid
// entries with ascending numbers, whose last entry names one of them as its
// tail, the one with the highest number. What it returns begins with the tail.
// A row that does not hold its tail does not either when it begins later, and
// no sector of a valid entry looks like the start of one: so the search always
// goes on behind the row.
func (g *ring) active() ([]entry, error) {
	var best []entry
	for tail := int64(0); tail < g.len; {
		row, err := g.row(tail)
		if err != nil {
			return nil, err
		}
		if len(row) == 0 {
			tail += sectorSize
			continue
		}
		head := row[len(row)-1]
		from := slices.IndexFunc(row, func(e entry) bool { return e.pos == head.tail })
		if from >= 0 && (len(best) == 0 || head.sequence > best[len(best)-1].sequence) {
			best = row[from:]
		}
		next := head.pos + head.size
		if next <= tail { // the row went over the end
			break
		}
		tail = next
	}
	return best, nil
}

// row is the entries from pos on whose numbers ascend by one.
func (g *ring) row(pos int64) ([]entry, error) {
	var out []entry
	start := pos
	for total := int64(0); total < g.len; {
		e, ok, err := g.entry(pos % g.len)
		if err != nil {
			return nil, err
		}
		if !ok || len(out) > 0 && e.sequence != out[len(out)-1].sequence+1 {
			break
		}
		if total += e.size; total > g.len {
			break
		}
		out = append(out, e)
		pos = start + total
	}
	return out, nil
}

// replay lays what the log says over the file.
func (m *image) replay(h header) error {
	if h.log == (guid{}) {
		return nil
	}
	if h.logOffset > m.real-h.logLength {
		return corrupt("log: %d bytes at %d of a file of %d bytes", h.logLength, h.logOffset, m.real)
	}
	g := ring{r: m.r, off: h.logOffset, len: h.logLength, id: h.log, budget: 16 * h.logLength}
	entries, err := g.active()
	if err != nil {
		return err
	}
	if len(entries) == 0 && g.valid > 0 {
		return corrupt("log: it holds changes, but where they begin is not whole")
	}
	// The log is named before the first entry is written, and only what is whole
	// in the log is done to the file: without a valid entry there is nothing to do.
	m.torn = len(entries) == 0 && g.seen > 0
	for i := range entries {
		if err := m.apply(&g, &entries[i]); err != nil {
			return err
		}
	}
	m.zeros = block.NewExtents(m.zeros...)
	return nil
}

func (m *image) apply(g *ring, e *entry) error {
	if e.flushed > m.real {
		return corrupt("log: entry %d was written when the file had %d bytes, now it has %d: it was cut short", e.sequence, e.flushed, m.real)
	}
	m.size = max(m.size, e.last)
	return g.descriptors(e, func(d descriptor) error {
		if d.zero.Len > 0 {
			m.size = max(m.size, d.zero.End())
			return m.zero(d.zero)
		}
		if d.page.off == 0 {
			return nil // a range of no zeros
		}
		m.size = max(m.size, d.off+pageSize)
		m.pages[d.off/pageSize] = d.page
		return nil
	})
}
