package frame

import (
	"bytes"
	"fmt"
	"slices"
)

// Level is how hard a block is compressed, as in compression_level of the
// image layout.
type Level int

const (
	None   Level = iota // stored as it is
	Medium              // the speed of zstd -1
	High                // smaller, at a third to two thirds of that speed
)

// String returns the word that the image layout uses.
func (l Level) String() string {
	switch l {
	case None:
		return "none"
	case Medium:
		return "medium"
	case High:
		return "high"
	}
	return fmt.Sprintf("Level(%d)", int(l))
}

// MaxStored is an upper bound of the stored length of n raw bytes at any
// level. It covers the worst case of the C library (ZSTD_compressBound).
func MaxStored(n int) int { return n + n/256 + 128 }

// Encoder makes stored blocks. It is not for concurrent use.
type Encoder struct {
	level Level
	comp  *compressor // nil when level is None
}

// NewEncoder returns an Encoder of that level; an unknown level panics. It
// keeps tables of up to a few MiB for as long as it is used.
func NewEncoder(level Level) *Encoder {
	e := &Encoder{level: level}
	if level != None {
		e.comp = newCompressor(level)
	}
	return e
}

// Encode appends the stored form of raw to dst and returns the longer slice.
// dst and raw must not overlap. With room for MaxStored(len(raw)) more bytes
// in dst, nothing is allocated. The frame is a single segment and has no
// checksum: the image holds a hash of every block.
func (e *Encoder) Encode(dst, raw []byte) []byte {
	if e.level == None {
		return append(dst, raw...)
	}
	dst = slices.Grow(dst, MaxStored(len(raw)))
	switch {
	case len(raw) == 0:
		return appendRaw(dst, raw)
	case bytes.Equal(raw[1:], raw[:len(raw)-1]):
		return appendRepeat(dst, raw[0], len(raw))
	case looksRandom(raw):
		return appendRaw(dst, raw)
	}
	return e.comp.append(dst, raw)
}

// Decoder reads stored blocks. It is not for concurrent use.
type Decoder struct {
	level Level
	dec   *decompressor // nil when level is None
}

// NewDecoder returns a Decoder for an image of that level. Medium and High
// are the same to it.
func NewDecoder(level Level) *Decoder {
	d := &Decoder{level: level}
	if level != None {
		d.dec = newDecompressor()
	}
	return d
}

// Raw gives the content of a stored block that holds it as it is, as a part of
// stored. ok is false for all other blocks, sound or not: Decode tells.
func (d *Decoder) Raw(stored []byte) (content []byte, ok bool) {
	if d.level == None {
		return stored, true
	}
	h, err := parseHeader(stored)
	if err != nil || h.checksum || len(stored)-h.size < blockHeader {
		return nil, false
	}
	v := little(stored[h.size : h.size+blockHeader])
	content = stored[h.size+blockHeader:]
	if v&1 == 0 || v>>1&3 != blockRaw || v>>3 != h.content || v>>3 > uint64(len(content)) {
		return nil, false
	}
	return content[:v>>3], true
}

// Decode writes the raw form of stored to the start of dst and returns its
// length. dst is as long as the block may be; bytes of it behind that length
// are left alone. It fails when the block is longer than dst, and when
// stored does not begin with one whole and valid Zstandard frame that states
// its content size and keeps to it. Bytes behind the frame are ignored. A
// skippable frame, a frame that needs a dictionary, and a window of more than
// 128 MiB are refused. What dst holds after an error is not defined.
func (d *Decoder) Decode(dst, stored []byte) (int, error) {
	if d.level == None {
		if len(stored) > len(dst) {
			return 0, fmt.Errorf("stored block of %d bytes is longer than the block, %d bytes", len(stored), len(dst))
		}
		return copy(dst, stored), nil
	}
	h, err := parseHeader(stored)
	if err != nil {
		return 0, fmt.Errorf("zstd frame header: %w", err)
	}
	if h.content > uint64(len(dst)) {
		return 0, fmt.Errorf("zstd frame states a content of %d bytes, the block has room for %d", h.content, len(dst))
	}
	end, err := frameEnd(stored, h)
	if err != nil {
		return 0, fmt.Errorf("zstd frame: %w", err)
	}
	n, err := d.dec.decode(dst[:h.content], stored[:end])
	if err != nil {
		return 0, fmt.Errorf("decode zstd frame of %d bytes: %w", end, err)
	}
	if uint64(n) != h.content {
		return 0, fmt.Errorf("zstd frame states a content of %d bytes and holds %d", h.content, n)
	}
	return n, nil
}
