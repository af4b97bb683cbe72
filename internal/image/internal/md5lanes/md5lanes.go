package md5lanes

import (
	"crypto/md5"
	"encoding/binary"
)

// maxLanes is the widest kernel there is: 16 lanes of 32 bits in a 512-bit
// register. A kernel with fewer lanes uses the first ones of each array.
const maxLanes = 16

// chunk is how many bytes of every lane one kernel call works through. Go
// cannot interrupt assembly, and a collection waits for it: 16 lanes of this
// take about a tenth of a millisecond.
const chunk = 64 << 10

// state holds the four chaining values A, B, C, D (RFC 1321, section 3.3) of
// all lanes: state[0] is A of lanes 0 to 15.
type state [4][maxLanes]uint32

// offsets says where the next 64 bytes of each lane are, in bytes from the
// base address that the kernel is given.
type offsets [maxLanes]uint64

// initial is what A, B, C and D begin with (RFC 1321, section 3.3).
var initial = [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

// path is one way to hash a group of messages.
type path int

const (
	scalar path = iota // crypto/md5, one message after the other
	avx2               // 8 lanes
	avx512             // 16 lanes
)

// Sums writes the MD5 of each of the messages that stand one after the other
// in data to sums, in their order. Every message is size bytes long except the
// last, which ends where data ends and may be shorter, or empty. It panics
// when data is not as long as len(sums) messages can be: that is a mistake of
// the caller and not of the data.
func Sums(sums [][16]byte, data []byte, size int) {
	check(len(sums), len(data), size)
	full := len(sums)
	if full > 0 && full*size > len(data) {
		full--
		sums[full] = md5.Sum(data[full*size:])
	}
	var offs [maxLanes]int
	for i := 0; i < full; {
		p, n := choose(full - i)
		for k := range n {
			offs[k] = (i + k) * size
		}
		p.sum(sums[i:i+n], data, offs[:n], size)
		i += n
	}
}

// SumsAt is Sums of messages that stand anywhere in data: sums[i] becomes the
// MD5 of the size bytes at offs[i]. It panics when one does not lie in data.
func SumsAt(sums [][16]byte, data []byte, offs []int, size int) {
	for _, off := range offs[:len(sums)] {
		if off < 0 || size < 0 || off > len(data)-size {
			panic("md5lanes: a message lies outside of data")
		}
	}
	for i := 0; i < len(sums); {
		p, n := choose(len(sums) - i)
		p.sum(sums[i:i+n], data, offs[i:i+n], size)
		i += n
	}
}

// check panics unless n messages of size bytes, the last one shorter or not,
// can be what length bytes hold.
func check(n, length, size int) {
	switch {
	case size < 0:
		panic("md5lanes: negative message size")
	case length > n*size, n > 0 && length < (n-1)*size:
		panic("md5lanes: data is not as long as the messages")
	}
}

// sum hashes the messages of size bytes each at offs: at least one, and at most
// as many as p has lanes.
func (p path) sum(sums [][16]byte, data []byte, offs []int, size int) {
	if p == scalar {
		for i, off := range offs {
			sums[i] = md5.Sum(data[off : off+size])
		}
		return
	}
	var st state
	for i, v := range initial {
		for lane := range st[i] {
			st[i][lane] = v
		}
	}
	p.whole(&st, data, offs, size)
	p.tail(&st, data, offs, size)
	for lane := range sums {
		for i := range st {
			binary.LittleEndian.PutUint32(sums[lane][4*i:], st[i][lane])
		}
	}
}

// whole feeds the first size&^63 bytes of the messages to the kernel. Lanes
// without a message follow lane 0, so that they touch no memory of their own.
func (p path) whole(st *state, data []byte, offs []int, size int) {
	end := size &^ 63
	for at := 0; at < end; at += chunk {
		var off offsets
		for lane := range off {
			off[lane] = uint64(at + offs[0])
			if lane < len(offs) {
				off[lane] = uint64(at + offs[lane])
			}
		}
		p.blocks(st, &data[0], &off, uint64(min(chunk, end-at)/64))
	}
}

// tail feeds what is left of each of the messages, followed by the padding
// of RFC 1321, sections 3.1 and 3.2: the byte 0x80, zeros up to 8 bytes before
// a multiple of 64, and the length of the message in bits.
func (p path) tail(st *state, data []byte, offs []int, size int) {
	const room = 128
	var pad [maxLanes * room]byte
	var off offsets
	rest := size & 63
	padded := 64
	if rest > 64-9 {
		padded = room
	}
	for lane, at := range offs {
		b := pad[lane*room : (lane+1)*room]
		copy(b, data[at+size-rest:at+size])
		b[rest] = 0x80
		binary.LittleEndian.PutUint64(b[padded-8:], uint64(size)*8)
		off[lane] = uint64(lane * room)
	}
	p.blocks(st, &pad[0], &off, uint64(padded/64))
}
