package expand

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// xpressLengths is the size of the table that a chunk begins with: 512 lengths
// of codes, four bits each.
const xpressLengths = 256

// XPRESS fills dst, 64 KiB at most, from the one block in src ([MS-XCA] 2.1,
// LZ77 with Huffman codes).
func XPRESS(dst, src []byte) error {
	if len(src) < xpressLengths {
		return fmt.Errorf("XPRESS: %d bytes, less than the table of codes", len(src))
	}
	var lengths [maxSymbols]byte
	for i, c := range src[:xpressLengths] {
		lengths[2*i], lengths[2*i+1] = c&15, c>>4
	}
	var code huffman
	if !code.build(lengths[:]) || code.empty {
		return errors.New("XPRESS: the lengths make no complete code")
	}
	b := bitReader{in: src, pos: xpressLengths}
	for at := 0; at < len(dst); {
		s := b.symbol(&code)
		if s < 0 || b.ended() {
			return fmt.Errorf("XPRESS: the input ends at byte %d of %d", at, len(dst))
		}
		if s < 256 {
			dst[at] = byte(s)
			at++
			continue
		}
		distance, length := b.xpressMatch(s - 256)
		if !repeat(dst, at, distance, length) {
			return fmt.Errorf("XPRESS: at byte %d of %d a match of %d bytes %d before", at, len(dst), length, distance)
		}
		at += length
	}
	return nil
}

// xpressMatch reads what follows the symbol of a match: four bits of it are
// the length, 15 for what stands in further bytes, and four the number of bits
// of the distance. It gives a length of a size no chunk has when the input ends.
func (b *bitReader) xpressMatch(s int) (distance, length int) {
	length = s & 15
	n := s >> 4
	b.need(16)
	distance = 1<<n | b.peek(n)
	b.drop(n)
	if length == 15 {
		length = b.xpressLength()
	}
	return distance, length + 3
}

// xpressLength reads a length of 15 or more: one byte, two bytes, or four.
func (b *bitReader) xpressLength() int {
	const none = 1 << 30
	one := b.raw(1)
	if one == nil {
		return none
	}
	if one[0] < 255 {
		return int(one[0]) + 15
	}
	two := b.raw(2)
	if two == nil {
		return none
	}
	if v := binary.LittleEndian.Uint16(two); v > 0 {
		return int(v)
	}
	four := b.raw(4)
	if four == nil {
		return none
	}
	return int(min(binary.LittleEndian.Uint32(four), none))
}
