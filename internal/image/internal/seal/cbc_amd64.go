package seal

import (
	"crypto/aes"
	"encoding/binary"
	"math/bits"

	"golang.org/x/sys/cpu"
)

// subWord puts each byte of w through the S-box of AES (FIPS 197, section 5.1.1).
//
//go:noescape
func subWord(w uint32) uint32

// encryptLanes encrypts n blocks of 16 bytes of each lane in CBC mode, in place,
// with the round keys from first to last.
//
//go:noescape
func encryptLanes(l *lanes, first, last *byte, n int)

// schedule are the round keys of AES; nil where the processor does not do AES by
// itself.
type schedule []byte

// newSchedule expands a key. Source: FIPS 197, section 5.2; words are held as they
// lie in memory, with their first byte lowest.
func newSchedule(key []byte) schedule {
	if !cpu.X86.HasAES {
		return nil
	}
	n := len(key) / 4
	w := make([]uint32, 4*(n+7))
	for i := range n {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	constant := uint32(1)
	for i := n; i < len(w); i++ {
		t := w[i-1]
		switch {
		case i%n == 0:
			t = subWord(bits.RotateLeft32(t, -8)) ^ constant
			constant <<= 1
			if constant > 0xFF {
				constant ^= 0x11B
			}
		case n > 6 && i%n == 4:
			t = subWord(t)
		}
		w[i] = w[i-n] ^ t
	}
	out := make(schedule, 0, 4*len(w))
	for _, v := range w {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return out
}

// encrypt encrypts n blocks of each lane.
func (s schedule) encrypt(l *lanes, n int) {
	encryptLanes(l, &s[0], &s[len(s)-aes.BlockSize], n)
}
