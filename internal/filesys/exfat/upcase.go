package exfat

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ingot/internal/fatchain"
)

// upcase maps UTF-16 units to upper case.
type upcase []uint16

// maxUpcase is the size of a table without any row left out.
const maxUpcase = 2 << 16

// asciiUpcase is what takes the place of a table that cannot be read. Every
// volume's table does this much (specification, 7.2.5).
func asciiUpcase() upcase {
	u := make(upcase, 1<<16)
	for i := range u {
		u[i] = uint16(i)
		if i >= 'a' && i <= 'z' {
			u[i] -= 'a' - 'A'
		}
	}
	return u
}

// up is the upper case of one unit.
func (u upcase) up(c uint16) uint16 { return u[c] }

// readUpcase reads the table of size bytes in a chain and compares its checksum.
func readUpcase(c fatchain.Chain, size int64, sum uint32) (upcase, error) {
	if size < 2 || size > maxUpcase || size%2 != 0 {
		return nil, fmt.Errorf("exFAT up-case table: it has %d bytes", size)
	}
	b := make([]byte, size)
	if n, err := c.Reader(size, size).ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("read the exFAT up-case table: %w", err)
	}
	if got := tableSum(b); got != sum {
		return nil, fmt.Errorf("exFAT up-case table: its checksum is %#x, the root directory says %#x", got, sum)
	}
	return parseUpcase(b)
}

// parseUpcase expands a table (specification, 7.2.5.1): 0xffff and a count stand
// for a row of units that are their own upper case.
func parseUpcase(b []byte) (upcase, error) {
	u := make(upcase, 1<<16)
	for i := range u {
		u[i] = uint16(i)
	}
	at := 0
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0xffff && len(b) >= 4 {
			at += int(binary.LittleEndian.Uint16(b[2:]))
			b = b[2:]
			continue
		}
		if at >= len(u) {
			return nil, errors.New("exFAT up-case table: it has more than 65536 units")
		}
		u[at] = c
		at++
	}
	return u, nil
}

// tableSum is the checksum of the up-case table (specification, 7.2.2).
func tableSum(b []byte) uint32 {
	var sum uint32
	for _, c := range b {
		sum = sum<<31 | sum>>1
		sum += uint32(c)
	}
	return sum
}
