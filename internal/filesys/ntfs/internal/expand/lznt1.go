package expand

import (
	"encoding/binary"
	"fmt"
)

// chunkSize is what one chunk of LZNT1 expands to at most.
const chunkSize = 4096

// LZNT1 fills dst from src ([MS-XCA] 2.5). Chunks that are missing at the end,
// and what a chunk leaves of its 4096 bytes, are zeros.
func LZNT1(dst, src []byte) error {
	for at := 0; at < len(dst); at += chunkSize {
		out := dst[at:min(at+chunkSize, len(dst))]
		if len(src) < 2 || src[0] == 0 && src[1] == 0 {
			clear(dst[at:])
			return nil
		}
		head := binary.LittleEndian.Uint16(src)
		n := int(head&0xfff) + 1
		if head>>12&7 != 3 || n > len(src)-2 {
			return fmt.Errorf("LZNT1: header %#x of the chunk at byte %d, %d bytes behind it", head, at, len(src)-2)
		}
		body := src[2 : 2+n]
		src = src[2+n:]
		done := 0
		if head&0x8000 == 0 {
			done = copy(out, body)
		} else if done = lznt1Chunk(out, body); done < 0 {
			return fmt.Errorf("LZNT1: the chunk at byte %d reaches before its start or behind its end", at)
		}
		clear(out[done:])
	}
	return nil
}

// lznt1Chunk expands one chunk and gives the number of bytes, or -1. A byte of
// flags tells which of the next eight elements are bytes (0) and which are
// matches (1), 16 bits whose border between distance and length moves with the
// place in the chunk.
func lznt1Chunk(out, in []byte) int {
	at := 0
	for i := 0; i < len(in); {
		flags := in[i]
		i++
		for bit := 0; bit < 8 && i < len(in); bit++ {
			if flags>>bit&1 == 0 {
				if at == len(out) {
					return -1
				}
				out[at] = in[i]
				at, i = at+1, i+1
				continue
			}
			if i+2 > len(in) {
				return -1
			}
			distance, length := lznt1Match(binary.LittleEndian.Uint16(in[i:]), at)
			if !repeat(out, at, distance, length) {
				return -1
			}
			at, i = at+length, i+2
		}
	}
	return at
}

// lznt1Match takes a match apart, for a place of the chunk: its distance has as
// many bits as the place needs, and four at least.
func lznt1Match(v uint16, at int) (distance, length int) {
	lengthBits := 12
	for i := at - 1; i >= 16; i >>= 1 {
		lengthBits--
	}
	return int(v>>lengthBits) + 1, int(v&(1<<lengthBits-1)) + 3
}

// repeat writes n bytes at out[at:] that are those of the given distance
// before; they may overlap what is written.
func repeat(out []byte, at, distance, n int) bool {
	if distance <= 0 || distance > at || n > len(out)-at {
		return false
	}
	if distance >= n {
		copy(out[at:at+n], out[at-distance:])
		return true
	}
	for i := at; i < at+n; i++ {
		out[i] = out[i-distance]
	}
	return true
}
