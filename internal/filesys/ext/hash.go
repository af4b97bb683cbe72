package ext

import (
	"fmt"
	"math/bits"
)

// Hashes of names, as an index's root and debugfs's dx_hash number them. The
// first three take bytes as signed; where the superblock says so, they are
// those that take them as unsigned.
const (
	hashLegacy = iota
	hashHalfMD4
	hashTEA
	hashUnsigned // what is added for unsigned bytes
)

// hash is the hash of a name that the index of a folder is ordered by. The
// lowest bit is not of the hash; the highest value means the end.
func (s *super) hash(version byte, name []byte) (uint32, error) {
	unsigned := s.unsignedHash
	if version >= hashUnsigned && version < 2*hashUnsigned {
		version, unsigned = version-hashUnsigned, true
	}
	state := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	if s.hashSeed != [4]uint32{} {
		state = s.hashSeed
	}
	var h uint32
	switch version {
	case hashLegacy:
		h = legacyHash(name, unsigned)
	case hashHalfMD4:
		for ; len(name) > 0; name = name[min(32, len(name)):] {
			halfMD4(&state, hashWords(name, 8, unsigned))
		}
		h = state[1]
	case hashTEA:
		for ; len(name) > 0; name = name[min(16, len(name)):] {
			tea(&state, hashWords(name, 4, unsigned))
		}
		h = state[0]
	default:
		return 0, fmt.Errorf("index: hash of kind %d", version)
	}
	if h &^= 1; h == 0xfffffffe {
		h -= 2
	}
	return h, nil
}

// char is a byte as a number, with its sign carried on unless it has none.
func char(c byte, unsigned bool) uint32 {
	if unsigned {
		return uint32(c)
	}
	return uint32(int8(c))
}

func legacyHash(name []byte, unsigned bool) uint32 {
	last, before := uint32(0x12a3fe2d), uint32(0x37abe8f9)
	for _, c := range name {
		h := before + (last ^ char(c, unsigned)*7152373)
		if h&(1<<31) != 0 {
			h -= 1<<31 - 1
		}
		last, before = h, last
	}
	return last << 1
}

// hashWords makes n words of the front of a name, four characters each, filled
// up with the length of all that is left of it.
func hashWords(name []byte, n int, unsigned bool) [8]uint32 {
	pad := uint32(len(name)) * 0x01010101
	var out [8]uint32
	for i := range n {
		w := pad
		for k := 4 * i; k < min(4*i+4, len(name)); k++ {
			w = w<<8 + char(name[k], unsigned)
		}
		out[i] = w
	}
	return out
}

// tea mixes four words into the state by the cipher of that name, in 16 rounds.
func tea(state *[4]uint32, k [8]uint32) {
	x, y, sum := state[0], state[1], uint32(0)
	for range 16 {
		sum += 0x9e3779b9
		x += (y<<4 + k[0]) ^ (y + sum) ^ (y>>5 + k[1])
		y += (x<<4 + k[2]) ^ (x + sum) ^ (x>>5 + k[3])
	}
	state[0] += x
	state[1] += y
}

// halfMD4 mixes eight words into the state by three rounds of eight steps, each
// with a function, a constant, an order of the words and turns of its own.
func halfMD4(state *[4]uint32, in [8]uint32) {
	a, b, c, d := state[0], state[1], state[2], state[3]
	for _, round := range [...]struct {
		mix   func(x, y, z uint32) uint32
		add   uint32
		order [8]int
		turns [4]int
	}{
		{func(x, y, z uint32) uint32 { return z ^ x&(y^z) }, 0, [8]int{0, 1, 2, 3, 4, 5, 6, 7}, [4]int{3, 7, 11, 19}},
		{func(x, y, z uint32) uint32 { return x&y + (x^y)&z }, 0x5a827999, [8]int{1, 3, 5, 7, 0, 2, 4, 6}, [4]int{3, 5, 9, 13}},
		{func(x, y, z uint32) uint32 { return x ^ y ^ z }, 0x6ed9eba1, [8]int{3, 7, 2, 6, 1, 5, 0, 4}, [4]int{3, 9, 11, 15}},
	} {
		for i, word := range round.order {
			a += round.mix(b, c, d) + in[word] + round.add
			a, b, c, d = d, bits.RotateLeft32(a, round.turns[i%4]), b, c
		}
	}
	state[0] += a
	state[1] += b
	state[2] += c
	state[3] += d
}
