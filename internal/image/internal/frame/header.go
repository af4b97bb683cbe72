package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Numbers of RFC 8878, section 3.1.1.
const (
	magic        = 0xfd2fb528
	maxBlock     = 128 << 10 // Block_Maximum_Size, section 3.1.1.2.3
	blockHeader  = 3
	checksumSize = 4

	singleSegment = 1 << 5 // bits of Frame_Header_Descriptor
	reservedBit   = 1 << 3
	checksumFlag  = 1 << 2

	blockRaw        = 0
	blockRLE        = 1
	blockCompressed = 2
)

// maxWindow is the largest window that is decoded: what the zstd command
// allows by default. The window of a block is never larger than a block.
const maxWindow = 128 << 20

// header is what a frame header says (RFC 8878, section 3.1.1.1).
type header struct {
	size     int    // bytes of the header itself
	content  uint64 // bytes of the decoded frame
	checksum bool   // 4 bytes of checksum follow the last block
}

// parseHeader reads the frame header that b begins with. It fails when the
// header is cut, has its reserved bit set, needs a dictionary, asks for too
// large a window or does not state the content size.
func parseHeader(b []byte) (header, error) {
	if len(b) < 5 {
		return header{}, fmt.Errorf("%d bytes are too few for magic number and descriptor", len(b))
	}
	if m := binary.LittleEndian.Uint32(b); m != magic {
		return header{}, fmt.Errorf("magic number at offset 0 is %#08x, want %#08x", m, uint32(magic))
	}
	desc := b[4]
	if desc&reservedBit != 0 {
		return header{}, fmt.Errorf("reserved bit of the descriptor at offset 4 (%#02x) is set", desc)
	}
	windowLen := 1
	if desc&singleSegment != 0 {
		windowLen = 0
	}
	dictLen := [4]int{0, 1, 2, 4}[desc&3]
	sizeLen := contentSizeLen(desc)
	if sizeLen == 0 {
		return header{}, errors.New("content size is not stated (descriptor at offset 4)")
	}
	h := header{size: 5 + windowLen + dictLen + sizeLen, checksum: desc&checksumFlag != 0}
	if len(b) < h.size {
		return header{}, fmt.Errorf("%d bytes are too few for a header of %d", len(b), h.size)
	}
	if windowLen == 1 && windowSize(b[5]) > maxWindow {
		return header{}, fmt.Errorf("window at offset 5 is %d bytes, at most %d are decoded", windowSize(b[5]), maxWindow)
	}
	if id := little(b[5+windowLen:][:dictLen]); id != 0 {
		return header{}, fmt.Errorf("dictionary %d (offset %d) is needed", id, 5+windowLen)
	}
	h.content = little(b[h.size-sizeLen : h.size])
	if sizeLen == 2 {
		h.content += 256
	}
	return h, nil
}

// contentSizeLen is the length of Frame_Content_Size, 0 when the header has
// none (section 3.1.1.1.1.1).
func contentSizeLen(desc byte) int {
	if desc>>6 == 0 && desc&singleSegment != 0 {
		return 1
	}
	return [4]int{0, 2, 4, 8}[desc>>6]
}

// windowSize reads a Window_Descriptor (section 3.1.1.1.2): at most 2^42 bytes.
func windowSize(b byte) uint64 {
	base := uint64(1) << (10 + b>>3)
	return base + base/8*uint64(b&7)
}

// little reads up to 8 bytes as a little-endian number.
func little(b []byte) uint64 {
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// frameEnd walks the block headers (RFC 8878, section 3.1.1.2) of the frame
// that b begins with and returns its length. It does not look into the blocks.
func frameEnd(b []byte, h header) (int, error) {
	at := h.size
	for {
		if len(b)-at < blockHeader {
			return 0, fmt.Errorf("block header at offset %d is cut: the frame has %d bytes", at, len(b))
		}
		v := little(b[at : at+blockHeader])
		size := int(v >> 3)
		switch v >> 1 & 3 {
		case blockRLE:
			size = 1
		case blockRaw, blockCompressed:
		default:
			return 0, fmt.Errorf("block at offset %d is of the reserved type", at)
		}
		if size > len(b)-at-blockHeader {
			return 0, fmt.Errorf("block of %d bytes at offset %d is cut: the frame has %d bytes", size, at, len(b))
		}
		at += blockHeader + size
		if v&1 != 0 {
			break
		}
	}
	if h.checksum {
		at += checksumSize
	}
	if at > len(b) {
		return 0, fmt.Errorf("checksum at offset %d is cut: the frame has %d bytes", at-checksumSize, len(b))
	}
	return at, nil
}
