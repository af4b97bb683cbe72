package qcow2

import "github.com/klauspost/compress/zstd"

// packer compresses clusters into one buffer after the other.
type packer struct {
	enc *zstd.Encoder
	buf []byte
}

func newPacker() *packer {
	// The options are right, so that there is no error. One at a time has no
	// goroutines of its own.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(writeCluster),
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		panic(err)
	}
	return &packer{enc: enc, buf: make([]byte, 0, chunk+writeCluster)}
}

// reset lets go of what pack returned so far.
func (p *packer) reset() { p.buf = p.buf[:0] }

// pack returns raw compressed, nil when that saves less than a sixteenth of it.
func (p *packer) pack(raw []byte) []byte {
	start := len(p.buf)
	out := p.enc.EncodeAll(raw, p.buf)
	if len(out)-start > len(raw)/16*15 {
		return nil
	}
	p.buf = out
	return out[start:len(out):len(out)]
}
