package expand

import "encoding/binary"

// bitReader gives bits from 16-bit words, the highest first, as XPRESS and LZX
// both keep them. Raw bytes lie between the words: the number of words taken
// before such a byte is part of the format, so need is called exactly where
// the format's own decoder refills.
type bitReader struct {
	in   []byte
	pos  int
	word uint64 // the next bits, from bit 63 down
	n    int    // how many there are
	lack int    // words taken behind the end, which are zeros
}

// need makes sure that there are k bits, 16 at most. Behind the end come
// zeros: an encoder need not write the words that nothing is read from.
func (b *bitReader) need(k int) {
	if b.n >= k {
		return
	}
	var w uint64
	if b.pos+2 <= len(b.in) {
		w = uint64(binary.LittleEndian.Uint16(b.in[b.pos:]))
	} else {
		b.lack++
	}
	b.pos += 2
	b.word |= w << (48 - b.n)
	b.n += 16
}

// ended reports whether more was taken than there was.
func (b *bitReader) ended() bool { return b.lack*16 > b.n }

// peek gives the next k bits, 16 at most, which stay; where there are less,
// zeros follow.
func (b *bitReader) peek(k int) int { return int(b.word >> (64 - k)) }

// drop takes k bits that are there.
func (b *bitReader) drop(k int) {
	b.word <<= k
	b.n -= k
}

// bits takes k bits, 16 at most.
func (b *bitReader) bits(k int) int {
	b.need(k)
	v := b.peek(k)
	b.drop(k)
	return v
}

// raw takes n bytes that stand between the words, or nil when there are less.
func (b *bitReader) raw(n int) []byte {
	if b.pos > len(b.in) || n > len(b.in)-b.pos {
		return nil
	}
	out := b.in[b.pos : b.pos+n]
	b.pos += n
	return out
}

// align goes to the next word; when at a word's start, one word is skipped. It
// puts back the words that were taken too early.
func (b *bitReader) align() {
	if b.n%16 == 0 {
		b.need(16)
		b.n -= 16
	}
	b.pos -= b.n / 16 * 2
	b.word, b.n, b.lack = 0, 0, 0
}

// Sizes of the Huffman codes of both formats.
const (
	maxSymbols = 512
	maxLength  = 16
	fastBits   = 10
)

// huffman is a canonical prefix code: codes ascend by length, then by symbol.
type huffman struct {
	fast   [1 << fastBits]uint16 // symbol | length<<9 by the next bits; 0: a longer code
	first  [maxLength + 1]int    // the first code of each length
	count  [maxLength + 1]int    // how many codes have each length
	start  [maxLength + 1]int    // where those of a length begin in sorted
	sorted [maxSymbols]uint16    // symbols in the order of their codes
	empty  bool
}

// build makes the code of the given lengths, by symbol, each maxLength at
// most. It must be complete, or empty: an empty one has no symbol to be read.
func (h *huffman) build(lengths []byte) bool {
	h.count = [maxLength + 1]int{}
	for _, n := range lengths {
		h.count[n]++
	}
	h.empty = h.count[0] == len(lengths)
	if h.empty {
		return true
	}
	h.count[0] = 0
	code, index := 0, 0
	for n := 1; n <= maxLength; n++ {
		code <<= 1
		h.first[n], h.start[n] = code, index
		code += h.count[n]
		index += h.count[n]
	}
	if code != 1<<maxLength {
		return false
	}
	h.fill(lengths)
	return true
}

// fill puts the symbols in order and the short codes into the fast table.
func (h *huffman) fill(lengths []byte) {
	next := h.start
	for s, n := range lengths {
		if n > 0 {
			h.sorted[next[n]] = uint16(s)
			next[n]++
		}
	}
	at := 0
	for n := 1; n <= fastBits; n++ {
		for i := range h.count[n] {
			v := h.sorted[h.start[n]+i] | uint16(n)<<9
			end := at + 1<<(fastBits-n)
			for ; at < end; at++ {
				h.fast[at] = v
			}
		}
	}
	clear(h.fast[at:])
}

// symbol takes one symbol. In a complete code all bits mean something; -1 is
// given for an empty code.
func (b *bitReader) symbol(h *huffman) int {
	if h.empty {
		return -1
	}
	b.need(maxLength)
	if v := h.fast[b.peek(fastBits)]; v != 0 {
		b.drop(int(v >> 9))
		return int(v & (maxSymbols - 1))
	}
	for n := fastBits + 1; n <= maxLength; n++ {
		if i := b.peek(n) - h.first[n]; i < h.count[n] {
			b.drop(n)
			return int(h.sorted[h.start[n]+i])
		}
	}
	return -1
}
