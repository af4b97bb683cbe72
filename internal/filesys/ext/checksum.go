package ext

import (
	"encoding/binary"
	"hash/crc32"
)

// crc32c goes on with a CRC-32C as the format has it: without the inversions
// before and after that the usual form has.
func crc32c(crc uint32, b []byte) uint32 {
	return ^crc32.Update(^crc, crc32.MakeTable(crc32.Castagnoli), b)
}

// crc32cNumber goes on with a number of 32 bits.
func crc32cNumber(crc, n uint32) uint32 {
	return crc32c(crc, binary.LittleEndian.AppendUint32(nil, n))
}

// crc16 goes on with the CRC-16 of polynomial 8005, reflected (Linux
// lib/crc/crc16.c), which checks the descriptors of gdt_csum.
func crc16(crc uint16, b []byte) uint16 {
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			crc = crc>>1 ^ 0xa001*(crc&1)
		}
	}
	return crc
}
