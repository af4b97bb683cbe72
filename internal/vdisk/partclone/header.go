package partclone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

var (
	// ErrCorrupt is wrapped by the error for an image that is damaged.
	ErrCorrupt = errors.New("the partclone image is damaged")
	// ErrUnsupported is wrapped by the error for what is not read here.
	ErrUnsupported = errors.New("this kind of partclone image is not read here")
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// magic is how an image begins.
const magic = "partclone-image"

const (
	header1 = 64 + 4096
	header2 = 110
	// endMark follows the bitmap of version 0001.
	endMark = "BiTmAgIc"
	// little marks an image of a machine of little-endian byte order.
	little = 0xC0DE
	// maxBlock is the largest block of a file system in bytes.
	maxBlock = 4 << 20
	// maxStrip is how many blocks may share a checksum.
	maxStrip = 1 << 20
)

// Checksum modes.
const (
	sumNone  = 0x00
	sumCRC32 = 0x20
	sumXXH64 = 0x30
	sumFirst = 0xFF // CRC-32 of version 0001, of the first byte of each block again and again
)

// Bitmap modes.
const (
	bitmapNone = 0x00
	bitmapBit  = 0x01
	bitmapByte = 0x08
)

// Header says what an image is of.
type Header struct {
	FileSystem string // as partclone calls it
	Size       int64  // of the partition in bytes
	BlockSize  int64
	Blocks     int64 // of the file system
	Used       int64 // blocks, as the bitmap has them
	sum        uint16
	sumSize    int64
	strip      int64 // blocks with one checksum
	reseed     bool
	bitmap     byte
	first      bool // version 0001
}

// readHeader reads and checks the header.
func readHeader(r io.Reader) (*Header, error) {
	b := make([]byte, header2, header1)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, corrupt("the header: %v", err)
	}
	if !bytes.HasPrefix(b, []byte(magic)) {
		return nil, corrupt("it does not begin as one")
	}
	var h *Header
	var err error
	switch version := string(b[30:34]); version {
	case "0001":
		b = b[:header1]
		if _, err := io.ReadFull(r, b[header2:]); err != nil {
			return nil, corrupt("the header: %v", err)
		}
		h = decode1(b)
	case "0002":
		h, err = decode2(b)
	default:
		return nil, fmt.Errorf("%w: version %q", ErrUnsupported, version)
	}
	if err != nil {
		return nil, err
	}
	return h, h.check()
}

func text(b []byte) string { return strings.TrimSpace(strings.TrimRight(string(b), "\x00")) }

// decode1 decodes a header of version 0001.
func decode1(b []byte) *Header {
	le := binary.LittleEndian
	return &Header{
		FileSystem: text(b[15:30]), BlockSize: int64(le.Uint32(b[36:])), Size: int64(le.Uint64(b[40:])), Blocks: int64(le.Uint64(b[48:])),
		Used: int64(le.Uint64(b[56:])), sum: sumFirst, sumSize: 4, strip: 1, bitmap: bitmapByte, first: true,
	}
}

// decode2 decodes a header of version 0002.
func decode2(b []byte) (*Header, error) {
	le := binary.LittleEndian
	if sum := le.Uint32(b[106:]); sum != ^crc32.ChecksumIEEE(b[:106]) {
		return nil, corrupt("the checksum of its header is wrong")
	}
	if order := le.Uint16(b[34:]); order != little {
		return nil, fmt.Errorf("%w: byte order %04X", ErrUnsupported, order)
	}
	return &Header{
		FileSystem: text(b[36:52]), Size: int64(le.Uint64(b[52:])), Blocks: int64(le.Uint64(b[60:])), Used: int64(le.Uint64(b[76:])),
		BlockSize: int64(le.Uint32(b[84:])), sum: le.Uint16(b[96:]), sumSize: int64(le.Uint16(b[98:])), strip: int64(le.Uint32(b[100:])),
		reseed: b[104] != 0, bitmap: b[105],
	}, nil
}

// check refuses sizes that make no sense. A file system may be a little larger
// in whole blocks than its partition.
func (h *Header) check() error {
	switch {
	case h.BlockSize < 512 || h.BlockSize > maxBlock || h.BlockSize%512 != 0:
		return corrupt("blocks of %d bytes", h.BlockSize)
	case h.Size <= 0 || h.Size > 1<<56 || h.Blocks <= 0 || h.Blocks > h.Size/h.BlockSize+1:
		return corrupt("%d blocks of %d bytes on a partition of %d bytes", h.Blocks, h.BlockSize, h.Size)
	case h.Used < 0 || h.Used > h.Blocks:
		return corrupt("%d of %d blocks in use", h.Used, h.Blocks)
	case h.bitmap != bitmapNone && h.bitmap != bitmapBit && h.bitmap != bitmapByte:
		return fmt.Errorf("%w: bitmap mode %d", ErrUnsupported, h.bitmap)
	}
	switch h.sum {
	case sumNone:
		h.sumSize, h.strip = 0, maxStrip
		return nil
	case sumCRC32, sumFirst:
		if h.sumSize != 4 || h.strip < 1 || h.strip > maxStrip {
			return corrupt("checksums of %d bytes for %d blocks", h.sumSize, h.strip)
		}
		return nil
	case sumXXH64:
		return fmt.Errorf("%w: checksums by xxHash", ErrUnsupported)
	}
	return fmt.Errorf("%w: checksum mode %d", ErrUnsupported, h.sum)
}
