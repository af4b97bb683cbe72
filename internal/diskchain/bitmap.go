package diskchain

import (
	"iter"
	"math/bits"
)

// Run is a stretch of equal bits of a bitmap.
type Run struct {
	From, Len int64 // in bits; From is counted from where the walk began
	Set       bool
}

// Bitmap is a row of bits, the lowest or the highest of a byte first.
type Bitmap struct {
	Bytes     []byte
	HighFirst bool
}

func (m Bitmap) bit(i int64) bool {
	b := m.Bytes[i/8]
	if m.HighFirst {
		b = bits.Reverse8(b)
	}
	return b>>(i%8)&1 != 0
}

// Runs gives the stretches of equal bits among the n bits from bit skip on.
func (m Bitmap) Runs(skip, n int64) iter.Seq[Run] {
	return func(yield func(Run) bool) {
		for i := int64(0); i < n; {
			r := Run{From: i, Set: m.bit(skip + i)}
			whole := byte(0)
			if r.Set {
				whole = 0xff
			}
			for i < n && m.bit(skip+i) == r.Set {
				if (skip+i)%8 == 0 && n-i >= 8 && m.Bytes[(skip+i)/8] == whole {
					i += 8
				} else {
					i++
				}
			}
			r.Len = i - r.From
			if !yield(r) {
				return
			}
		}
	}
}
