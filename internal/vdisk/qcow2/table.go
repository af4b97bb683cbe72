package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"ingot/internal/block"
)

// Masks of the entries (sections Active L1 table, L2 table entry).
const (
	offsetMask = 0x00FFFFFFFFFFFE00
	flagCopied = 1 << 63
	flagPacked = 1 << 62
	flagZero   = 1
)

// kind says where the bytes of a run are.
type kind int

const (
	absent kind = iota // nowhere: those of the backing file
	zero               // nowhere: they are zeros
	data               // in the file as they are
	packed             // in the file, compressed
)

// run is a range of the disk of one kind. Of data it is contiguous in the file.
type run struct {
	kind kind
	n    int64 // bytes
	host int64 // of data and packed: offset in the file
	size int64 // of packed: bytes there at most
}

const (
	// slice is how much of a second-level table is read and held at a time.
	slice = 64 << 10
	// maxSlices is how many are held at most.
	maxSlices = 64
)

// tables looks up entries of the second level.
type tables struct {
	f    io.ReaderAt
	h    *header
	size int64 // of the file
	l1   []uint64

	held *block.Shelf // pieces of tables, by their offset in the file
}

// readL1 reads and checks the first level.
func (t *tables) readL1() error {
	b := make([]byte, t.h.l1Size*8)
	if _, err := t.f.ReadAt(b, t.h.l1Offset); err != nil && len(b) > 0 {
		return fmt.Errorf("read the l1 table at byte %d: %w", t.h.l1Offset, err)
	}
	t.l1 = make([]uint64, t.h.l1Size)
	var used []uint64
	for i := range t.l1 {
		off := binary.BigEndian.Uint64(b[i*8:]) & offsetMask
		t.l1[i] = off
		if off == 0 {
			continue
		}
		if off%uint64(t.h.clusterSize()) != 0 || int64(off) > t.size-t.h.clusterSize() {
			return corrupt("entry %d of the l1 table names the l2 table at byte %d of a file of %d", i, off, t.size)
		}
		used = append(used, off)
	}
	// Two entries with one table would make of a short file a walk without end.
	slices.Sort(used)
	for i := 1; i < len(used); i++ {
		if used[i] == used[i-1] {
			return corrupt("the l2 table at byte %d is named twice", used[i])
		}
	}
	return nil
}

// part returns the piece of a second-level table that begins at off in the file.
func (t *tables) part(off, n int64) ([]byte, error) {
	return t.held.Get(off, func() ([]byte, error) {
		b := make([]byte, n)
		if _, err := t.f.ReadAt(b, off); err != nil {
			return nil, fmt.Errorf("read the l2 table at byte %d: %w", off, err)
		}
		return b, nil
	})
}

// lookup says what lies at off of the disk, for at most n bytes from there on.
func (t *tables) lookup(off, n int64) (run, error) {
	perTable := t.h.l2Entries() << t.h.clusterBits
	n = min(n, t.h.size-off, perTable-off%perTable)
	table := int64(t.l1[off/perTable])
	if table == 0 {
		return run{kind: absent, n: n}, nil
	}
	first := off % perTable >> t.h.clusterBits
	size := t.h.entrySize()
	from := first * size / slice * slice
	b, err := t.part(table+from, min(slice, t.h.clusterSize()-from))
	if err != nil {
		return run{}, err
	}
	var out run
	for out.n < n {
		at := off + out.n
		i := (at%perTable>>t.h.clusterBits)*size - from
		if i >= int64(len(b)) {
			break
		}
		next, err := t.entry(b[i:][:size], at)
		if err != nil {
			return run{}, err
		}
		if !out.join(next) {
			break
		}
	}
	out.n = min(out.n, n)
	return out, nil
}

// join appends a run that follows; it is refused when it is of another kind, or
// not contiguous.
func (r *run) join(next run) bool {
	if r.n == 0 {
		*r = next
		return true
	}
	if r.kind != next.kind || r.kind == packed || r.kind == data && r.host+r.n != next.host {
		return false
	}
	r.n += next.n
	return true
}

// entry decodes the entry of the cluster in which byte at of the disk lies, from
// there to the end of the cluster or of a row of subclusters of one kind.
func (t *tables) entry(b []byte, at int64) (run, error) {
	e, cluster := binary.BigEndian.Uint64(b), t.h.clusterSize()
	in := at % cluster
	r := run{n: cluster - in, host: int64(e & offsetMask)}
	switch {
	case e&flagPacked != 0:
		return t.packedEntry(e, at)
	case t.h.extended():
		return t.subclusters(e, binary.BigEndian.Uint64(b[8:]), at)
	case e&flagZero != 0:
		if t.h.version < 3 {
			return r, corrupt("a zero cluster at byte %d of the disk, which version 2 does not have", at)
		}
		r.kind = zero
		return r, nil
	case r.host == 0 && !(t.h.external() && e&flagCopied != 0):
		return r, nil
	}
	r.kind = data
	return r, t.place(&r, in, at)
}

// place checks where the data of a run are, and adds how far into the cluster it
// begins. The last cluster of a file may be cut off where nothing was written.
func (t *tables) place(r *run, in, at int64) error {
	limit := t.size
	if t.h.external() {
		limit = 1 << 62
	}
	if r.host%t.h.clusterSize() != 0 || r.host >= limit {
		return corrupt("byte %d of the disk would lie at byte %d of a file of %d", at, r.host, t.size)
	}
	r.host += in
	return nil
}

// packedEntry decodes the entry of a compressed cluster (section Compressed
// Clusters Descriptor).
func (t *tables) packedEntry(e uint64, at int64) (run, error) {
	x := 62 - (t.h.clusterBits - 8)
	host := int64(e & (1<<x - 1) & 0x00FFFFFFFFFFFFFF)
	sectors := int64(e>>x&(1<<(62-x)-1)) + 1
	in := at % t.h.clusterSize()
	r := run{kind: packed, n: t.h.clusterSize() - in, host: host, size: sectors*512 - host%512}
	if t.h.external() || host <= 0 || host >= t.size {
		return r, corrupt("the compressed cluster of byte %d of the disk would lie at byte %d of a file of %d", at, host, t.size)
	}
	r.size = min(r.size, t.size-host)
	return r, nil
}

// subclusters decodes an extended entry, whose second half has a bit for each
// of 32 subclusters that is allocated, and one for each that is zeros (section
// Extended L2 Entries).
func (t *tables) subclusters(e, bitmap uint64, at int64) (run, error) {
	sub, in := t.h.clusterSize()/32, at%t.h.clusterSize()
	alloc, zeros := uint32(bitmap), uint32(bitmap>>32)
	if alloc&zeros != 0 {
		return run{}, corrupt("the subclusters at byte %d of the disk are both data and zeros", at)
	}
	i := in / sub
	same := func(m uint32) int64 { return min(int64(bits.TrailingZeros32(^(m >> i))), 32-i) }
	r := run{host: int64(e & offsetMask)}
	var n int64
	switch {
	case alloc>>i&1 != 0:
		r.kind, n = data, same(alloc)
		if r.host == 0 && !(t.h.external() && e&flagCopied != 0) {
			return r, corrupt("the subclusters at byte %d of the disk lie nowhere", at)
		}
		if err := t.place(&r, in, at); err != nil {
			return r, err
		}
	case zeros>>i&1 != 0:
		r.kind, n = zero, same(zeros)
	default:
		n = same(^(alloc | zeros))
	}
	r.n = (i+n)*sub - in
	return r, nil
}
