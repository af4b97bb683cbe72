package qcow2

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"ingot/internal/block"
)

// heldPlain is how many bytes of unpacked clusters are held for reads of parts
// of them.
const heldPlain = 4 << 20

// maxWindow is the most memory a zstd frame may ask for. QEMU compresses a
// cluster, of 2 MiB at most, by itself.
const maxWindow = 8 << 20

// unpacker reads compressed clusters.
type unpacker struct {
	f    io.ReaderAt
	h    *header
	pool sync.Pool // of *decoder

	held *block.Shelf // clusters that were unpacked, by their place
}

// decoder has what unpacking one cluster needs.
type decoder struct {
	stored  []byte
	source  bytes.Reader
	inflate io.ReadCloser
	zstd    *zstd.Decoder
}

func newUnpacker(f io.ReaderAt, h *header) *unpacker {
	u := &unpacker{f: f, h: h, held: block.NewShelf(int(heldPlain / h.clusterSize()))}
	u.pool.New = func() any { return new(decoder) }
	return u
}

// read fills p from the cluster of r, from byte in of it on. A whole cluster is
// unpacked in place, others by way of those held.
func (u *unpacker) read(p []byte, in int64, r run) error {
	if int64(len(p)) == u.h.clusterSize() {
		return u.unpack(p, r)
	}
	b, err := u.held.Get(r.host, func() ([]byte, error) {
		b := make([]byte, u.h.clusterSize())
		return b, u.unpack(b, r)
	})
	copy(p, b[min(in, int64(len(b))):])
	return err
}

// unpack reads and unpacks one cluster into p, which is as long as one. What
// follows the compressed bytes in their last sector is not looked at.
func (u *unpacker) unpack(p []byte, r run) error {
	d := u.pool.Get().(*decoder)
	defer u.pool.Put(d)
	d.stored = slices.Grow(d.stored[:0], int(r.size))[:r.size] // at most two clusters
	if err := fillFrom(u.f, r.host+r.size, d.stored, r.host); err != nil {
		return err
	}
	d.source.Reset(d.stored)
	src, err := d.open(u.h.compression)
	if err == nil {
		_, err = io.ReadFull(src, p)
	}
	if err != nil {
		return corrupt("the compressed cluster at byte %d of the file: %v", r.host, err)
	}
	return nil
}

// open begins to unpack the source.
func (d *decoder) open(compression byte) (io.Reader, error) {
	if compression == 0 {
		if d.inflate == nil {
			d.inflate = flate.NewReader(&d.source)
			return d.inflate, nil
		}
		return d.inflate, d.inflate.(flate.Resetter).Reset(&d.source, nil)
	}
	if d.zstd == nil {
		var err error
		// One at a time has no goroutines of its own.
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("begin zstd: %w", err)
		}
	}
	return d.zstd, d.zstd.Reset(&d.source)
}
