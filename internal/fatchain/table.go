package fatchain

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Geometry is where the clusters of a volume lie, and the table that chains
// them. Offsets and sizes are bytes from the start of the volume; clusters are
// counted from 2.
type Geometry struct {
	Table int64 // of the table in use
	Bits  int   // of an entry: 12, 16, 28 (of 32, FAT32) or 32 (exFAT)
	Data  int64 // of cluster 2
	Size  int64 // of a cluster
	Count int64 // of clusters
}

// Space is the clusters of a volume that can be read.
type Space struct {
	Geometry
	reader io.ReaderAt

	mu    sync.Mutex
	pages [pageSlots]page
}

// New makes the Space of a volume.
func New(r io.ReaderAt, g Geometry) *Space { return &Space{Geometry: g, reader: r} }

const (
	pageSize  = 12 << 10 // of the table: a whole number of entries of each width
	pageSlots = 64
)

// page is a piece of the table.
type page struct {
	number int64 // 0 is none, the first is 1
	data   []byte
}

// Offset is the place of a cluster.
func (s *Space) Offset(cluster int64) int64 { return s.Data + (cluster-2)*s.Size }

// Has says whether there is such a cluster.
func (s *Space) Has(cluster int64) bool { return cluster >= 2 && cluster < s.Count+2 }

// width is how many bits of the table an entry takes.
func (s *Space) width() int64 {
	if s.Bits == 28 {
		return 32
	}
	return int64(s.Bits)
}

// Entry is the entry of a cluster.
func (s *Space) Entry(cluster int64) (uint32, error) {
	bit := cluster * s.width()
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.at(bit / 8)
	if err != nil {
		return 0, fmt.Errorf("read entry %d of the FAT at byte %d: %w", cluster, s.Table+bit/8, err)
	}
	switch s.Bits {
	case 12: // of two bytes, the upper or the lower 12 bits
		return uint32(binary.LittleEndian.Uint16(b)) >> (bit % 8) & 0xfff, nil
	case 16:
		return uint32(binary.LittleEndian.Uint16(b)), nil
	case 28:
		return binary.LittleEndian.Uint32(b) & 0x0fffffff, nil
	}
	return binary.LittleEndian.Uint32(b), nil
}

// at gives the bytes of the table from off on, at least an entry of them.
func (s *Space) at(off int64) ([]byte, error) {
	number := off/pageSize + 1
	p := &s.pages[number%pageSlots]
	if p.number != number {
		if p.data == nil {
			p.data = make([]byte, pageSize)
		}
		p.number = 0
		start := (number - 1) * pageSize
		end := min(start+pageSize, (s.Count+2)*s.width()/8+1)
		n, err := s.reader.ReadAt(p.data[:end-start], s.Table+start)
		if int64(n) < end-start && int64(n) < off-start+s.width()/8+1 {
			return nil, err
		}
		clear(p.data[n:])
		if int64(n) == end-start { // a page of which a part is unreadable is read anew
			p.number = number
		}
	}
	return p.data[off-(number-1)*pageSize:], nil
}

// end is the lowest entry that ends a chain; the one before marks a bad cluster.
func (s *Space) end() uint32 { return uint32(1)<<s.Bits - 8 }

// Next is the cluster behind another in its chain; 0 when that is the last one.
func (s *Space) Next(cluster int64) (int64, error) {
	e, err := s.Entry(cluster)
	switch {
	case err != nil:
		return 0, err
	case e >= s.end():
		return 0, nil
	case !s.Has(int64(e)):
		return 0, fmt.Errorf("the chain goes from cluster %d to %d, of %d", cluster, e, s.Count)
	}
	return int64(e), nil
}

// Bad counts the clusters that are marked as bad. It reads the whole table.
func (s *Space) Bad() (n int64, err error) {
	bad := s.end() - 1
	for c := int64(2); c < s.Count+2; c++ {
		e, err := s.Entry(c)
		if err != nil {
			return n, err
		}
		if e == bad {
			n++
		}
	}
	return n, nil
}
