package btrfs

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// How an extent is compressed (btrfs_tree.h, enum btrfs_compression_type).
const (
	plain = iota
	packedZlib
	packedLZO
	packedZstd
)

// maxPacked is far above how many bytes an extent has that is compressed, before
// and after: 128 KiB.
const maxPacked = 1 << 20

// unpack gives the size bytes that were compressed. What a stream does not have
// are zeros, as Linux reads it; compressed bytes end anywhere in the last sector.
func unpack(how byte, b []byte, size, sector int) ([]byte, error) {
	if size > maxPacked || len(b) > maxPacked {
		return nil, fmt.Errorf("%d bytes in %d compressed ones", size, len(b))
	}
	out := make([]byte, 0, size)
	var err error
	switch how {
	case packedZlib:
		var r io.ReadCloser
		if r, err = zlib.NewReader(bytes.NewReader(b)); err == nil {
			out, err = fill(out[:size], r)
		}
	case packedLZO:
		out, err = unlzoSegments(out, b, sector, size)
	case packedZstd:
		out, err = unzstd(out[:size], b)
	default:
		return nil, fmt.Errorf("compressed in a way (%d) that is not known", how)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress %d bytes: %w", len(b), err)
	}
	return out[:size], nil // the rest of what was made is zeros
}

// fill reads into all of out, or as far as a stream goes; the rest is zeros.
func fill(out []byte, r io.Reader) ([]byte, error) {
	for n := 0; n < len(out); {
		m, err := r.Read(out[n:])
		n += m
		if err == io.EOF {
			clear(out[n:])
			break
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// unzstd decompresses one frame, behind which there may be other bytes.
func unzstd(out, b []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return out, err
	}
	want := out
	if h.HasFCS && h.FrameContentSize < uint64(len(out)) {
		want = out[:h.FrameContentSize]
	}
	d, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPacked), zstd.WithDecoderLowmem(true))
	if err != nil {
		return out, err
	}
	defer d.Close()
	_, err = fill(want, d)
	return out, err // with zeros behind what a shorter frame gives
}
