package exfat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"ingot/internal/fatchain"
	"ingot/internal/fstree"
)

// maxDirSize is the largest a directory may be (specification, 6).
const maxDirSize = 256 << 20

// Types of directory entries (specification, 6.2 and 7). The parts of a type:
// in use, secondary, benign.
const (
	typeEnd    = 0x00
	typeBitmap = 0x81
	typeUpcase = 0x82
	typeLabel  = 0x83
	typeFile   = 0x85
	typeStream = 0xc0
	typeName   = 0xc1

	typeInUse     = 0x80
	typeSecondary = 0x40
	typeBenign    = 0x20
)

const entrySize = 32

// Attributes of a file (specification, 7.4.4), as Windows has them.
const (
	attrReadOnly  = 0x01
	attrDirectory = 0x10
)

// set is a directory entry in use with those that belong to it.
type set struct {
	off     int64  // of the first one in the volume
	entries []byte // valid until the next set
}

func (s *set) kind() byte { return s.entries[0] }

// errSet is given of entries that do not make a set.
var errSet = errors.New("a directory entry set is damaged")

// sets goes through the entries of a directory of at most limit bytes. After an
// error that is an errSet it goes on.
func sets(c fatchain.Chain, limit int64) iter.Seq2[set, error] {
	return func(yield func(set, error) bool) {
		g := gatherer{yield: yield}
		for p, err := range c.Pieces(min(limit, maxDirSize)) {
			if err != nil {
				yield(set{}, fmt.Errorf("read directory: %w", err))
				return
			}
			for i := 0; i < len(p.Data); i += entrySize {
				if p.Data[i] == typeEnd {
					g.flush()
					return
				}
				if !g.add(p.Off+int64(i), p.Data[i:i+entrySize]) {
					return
				}
			}
		}
		g.flush()
	}
}

// gatherer puts the entries of a set together.
type gatherer struct {
	yield func(set, error) bool
	cur   set
	due   int  // secondary entries that are still to come
	skip  bool // secondary entries belong to a benign one that is not known
}

// add takes the next entry. It reports whether to go on.
func (g *gatherer) add(off int64, e []byte) bool {
	kind := e[0]
	if g.due > 0 && kind&(typeInUse|typeSecondary) == typeInUse|typeSecondary {
		g.cur.entries = append(g.cur.entries, e...)
		if g.due--; g.due == 0 {
			return g.yield(g.cur, nil)
		}
		return true
	}
	if !g.flush() {
		return false
	}
	switch {
	case kind&typeInUse == 0:
		g.skip = false
		return true
	case kind&typeSecondary != 0:
		return g.skip || g.yield(set{off: off}, fmt.Errorf("entry of type %#x at byte %d belongs to none: %w", kind, off, errSet))
	}
	g.skip = kind&typeBenign != 0
	g.cur = set{off, append(g.cur.entries[:0], e...)}
	if kind == typeFile {
		if g.due = int(e[1]); g.due > 0 {
			return true
		}
	}
	return g.yield(g.cur, nil)
}

// flush ends a set that is not complete.
func (g *gatherer) flush() bool {
	if g.due == 0 {
		return true
	}
	g.due = 0
	return g.yield(set{off: g.cur.off}, fmt.Errorf("the set at byte %d is not complete: %w", g.cur.off, errSet))
}

// file is what a set of a file or folder says.
type file struct {
	name    []uint16
	hash    uint16
	attr    uint16
	first   int64
	size    int64
	valid   int64
	row     bool // the clusters lie one behind the other, and the table does not say so
	written time.Time
	created time.Time
	read    time.Time
}

// parseFile reads a file's set (specification, 7.4, 7.6 and 7.7).
func parseFile(b []byte) (file, error) {
	var f file
	if len(b) < 3*entrySize || b[0] != typeFile || b[entrySize] != typeStream {
		return f, fmt.Errorf("it has no stream extension or name: %w", errSet)
	}
	if want, got := binary.LittleEndian.Uint16(b[2:]), setSum(b); want != got {
		return f, fmt.Errorf("its checksum is %#x, that of its entries %#x: %w", want, got, errSet)
	}
	f.attr = binary.LittleEndian.Uint16(b[4:])
	f.created = timestamp(binary.LittleEndian.Uint32(b[8:]), b[20], b[22])
	f.written = timestamp(binary.LittleEndian.Uint32(b[12:]), b[21], b[23])
	f.read = timestamp(binary.LittleEndian.Uint32(b[16:]), 0, b[24])
	s := b[entrySize:]
	f.row = s[1]&2 != 0
	f.hash = binary.LittleEndian.Uint16(s[4:])
	f.first = int64(binary.LittleEndian.Uint32(s[20:]))
	valid, size := binary.LittleEndian.Uint64(s[8:]), binary.LittleEndian.Uint64(s[24:])
	if size > 1<<62 || valid > size {
		return f, fmt.Errorf("its length is %d, of which %d are valid: %w", size, valid, errSet)
	}
	f.size, f.valid = int64(size), int64(valid)
	return f, f.parseName(b[2*entrySize:], int(s[3]))
}

// parseName reads the name entries behind a stream extension. Benign entries
// that are not known may follow.
func (f *file) parseName(b []byte, length int) error {
	f.name = make([]uint16, 0, length)
	for ; len(b) > 0; b = b[entrySize:] {
		switch kind := b[0]; {
		case kind == typeName && len(f.name) < length:
			for i := 2; i < entrySize && len(f.name) < length; i += 2 {
				f.name = append(f.name, binary.LittleEndian.Uint16(b[i:]))
			}
		case kind&typeBenign == 0:
			return fmt.Errorf("it has an entry of type %#x: %w", kind, errSet)
		}
	}
	if length == 0 || len(f.name) < length {
		return fmt.Errorf("%d units of a name of %d: %w", len(f.name), length, errSet)
	}
	return nil
}

// setSum is the checksum of a set (specification, 6.3.3).
func setSum(b []byte) uint16 {
	var sum uint16
	for i, c := range b {
		if i != 2 && i != 3 {
			sum = sum<<15 | sum>>1
			sum += uint16(c)
		}
	}
	return sum
}

// nameSum is the hash of a name (specification, 7.6.4).
func nameSum(name []uint16, u upcase) uint16 {
	var sum uint16
	for _, c := range name {
		c = u.up(c)
		for _, b := range [2]byte{byte(c), byte(c >> 8)} {
			sum = sum<<15 | sum>>1
			sum += uint16(b)
		}
	}
	return sum
}

// timestamp is a time of a file (specification, 7.4.5 to 7.4.10), in the zone it
// was kept in, or in that of this machine where none was. It is zero when it
// is none.
func timestamp(t uint32, hundredths, zone byte) time.Time {
	year, month, day := int(t>>25)+1980, int(t>>21&15), int(t>>16&31)
	hour, minute, second := int(t>>11&31), int(t>>5&63), int(t&31)*2
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 || hundredths > 199 {
		return time.Time{}
	}
	where := time.Local
	if zone&0x80 != 0 { // of a quarter of an hour, with a sign
		if where = time.UTC; zone&0x7f != 0 {
			where = time.FixedZone("", int(int8(zone<<1))/2*15*60)
		}
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, int(hundredths)*10_000_000, where)
}

// labelText is the name of the volume (specification, 7.3).
func labelText(e []byte) string {
	n := min(int(e[1]), 11)
	units := make([]uint16, n)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(e[2+2*i:])
	}
	return fstree.Name(units)
}
