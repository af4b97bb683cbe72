//go:build !cgo

package frame

import "github.com/klauspost/compress/zstd"

// compressor makes frames in pure Go.
type compressor struct{ enc *zstd.Encoder }

// window is the largest distance of a match. A block is at most 4 MiB long.
const window = 4 << 20

// newCompressor panics when level is not Medium or High.
func newCompressor(level Level) *compressor {
	var l zstd.EncoderLevel
	switch level {
	case Medium:
		l = zstd.SpeedFastest
	case High:
		l = zstd.SpeedDefault
	default:
		panic("frame: no compressor for " + level.String())
	}
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(l),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true),
		zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(window))
	if err != nil {
		panic("frame: " + err.Error()) // only for options that are wrong
	}
	return &compressor{enc}
}

// append appends a frame of raw to dst, which has room for MaxStored of it.
func (c *compressor) append(dst, raw []byte) []byte { return c.enc.EncodeAll(raw, dst) }

// decompressor reads frames in pure Go.
type decompressor struct{ dec *zstd.Decoder }

func newDecompressor() *decompressor {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic("frame: " + err.Error()) // only for options that are wrong
	}
	return &decompressor{dec}
}

// decode decodes frame, which frameEnd has measured, and returns how many bytes
// of dst it filled. It fails when dst is too short.
func (d *decompressor) decode(dst, frame []byte) (int, error) {
	out, err := d.dec.DecodeAll(frame, dst[:0:len(dst)])
	return len(out), err
}
