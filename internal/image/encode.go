package image

import (
	"crypto/md5"
	"fmt"
	"slices"

	"ingot/internal/image/internal/frame"
	"ingot/internal/image/internal/md5lanes"
)

// Batch is a row of neighbouring blocks in stored form.
type Batch struct {
	First int64            // number of the first block in its partition
	Lens  []int            // stored length of each
	Sums  [][md5.Size]byte // MD5 of the raw bytes of each
	Data  []byte           // what is stored, one behind the other
}

// Encoder brings blocks into stored form. It is not for concurrent use: each
// worker has one.
type Encoder struct{ frames *frame.Encoder }

// NewEncoder makes an Encoder for one of the layout's compression levels.
func NewEncoder(level string) (*Encoder, error) {
	l, err := frameLevel(level)
	if err != nil {
		return nil, err
	}
	return &Encoder{frame.NewEncoder(l)}, nil
}

func frameLevel(level string) (frame.Level, error) {
	switch level {
	case CompressionNone:
		return frame.None, nil
	case CompressionMedium:
		return frame.Medium, nil
	case CompressionHigh:
		return frame.High, nil
	}
	return 0, fmt.Errorf("compression is %q: choose none, medium or high", level)
}

// Encode fills b with the blocks of blockSize bytes that raw holds, the last
// of which may be shorter. The buffers of b are used again.
func (e *Encoder) Encode(b *Batch, first int64, raw []byte, blockSize int) {
	n := (len(raw) + blockSize - 1) / blockSize
	b.First, b.Data, b.Lens = first, slices.Grow(b.Data[:0], n*frame.MaxStored(min(blockSize, len(raw)))), b.Lens[:0]
	if cap(b.Sums) < n {
		b.Sums = make([][md5.Size]byte, n)
	}
	b.Sums = b.Sums[:n]
	md5lanes.Sums(b.Sums, raw, blockSize)
	for len(raw) > 0 {
		k := min(blockSize, len(raw))
		before := len(b.Data)
		b.Data = e.frames.Encode(b.Data, raw[:k])
		b.Lens = append(b.Lens, len(b.Data)-before)
		raw = raw[k:]
	}
}
