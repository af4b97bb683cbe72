package expand

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of the codes of LZX with a window of 32 KiB.
const (
	lzxBlock   = 32768            // bytes in a block that does not say
	lzxSlots   = 30               // position slots
	lzxMain    = 256 + 8*lzxSlots // literals, and slots with eight lengths each
	lzxLengths = 249
	lzxAligned = 8
	lzxPre     = 20
	callSize   = 12000000 // the file size that the call translation takes for granted
)

// Kinds of blocks.
const (
	verbatim = 1
	aligned  = 2
	stored   = 3
)

var errLZXCode = errors.New("LZX: the lengths make no complete code")

// lzx is the state of one chunk: lengths of codes and recent distances go from
// one block to the next.
type lzx struct {
	bitReader
	main        [lzxMain]byte
	length      [lzxLengths]byte
	recent      [3]int
	mainCode    huffman
	lengthCode  huffman
	alignedCode huffman
	preCode     huffman
}

// LZX fills dst, 32 KiB at most, from the one chunk in src.
func LZX(dst, src []byte) error {
	if len(dst) > lzxBlock {
		return fmt.Errorf("LZX: a chunk of %d bytes, more than the window", len(dst))
	}
	x := &lzx{bitReader: bitReader{in: src}, recent: [3]int{1, 1, 1}}
	for at := 0; at < len(dst); {
		n, err := x.block(dst, at)
		if err != nil {
			return fmt.Errorf("block at byte %d: %w", at, err)
		}
		at += n
	}
	undoCalls(dst)
	return nil
}

// block expands the next block to dst[at:] and gives its length.
func (x *lzx) block(dst []byte, at int) (int, error) {
	kind, n := x.bits(3), lzxBlock
	if x.bits(1) == 0 {
		n = x.bits(16)
	}
	if x.ended() || n > len(dst)-at {
		return 0, fmt.Errorf("LZX: %d bytes in a block where %d are due", n, len(dst)-at)
	}
	if kind == stored {
		return n, x.stored(dst[at : at+n])
	}
	if kind != verbatim && kind != aligned {
		return 0, fmt.Errorf("LZX: a block of kind %d", kind)
	}
	if err := x.codes(kind == aligned); err != nil {
		return 0, err
	}
	return n, x.matches(dst[:at+n], at, kind == aligned)
}

// stored copies a block that is kept as it is, with its own recent distances.
func (x *lzx) stored(out []byte) error {
	x.align()
	head := x.raw(12)
	body := x.raw(len(out))
	if head == nil || body == nil {
		return errors.New("LZX: the input ends in a stored block")
	}
	for i := range x.recent {
		x.recent[i] = int(binary.LittleEndian.Uint32(head[4*i:]) & 0xffffff)
	}
	copy(out, body)
	x.pos += len(out) & 1
	return nil
}

// codes reads the codes of a block.
func (x *lzx) codes(withAligned bool) error {
	if withAligned {
		var lengths [lzxAligned]byte
		for i := range lengths {
			lengths[i] = byte(x.bits(3))
		}
		if !x.alignedCode.build(lengths[:]) {
			return errLZXCode
		}
	}
	for _, part := range [][]byte{x.main[:256], x.main[256:], x.length[:]} {
		if err := x.lengths(part); err != nil {
			return err
		}
	}
	if !x.mainCode.build(x.main[:]) || !x.lengthCode.build(x.length[:]) {
		return errLZXCode
	}
	return nil
}

// lengths reads lengths of codes, which are themselves written in a code: as
// differences to those of the block before, and as runs.
func (x *lzx) lengths(out []byte) error {
	var pre [lzxPre]byte
	for i := range pre {
		pre[i] = byte(x.bits(4))
	}
	if !x.preCode.build(pre[:]) {
		return errLZXCode
	}
	for i := 0; i < len(out); {
		v, n := byte(0), 1
		s := x.symbol(&x.preCode)
		switch s {
		case 17:
			n = 4 + x.bits(4)
		case 18:
			n = 20 + x.bits(5)
		case 19:
			n = 4 + x.bits(1)
			if s = x.symbol(&x.preCode); s > 16 {
				return errLZXCode
			}
			fallthrough
		default:
			if s >= 0 {
				v = byte((int(out[i]) + 17 - s) % 17)
			}
		}
		if s < 0 || n > len(out)-i || x.ended() {
			return errLZXCode
		}
		for end := i + n; i < end; i++ {
			out[i] = v
		}
	}
	return nil
}

// matches expands the literals and matches of a block, up to the end of out.
func (x *lzx) matches(out []byte, at int, withAligned bool) error {
	for at < len(out) {
		s := x.symbol(&x.mainCode)
		if s < 0 || x.ended() {
			return fmt.Errorf("LZX: the input ends at byte %d of %d", at, len(out))
		}
		if s < 256 {
			out[at] = byte(s)
			at++
			continue
		}
		length := (s-256)&7 + 2
		if length == 9 {
			more := x.symbol(&x.lengthCode)
			if more < 0 {
				return errLZXCode
			}
			length += more
		}
		distance, err := x.distance((s-256)>>3, withAligned)
		if err != nil {
			return err
		}
		if !repeat(out, at, distance, length) {
			return fmt.Errorf("LZX: at byte %d of %d a match of %d bytes %d before", at, len(out), length, distance)
		}
		at += length
	}
	return nil
}

// distance reads the distance of a match: one of the recent three, or what the
// slot and the bits behind it say. In aligned blocks the low three bits have a
// code of their own.
func (x *lzx) distance(slot int, withAligned bool) (int, error) {
	if slot < 3 {
		d := x.recent[slot]
		x.recent[slot], x.recent[0] = x.recent[0], d
		return d, nil
	}
	base, n := slotBase(slot)
	low := 0
	if withAligned && n >= 3 {
		low = x.bits(n-3) << 3
		s := x.symbol(&x.alignedCode)
		if s < 0 {
			return 0, errLZXCode
		}
		low += s
	} else {
		low = x.bits(n)
	}
	d := base + low - 2
	x.recent[2], x.recent[1], x.recent[0] = x.recent[1], x.recent[0], d
	return d, nil
}

// slotBase is the first number of a position slot and the number of bits that
// are added to it: 0, 1, 2, 3, then two slots for each power of two.
func slotBase(slot int) (base, bits int) {
	if slot < 4 {
		return slot, 0
	}
	bits = slot/2 - 1
	return (2 + slot&1) << bits, bits
}

// undoCalls turns the targets of x86 calls (E8), which were made absolute for
// better compression, into distances again. The last ten bytes are never such.
func undoCalls(b []byte) {
	for i := 0; i < len(b)-10; i++ {
		if b[i] != 0xe8 {
			continue
		}
		v := int32(binary.LittleEndian.Uint32(b[i+1:]))
		switch {
		case v >= 0 && v < callSize:
			binary.LittleEndian.PutUint32(b[i+1:], uint32(v-int32(i)))
		case v < 0 && v >= -int32(i):
			binary.LittleEndian.PutUint32(b[i+1:], uint32(v+callSize))
		}
		i += 4
	}
}
