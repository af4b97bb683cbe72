package vhd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf16"
)

const (
	headerSize = 1024
	headerMark = "cxsparse"
	// maxTable is the largest table of blocks that is read, in entries: a disk of
	// 2 TiB in blocks of 512 KiB.
	maxTable = 1 << 22
	minBlock = 4 << 10
	maxBlock = 1 << 30
	// noBlock stands in the table for a block that has no place.
	noBlock = 1<<32 - 1
)

// header is that of a dynamic or differencing disk; sizes in bytes.
type header struct {
	table    int64 // where the table of blocks is
	entries  int64
	block    int64
	parent   [16]byte
	name     string // of the parent
	locators []locator
}

// locator says where a parent is, by the ways of one platform.
type locator struct {
	platform string
	off, len int64
}

// The platforms that are looked at (specification, "Parent Locator Entry"):
// paths of Windows in UTF-16LE.
const (
	relativePath = "W2ru"
	absolutePath = "W2ku"
	maxPath      = 64 << 10
)

func readHeader(r io.ReaderAt, off int64) (header, error) {
	b := make([]byte, headerSize)
	if err := full(r, b, off); err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	h, err := parseHeader(b)
	if err != nil {
		return h, fmt.Errorf("header at byte %d: %w", off, err)
	}
	return h, nil
}

func parseHeader(b []byte) (header, error) {
	be := binary.BigEndian
	var h header
	if string(b[:8]) != headerMark {
		return h, corrupt("no cookie at offset 0")
	}
	if sum := be.Uint32(b[36:]); sum != checksum(b, 36) {
		return h, corrupt("checksum at offset 36 is %#x and should be %#x", sum, checksum(b, 36))
	}
	if v := be.Uint32(b[24:]); v>>16 != version1>>16 {
		return h, fmt.Errorf("version at offset 24 is %#x, only %#x is known", v, version1)
	}
	table := be.Uint64(b[16:])
	h.entries, h.block = int64(be.Uint32(b[28:])), int64(be.Uint32(b[32:]))
	if table > maxDisk {
		return h, corrupt("table offset at offset 16 is %d", table)
	}
	h.table = int64(table)
	if h.block < minBlock || h.block > maxBlock || h.block&(h.block-1) != 0 {
		return h, corrupt("block size at offset 32 is %d", h.block)
	}
	copy(h.parent[:], b[40:56])
	h.name = decodeUTF16(b[64:576], be)
	for i := range 8 {
		e := b[576+24*i:]
		h.locators = append(h.locators, locator{string(e[:4]), int64(be.Uint64(e[16:])), int64(be.Uint32(e[8:]))})
	}
	return h, nil
}

// bitmap is the size of the bitmap before the bytes of a block: a bit for each
// sector, in whole sectors.
func (h *header) bitmap() int64 {
	return (h.block/sectorSize/8 + sectorSize - 1) / sectorSize * sectorSize
}

// path reads the path that a platform's locator holds; "" when there is none.
func (h *header) path(r io.ReaderAt, platform string) (string, error) {
	for _, l := range h.locators {
		if l.platform != platform || l.len == 0 {
			continue
		}
		if l.len > maxPath || l.off < 0 || l.off > maxDisk {
			return "", corrupt("parent locator %s: %d bytes at %d", platform, l.len, l.off)
		}
		b := make([]byte, l.len)
		if err := full(r, b, l.off); err != nil {
			return "", fmt.Errorf("parent locator %s: %w", platform, err)
		}
		return decodeUTF16(b, binary.LittleEndian), nil
	}
	return "", nil
}

// decodeUTF16 is text that ends with the bytes or with a zero.
func decodeUTF16(b []byte, order binary.ByteOrder) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		c := order.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// readTable reads the entries of count blocks: sectors of the file.
func readTable(r io.ReaderAt, h *header, count, size int64) ([]uint32, error) {
	if count > h.entries || count > maxTable || h.table > size-4*count {
		return nil, corrupt("table of %d blocks at byte %d of %d: the disk has %d", h.entries, h.table, size, count)
	}
	b := make([]byte, 4*count)
	if err := full(r, b, h.table); err != nil {
		return nil, fmt.Errorf("table of blocks: %w", err)
	}
	out := make([]uint32, count)
	return out, binary.Read(bytes.NewReader(b), binary.BigEndian, out)
}
