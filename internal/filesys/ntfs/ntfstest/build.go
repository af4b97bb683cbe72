package ntfstest

import (
	"encoding/binary"
	"unicode/utf16"
)

// Run is a row of clusters: Clusters of them from LCN on, or a hole when LCN
// is negative.
type Run struct{ LCN, Clusters int64 }

// Pairs encodes runs as mapping pairs with their end mark.
func Pairs(runs []Run) []byte {
	var out []byte
	last := int64(0)
	for _, r := range runs {
		n := signedBytes(r.Clusters)
		var step []byte
		if r.LCN >= 0 {
			step = signedBytes(r.LCN - last)
			last = r.LCN
		}
		out = append(out, byte(len(step)<<4|len(n)))
		out = append(append(out, n...), step...)
	}
	return append(out, 0)
}

// signedBytes is v in as few bytes as hold it with its sign, at least one.
func signedBytes(v int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(v))
	n := 8
	for n > 1 && int64(int8(b[n-1])) == int64(int8(b[n-2]))>>7 {
		n--
	}
	return b[:n]
}

// Resident is an unnamed attribute whose value is in the record.
func Resident(typ uint32, id uint16, value []byte) []byte {
	a := make([]byte, 24, 32+len(value))
	binary.LittleEndian.PutUint32(a, typ)
	binary.LittleEndian.PutUint16(a[10:], 24)
	binary.LittleEndian.PutUint16(a[14:], id)
	binary.LittleEndian.PutUint32(a[16:], uint32(len(value)))
	binary.LittleEndian.PutUint16(a[20:], 24)
	return closed(append(a, value...))
}

// NonResident is one piece of an attribute in clusters: its runs, from VCN low
// on, of an attribute of size bytes in all.
func NonResident(typ uint32, id uint16, name string, low int64, runs []Run, size, clusterSize int64) []byte {
	high := low - 1
	for _, r := range runs {
		high += r.Clusters
	}
	units := utf16.Encode([]rune(name))
	a := make([]byte, 64)
	binary.LittleEndian.PutUint32(a, typ)
	a[8], a[9] = 1, byte(len(units))
	binary.LittleEndian.PutUint16(a[10:], 64)
	binary.LittleEndian.PutUint16(a[14:], id)
	binary.LittleEndian.PutUint64(a[16:], uint64(low))
	binary.LittleEndian.PutUint64(a[24:], uint64(high))
	for _, u := range units {
		a = binary.LittleEndian.AppendUint16(a, u)
	}
	for len(a)%8 != 0 {
		a = append(a, 0)
	}
	binary.LittleEndian.PutUint16(a[32:], uint16(len(a)))
	binary.LittleEndian.PutUint64(a[40:], uint64((size+clusterSize-1)/clusterSize*clusterSize))
	binary.LittleEndian.PutUint64(a[48:], uint64(size))
	binary.LittleEndian.PutUint64(a[56:], uint64(size))
	return closed(append(a, Pairs(runs)...))
}

// closed pads an attribute to 8 bytes and writes its length.
func closed(a []byte) []byte {
	for len(a)%8 != 0 {
		a = append(a, 0)
	}
	binary.LittleEndian.PutUint32(a[4:], uint32(len(a)))
	return a
}

// ListEntry is one entry of an attribute list, for an unnamed attribute.
func ListEntry(typ uint32, id uint16, low int64, ref uint64) []byte {
	e := make([]byte, 32)
	binary.LittleEndian.PutUint32(e, typ)
	binary.LittleEndian.PutUint16(e[4:], 32)
	e[7] = 26
	binary.LittleEndian.PutUint64(e[8:], uint64(low))
	binary.LittleEndian.PutUint64(e[16:], ref)
	binary.LittleEndian.PutUint16(e[24:], id)
	return e
}

// Record is an MFT record in use of size bytes, with its fixups in place; base
// is the file reference of its base record, 0 if it is one itself. It panics
// when the attributes do not fit.
func Record(size int, number uint32, seq uint16, base uint64, attrs ...[]byte) []byte {
	const header, array = 48, 48
	b := make([]byte, header, size)
	copy(b, "FILE")
	n := size/512 + 1
	b = append(b, make([]byte, (2*n+7)/8*8)...)
	binary.LittleEndian.PutUint16(b[4:], array)
	binary.LittleEndian.PutUint16(b[6:], uint16(n))
	binary.LittleEndian.PutUint16(b[16:], seq)
	binary.LittleEndian.PutUint16(b[18:], 1)
	binary.LittleEndian.PutUint16(b[20:], uint16(len(b)))
	binary.LittleEndian.PutUint16(b[22:], 1)
	binary.LittleEndian.PutUint32(b[28:], uint32(size))
	binary.LittleEndian.PutUint64(b[32:], base)
	binary.LittleEndian.PutUint16(b[40:], 100) // next attribute id
	binary.LittleEndian.PutUint32(b[44:], number)
	for _, a := range attrs {
		b = append(b, a...)
	}
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
	if len(b) > size {
		panic("attributes do not fit into the record")
	}
	binary.LittleEndian.PutUint32(b[24:], uint32(len(b)))
	b = b[:size]
	protect(b, array)
	return b
}

// protect writes the update sequence of a block whose array is at off.
func protect(b []byte, off int) {
	const usn = 1
	binary.LittleEndian.PutUint16(b[off:], usn)
	for i := 1; i <= len(b)/512; i++ {
		end := i*512 - 2
		copy(b[off+2*i:off+2*i+2], b[end:end+2])
		binary.LittleEndian.PutUint16(b[end:], usn)
	}
}
