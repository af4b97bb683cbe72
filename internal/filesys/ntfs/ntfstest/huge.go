package ntfstest

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"unicode/utf16"

	"ingot/internal/block"
)

// Places of the system files on a simulated volume, in clusters of 4096 bytes
// or more, and how long they are.
const (
	recordSize = 1024
	mftAt      = 4
	mftLen     = 16 * recordSize / 4096
	mirrorAt   = 8
	logAt      = 9
	logLen     = 64
	bitmapAt   = 128
)

// Huge is a simulated NTFS volume on a partition of size bytes, at least
// 16 MiB, that has runs rows of used clusters, each of n clusters, evenly
// spread behind the system files. Its bytes are the same in each read. It
// panics when the rows do not fit.
func Huge(size int64, runs int, n int64) block.Reader {
	cluster := int64(4096)
	for size/cluster >= 1<<32 {
		cluster *= 2
	}
	h := huge{size: size, cluster: cluster, runs: int64(runs), n: n}
	h.clusters = (size/512 - 1) * 512 / cluster
	bitmapBytes := (h.clusters + 63) / 64 * 8
	h.system = bitmapAt + (bitmapBytes+cluster-1)/cluster
	h.step = (h.clusters - h.system) / max(1, h.runs)
	if size < 16<<20 || h.step <= n {
		panic(fmt.Sprintf("ntfstest: %d runs of %d clusters do not fit into %d bytes", runs, n, size))
	}
	h.boot = h.makeBoot()
	h.mft = h.makeMFT(bitmapBytes)
	return h
}

// huge answers reads from its few parameters; it never changes once made.
type huge struct {
	size, cluster, clusters int64
	system                  int64 // first cluster behind the system files
	runs, n, step           int64
	boot, mft               []byte
}

func (h huge) Size() int64 { return h.size }

// ReadAt implements block.Reader.
func (h huge) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= h.size {
		return 0, io.EOF
	}
	all := p
	p = p[:min(int64(len(p)), h.size-off)]
	fill(p, off)
	overlay(p, off, h.boot, 0)
	overlay(p, off, h.boot, (h.size/512-1)*512)
	overlay(p, off, h.mft, mftAt*h.cluster)
	overlay(p, off, h.mft[:4*recordSize], mirrorAt*h.cluster)
	at := bitmapAt * h.cluster
	if lo, hi := max(off, at), min(off+int64(len(p)), h.system*h.cluster); lo < hi {
		h.bitmap(p[lo-off:hi-off], (lo-at)*8)
	}
	if len(p) < len(all) {
		return len(p), io.EOF
	}
	return len(p), nil
}

// fill writes the bytes of the data area: each word tells its place.
func fill(p []byte, off int64) {
	for len(p) > 0 {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], uint64(off/8)*0x9e3779b97f4a7c15)
		n := copy(p, w[off%8:])
		p, off = p[n:], off+int64(n)
	}
}

// overlay puts the part of what, which begins at byte at, that p covers.
func overlay(p []byte, off int64, what []byte, at int64) {
	lo, hi := max(off, at), min(off+int64(len(p)), at+int64(len(what)))
	if lo < hi {
		copy(p[lo-off:hi-off], what[lo-at:hi-at])
	}
}

// bitmap writes the part of $Bitmap that begins with the bit of cluster first.
// The bits behind the last cluster are set, as mkntfs does.
func (h huge) bitmap(p []byte, first int64) {
	clear(p)
	end := first + int64(len(p))*8
	setBits(p, -first, h.system-first)
	for i := max(0, (first-h.system)/h.step-1); i < h.runs && h.system+i*h.step < end; i++ {
		at := h.system + i*h.step + h.step - h.n
		setBits(p, at-first, at+h.n-first)
	}
	setBits(p, h.clusters-first, end-first)
}

// setBits sets bits [lo,hi) of p, as far as it has them.
func setBits(p []byte, lo, hi int64) {
	lo, hi = max(0, lo), min(hi, int64(len(p))*8)
	for ; lo < hi && lo%8 != 0; lo++ {
		p[lo/8] |= 1 << (lo % 8)
	}
	for ; lo+8 <= hi; lo += 8 {
		p[lo/8] = 0xff
	}
	for ; lo < hi; lo++ {
		p[lo/8] |= 1 << (lo % 8)
	}
}

func (h huge) makeBoot() []byte {
	b := make([]byte, 512)
	copy(b, "\xeb\x52\x90NTFS    ")
	binary.LittleEndian.PutUint16(b[11:], 512)
	per := h.cluster / 512
	if b[13] = byte(per); per > 128 {
		b[13] = byte(256 - (bits.Len64(uint64(per)) - 1))
	}
	b[21] = 0xf8
	binary.LittleEndian.PutUint64(b[40:], uint64(h.size/512-1))
	binary.LittleEndian.PutUint64(b[48:], mftAt)
	binary.LittleEndian.PutUint64(b[56:], mirrorAt)
	b[64], b[68] = 0xf6, 0xf4 // 1024 and 4096 bytes
	binary.LittleEndian.PutUint64(b[72:], 0x0123456789abcdef)
	b[510], b[511] = 0x55, 0xaa
	return b
}

// makeMFT makes the system files' records; those that no one reads are left
// out, as records not in use.
func (h huge) makeMFT(bitmapBytes int64) []byte {
	data := func(at, n, size int64) []byte {
		return NonResident(0x80, 1, "", 0, []Run{{at, n}}, size, h.cluster)
	}
	label := make([]byte, 0, 8)
	for _, u := range utf16.Encode([]rune("Huge")) {
		label = binary.LittleEndian.AppendUint16(label, u)
	}
	records := map[uint32][][]byte{
		0: {data(mftAt, mftLen, 16*recordSize)},
		1: {data(mirrorAt, 1, 4*recordSize)},
		2: {data(logAt, logLen, logLen*h.cluster)},
		3: {Resident(0x60, 1, label), Resident(0x70, 2, []byte{8: 3, 9: 1, 11: 0})},
		5: {rootIndex()},
		6: {data(bitmapAt, h.system-bitmapAt, bitmapBytes)},
		7: {data(0, 2, 8192)},
		8: {NonResident(0x80, 1, "$Bad", 0, []Run{{-1, h.clusters}}, h.clusters*h.cluster, h.cluster)},
	}
	out := make([]byte, 16*recordSize)
	for number, attrs := range records {
		copy(out[number*recordSize:], Record(recordSize, number, uint16(max(1, number)), 0, attrs...))
	}
	return out
}

// rootIndex is an empty folder: an index root $I30 with an end mark.
func rootIndex() []byte {
	value := make([]byte, 48)
	binary.LittleEndian.PutUint32(value, 0x30)
	binary.LittleEndian.PutUint32(value[4:], 1)
	binary.LittleEndian.PutUint32(value[8:], 4096)
	binary.LittleEndian.PutUint32(value[16:], 16)
	binary.LittleEndian.PutUint32(value[20:], 32)
	binary.LittleEndian.PutUint32(value[24:], 32)
	binary.LittleEndian.PutUint16(value[40:], 16)
	binary.LittleEndian.PutUint16(value[44:], 2)
	name := []byte{'$', 0, 'I', 0, '3', 0, '0', 0}
	a := Resident(0x90, 1, append(name, value...))
	// The name stands where the value began; the value comes behind it.
	a[9] = 4
	binary.LittleEndian.PutUint32(a[16:], uint32(len(value)))
	binary.LittleEndian.PutUint16(a[20:], 24+uint16(len(name)))
	return a
}
