//go:build cgo

package frame

import (
	"errors"
	"runtime"

	"github.com/DataDog/zstd"
)

// compressor makes frames with the C library.
type compressor struct {
	ctx   zstd.Ctx
	level int
}

// newCompressor panics when level is not Medium or High. The numbers are those
// of the zstd command; see docs/BENCHMARKS.md.
func newCompressor(level Level) *compressor {
	c := &compressor{ctx: zstd.NewCtx()}
	switch level {
	case Medium:
		c.level = 1
	case High:
		c.level = 5
	default:
		panic("frame: no compressor for " + level.String())
	}
	return c
}

// append appends a frame of raw to dst, which has room for MaxStored of it.
func (c *compressor) append(dst, raw []byte) []byte {
	at := len(dst)
	out, err := c.ctx.CompressLevel(dst[at:at], raw, c.level)
	// The finalizer of ctx frees what C is working with.
	runtime.KeepAlive(c.ctx)
	if err != nil {
		// Only a lack of memory inside the library comes here. A frame
		// that is not compressed holds the block just as well.
		return appendRaw(dst, raw)
	}
	return singleSegmentOnly(dst[:at+len(out)], at)
}

// singleSegmentOnly turns the frame at dst[at:] into a single segment. The
// library gives blocks that are larger than the window of its level a
// Window_Descriptor; without it the window is the content, which is larger,
// so that each reference that was valid stays valid.
func singleSegmentOnly(dst []byte, at int) []byte {
	desc := &dst[at+4]
	if *desc&singleSegment != 0 {
		return dst
	}
	*desc |= singleSegment
	copy(dst[at+5:], dst[at+6:])
	return dst[:len(dst)-1]
}

// decompressor reads frames with the C library. It decodes straight into the
// memory it is given and allocates nothing, whatever the frame says.
type decompressor struct{ ctx zstd.Ctx }

func newDecompressor() *decompressor { return &decompressor{zstd.NewCtx()} }

// decode decodes frame, which frameEnd has measured, and returns how many bytes
// of dst it filled. It fails when dst is too short.
func (d *decompressor) decode(dst, frame []byte) (int, error) {
	if len(dst) == 0 {
		// The binding takes the address of the first byte.
		var one [1]byte
		dst = one[:]
	}
	n, err := d.ctx.DecompressInto(dst, frame)
	// The finalizer of ctx frees what C is working with.
	runtime.KeepAlive(d.ctx)
	if zstd.IsDstSizeTooSmallError(err) {
		return 0, errors.New("the content is longer than stated")
	}
	return n, err
}
