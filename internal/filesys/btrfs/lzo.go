package btrfs

import (
	"encoding/binary"
	"errors"
)

// errLZO is what is wrong with compressed bytes.
var errLZO = errors.New("LZO: the compressed bytes make no sense")

// unlzoSegments appends the contents of an extent to out, which is made no larger
// than most: its length as a whole, then segments with their lengths, none of
// which begins in the last three bytes of a sector (Linux fs/btrfs/lzo.c says
// so in its first comment).
func unlzoSegments(out, b []byte, sector, most int) ([]byte, error) {
	const head = 4
	if len(b) < head {
		return out, errLZO
	}
	total := int64(binary.LittleEndian.Uint32(b))
	if total > int64(len(b)) || total < head {
		return out, errLZO
	}
	b = b[:total]
	for at := head; at+head <= len(b) && len(out) < most; {
		if left := sector - at%sector; left < head {
			at += left
			continue
		}
		n := int64(binary.LittleEndian.Uint32(b[at:]))
		at += head
		if n == 0 || n > int64(len(b)-at) {
			return out, errLZO
		}
		var err error
		if out, err = unlzo(out, b[at:at+int(n)], min(most, len(out)+sector)); err != nil {
			return out, err
		}
		at += int(n)
	}
	return out, nil
}

// lzo is a decompression under way.
type lzo struct {
	b     []byte // compressed bytes that are left
	out   []byte
	start int // of what this stream has made
	most  int // length of out
}

// unlzo appends to out what a stream of LZO1X has compressed (Linux
// Documentation/staging/lzo.rst), and fails when that becomes longer than most.
func unlzo(out, b []byte, most int) ([]byte, error) {
	d := lzo{b: b, out: out, start: len(out), most: most}
	state := 0 // literals that the last instruction copied, 4: more than 3
	if first := d.peek(); first == 17 {
		return out, errLZO // a version that Btrfs does not use, or a match at the start
	} else if first > 17 {
		d.b = d.b[1:]
		n := int(first) - 17
		if !d.literals(n) {
			return d.out, errLZO
		}
		state = min(n, 4)
	}
	for {
		next, end, ok := d.step(state)
		if !ok {
			return d.out, errLZO
		}
		if end {
			return d.out, nil
		}
		state = next
	}
}

func (d *lzo) peek() byte {
	if len(d.b) == 0 {
		return 0
	}
	return d.b[0]
}

// take gives the next byte.
func (d *lzo) take() (int, bool) {
	if len(d.b) == 0 {
		return 0, false
	}
	c := int(d.b[0])
	d.b = d.b[1:]
	return c, true
}

// step takes one instruction, and gives the state behind it.
func (d *lzo) step(state int) (next int, end, ok bool) {
	t, ok := d.take()
	if !ok {
		return 0, false, false
	}
	switch {
	case t >= 64: // at most 2 KiB back
		h, ok := d.take()
		return t & 3, false, ok && d.match(t>>5+1, 1+t>>2&7+h<<3) && d.literals(t&3)
	case t >= 32: // at most 16 KiB back
		n, ok := d.length(t&31, 31)
		return d.far(n+2, 1, false, ok)
	case t >= 16: // from 16 KiB to 48 KiB back; none of these is the end
		n, ok := d.length(t&7, 7)
		return d.far(n+2, 16384+t&8<<11, true, ok)
	case state == 0:
		n, ok := d.length(t, 15)
		return 4, false, ok && d.literals(n+3)
	}
	h, ok := d.take()
	if state == 4 {
		return t & 3, false, ok && d.match(3, 2049+t>>2+h<<2) && d.literals(t&3)
	}
	return t & 3, false, ok && d.match(2, 1+t>>2+h<<2) && d.literals(t&3)
}

// length is n, or where that is 0 the sum of most, of 255 for each zero that
// follows, and of the byte behind those.
func (d *lzo) length(n, most int) (int, bool) {
	if n != 0 {
		return n, true
	}
	for n = most; ; n += 255 {
		c, ok := d.take()
		if !ok || n > d.most+most {
			return 0, false
		}
		if c != 0 {
			return n + c, true
		}
	}
}

// far copies a match whose distance from base on is in the next two bytes, with
// the number of literals behind it. At the distance of 16 KiB stands the end.
func (d *lzo) far(n, base int, canEnd, ok bool) (next int, end, _ bool) {
	if !ok || len(d.b) < 2 {
		return 0, false, false
	}
	v := int(binary.LittleEndian.Uint16(d.b))
	d.b = d.b[2:]
	if canEnd && base+v>>2 == 16384 {
		return 0, true, true
	}
	return v & 3, false, d.match(n, base+v>>2) && d.literals(v&3)
}

// literals copies n bytes.
func (d *lzo) literals(n int) bool {
	if n > len(d.b) || n > d.most-len(d.out) {
		return false
	}
	d.out = append(d.out, d.b[:n]...)
	d.b = d.b[n:]
	return true
}

// match copies n bytes that were made some bytes before, which may overlap.
func (d *lzo) match(n, back int) bool {
	from := len(d.out) - back
	if from < d.start || n > d.most-len(d.out) {
		return false
	}
	for i := range n {
		d.out = append(d.out, d.out[from+i])
	}
	return true
}
