package partclone

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math/bits"

	"ingot/internal/block"
)

// File is where an image is unpacked to: empty, or reading as zeros.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// Volume is the partition of an image, unpacked: a block.Reader.
type Volume struct {
	*Header
	f File
}

// Unpack goes through the image that r gives and puts its blocks into f, in
// their places, and the bitmap behind the partition. begin is asked, with the
// header, whether to go on; progress is told how many bytes of blocks are done.
// Both may be nil.
func Unpack(ctx context.Context, r io.Reader, f File, begin func(*Header) error, progress func(int64)) (*Volume, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	h, err := readHeader(br)
	if err != nil {
		return nil, err
	}
	if h.first { // which wants to look ahead over a block
		br = bufio.NewReaderSize(br, int(h.BlockSize)+64)
	}
	if begin != nil {
		if err := begin(h); err != nil {
			return nil, err
		}
	}
	v := &Volume{h, f}
	if err := v.readBitmap(ctx, br); err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(int64) {}
	}
	u := &unpacker{Volume: v, r: br, progress: progress, crc: ^uint32(0)}
	return v, u.blocks(ctx)
}

// UnpackRaw is Unpack of a stream that is the partition itself, as partclone.dd
// writes it, of at most limit bytes.
func UnpackRaw(ctx context.Context, r io.Reader, f File, limit int64) (*Volume, error) {
	h := &Header{FileSystem: "raw", BlockSize: 1, bitmap: bitmapNone}
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(r, buf)
		if b := buf[:n]; !block.Zeros(b) {
			if _, err := f.WriteAt(b, h.Size); err != nil {
				return nil, fmt.Errorf("unpack byte %d of the partition: %w", h.Size, err)
			}
		}
		if h.Size += int64(n); h.Size > limit {
			return nil, corrupt("it has more than the %d bytes of its partition", limit)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			h.Blocks, h.Used = h.Size, h.Size
			return &Volume{h, f}, nil
		}
		if err != nil {
			return nil, corrupt("byte %d of the partition: %v", h.Size, err)
		}
	}
}

// Size implements block.Reader: that of the partition in bytes.
func (v *Volume) Size() int64 { return v.Header.Size }

// ReadAt implements block.Reader.
func (v *Volume) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > v.Header.Size {
		return 0, fmt.Errorf("read byte %d of a partition of %d bytes", off, v.Header.Size)
	}
	n := min(int64(len(p)), v.Header.Size-off)
	got, err := v.f.ReadAt(p[:n], off)
	if errors.Is(err, io.EOF) { // nothing was written from there on
		clear(p[got:n])
		got, err = int(n), nil
	}
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return got, err
}

// bitmapOff is where the bitmap lies in the file: behind the last block.
func (v *Volume) bitmapOff() int64 { return max(v.Header.Size, v.Blocks*v.BlockSize) }

const bitmapPiece = 64 << 10

// readBitmap copies the bitmap, one bit for each block, to the file.
func (v *Volume) readBitmap(ctx context.Context, r io.Reader) error {
	if v.bitmap == bitmapNone {
		v.Used = v.Blocks
		return nil
	}
	per := int64(8) // blocks in a byte of the stream
	if v.bitmap == bitmapByte {
		per = 1
	}
	left, at, crc, used := (v.Blocks+per-1)/per, v.bitmapOff(), uint32(0), int64(0)
	buf := make([]byte, bitmapPiece)
	for left > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(left, bitmapPiece)]
		if _, err := io.ReadFull(r, b); err != nil {
			return corrupt("the bitmap: %v", err)
		}
		left -= int64(len(b))
		crc = crc32.Update(crc, crc32.IEEETable, b)
		if v.bitmap == bitmapByte {
			b = asBits(b)
		}
		if tail := v.Blocks % 8; left == 0 && tail != 0 {
			b[len(b)-1] &= 1<<tail - 1
		}
		for _, x := range b {
			used += int64(bits.OnesCount8(x))
		}
		if _, err := v.f.WriteAt(b, at); err != nil {
			return fmt.Errorf("unpack the bitmap: %w", err)
		}
		at += int64(len(b))
	}
	return v.endBitmap(r, crc, used)
}

// asBits makes a bit of each byte.
func asBits(b []byte) []byte {
	out := make([]byte, (len(b)+7)/8)
	for i, x := range b {
		if x != 0 {
			out[i/8] |= 1 << (i % 8)
		}
	}
	return out
}

// endBitmap checks what follows the bitmap, and that it has as many blocks as
// the header says. In version 0001 the count of the header is that of the file
// system, which may differ.
func (v *Volume) endBitmap(r io.Reader, crc uint32, used int64) error {
	end := make([]byte, 8)
	if !v.first {
		end = end[:4]
	}
	if _, err := io.ReadFull(r, end); err != nil {
		return corrupt("the end of the bitmap: %v", err)
	}
	switch {
	case v.first && string(end) != endMark:
		return corrupt("the mark behind its bitmap is missing")
	case !v.first && binary.LittleEndian.Uint32(end) != ^crc:
		return corrupt("the checksum of its bitmap is wrong")
	case !v.first && used != v.Used:
		return corrupt("its bitmap has %d blocks, its header %d", used, v.Used)
	}
	v.Used = used
	return nil
}

// Map is the map of the used blocks, of those bytes that lie on the partition.
func (v *Volume) Map() block.Map {
	if v.bitmap == bitmapNone {
		return block.Whole(min(v.Header.Size, v.Blocks*v.BlockSize))
	}
	return block.Clip(usedMap{v}, 0, v.Header.Size)
}

type usedMap struct{ v *Volume }

// Extents implements block.Map.
func (m usedMap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		v, buf, cur := m.v, make([]byte, bitmapPiece), block.Extent{}
		for at := int64(0); at < (v.Blocks+7)/8; at += bitmapPiece {
			b := buf[:min((v.Blocks+7)/8-at, bitmapPiece)]
			if _, err := v.f.ReadAt(b, v.bitmapOff()+at); err != nil {
				yield(block.Extent{}, fmt.Errorf("read the bitmap: %w", err))
				return
			}
			for i := range int64(len(b)) * 8 {
				if b[i/8]>>(i%8)&1 == 0 {
					continue
				}
				off := (at*8 + i) * v.BlockSize
				if cur.Len > 0 && cur.End() == off {
					cur.Len += v.BlockSize
					continue
				}
				if cur.Len > 0 && !yield(cur, nil) {
					return
				}
				cur = block.Extent{Off: off, Len: v.BlockSize}
			}
		}
		if cur.Len > 0 {
			yield(cur, nil)
		}
	}
}

// unpacker takes the blocks of an image to their places.
type unpacker struct {
	*Volume
	r        *bufio.Reader
	progress func(int64)
	crc      uint32 // of the strip under way, without the last inversion
	inStrip  int64  // blocks of it so far
	extra    int    // bytes behind each checksum: old 64-bit programs wrote eight
	n        int64  // blocks so far
}

// blocks goes through all blocks in use, in the order of the partition.
func (u *unpacker) blocks(ctx context.Context) error {
	buf := make([]byte, u.BlockSize)
	all := block.Map(usedMap{u.Volume})
	if u.bitmap == bitmapNone {
		all = block.Whole(u.Blocks * u.BlockSize)
	}
	for e, err := range block.Chunks(all, u.BlockSize) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = u.one(buf, e.Off)
		}
		if err != nil {
			return err
		}
	}
	if u.inStrip > 0 && u.sum != sumNone {
		return u.endStrip(u.n * u.BlockSize)
	}
	return nil
}

// one takes the block at off of the partition.
func (u *unpacker) one(buf []byte, off int64) error {
	if _, err := io.ReadFull(u.r, buf); err != nil {
		return corrupt("the block at byte %d of the partition: %v", off, err)
	}
	u.crc = u.update(buf)
	if !block.Zeros(buf) {
		if _, err := u.f.WriteAt(buf, off); err != nil {
			return fmt.Errorf("unpack the block at byte %d of the partition: %w", off, err)
		}
	}
	u.progress(u.BlockSize)
	u.n++
	if u.inStrip++; u.inStrip < u.strip || u.sum == sumNone {
		return nil
	}
	return u.endStrip(off)
}

// update is the checksum with one block more.
func (u *unpacker) update(buf []byte) uint32 {
	switch u.sum {
	case sumCRC32:
		return ^crc32.Update(^u.crc, crc32.IEEETable, buf)
	case sumFirst:
		return firstByteSum(u.crc, buf)
	}
	return 0
}

// firstByteSum is the checksum of version 0001, whose program took the first
// byte of the block again and again.
func firstByteSum(crc uint32, buf []byte) uint32 {
	for range buf {
		crc = crc>>8 ^ crc32.IEEETable[byte(crc)^buf[0]]
	}
	return crc
}

// endStrip compares a checksum.
func (u *unpacker) endStrip(off int64) error {
	if u.first && u.n == 1 {
		u.findExtra()
	}
	var b [8]byte
	if _, err := io.ReadFull(u.r, b[:4+u.extra]); err != nil {
		return corrupt("the checksum behind the block at byte %d of the partition: %v", off, err)
	}
	if binary.LittleEndian.Uint32(b[:]) != u.crc {
		return corrupt("a checksum is wrong: that of the %d blocks up to byte %d of the partition", u.inStrip, off)
	}
	u.inStrip = 0
	if u.reseed {
		u.crc = ^uint32(0)
	}
	return nil
}

// findExtra looks ahead to the second block of an image of version 0001, whose
// checksum tells how long checksums are.
func (u *unpacker) findExtra() {
	n := int(u.BlockSize)
	for _, extra := range []int{0, 4} {
		b, err := u.r.Peek(4 + extra + n + 4)
		if err == nil && binary.LittleEndian.Uint32(b[4+extra+n:]) == firstByteSum(u.crc, b[4+extra:][:n]) {
			u.extra = extra
			return
		}
	}
}
