package vmdk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// Types of markers in a stream.
const (
	markEnd = iota
	markTable
	markDirectory
	markFooter
)

// grainHead is what stands before the bytes of a compressed grain: its first
// sector of the disk, and how many bytes there are.
const grainHead = 12

// unpackers has what unpacking needs, for several at once.
type unpackers struct{ pool sync.Pool }

type unpacker struct {
	stored  []byte
	source  bytes.Reader
	inflate io.ReadCloser
}

func newUnpackers() *unpackers {
	return &unpackers{sync.Pool{New: func() any { return new(unpacker) }}}
}

// fillPacked reads from a compressed grain: all of it into p, or a part by way of
// those held.
func (s *sparse) fillPacked(p []byte, at int64, r run) error {
	in := at % s.h.grain
	if in == 0 && int64(len(p)) == s.h.grain {
		return s.unpackGrain(p, at, r.host)
	}
	b, err := s.plain.Get(r.host, func() ([]byte, error) {
		b := make([]byte, s.h.grain)
		return b, s.unpackGrain(b, at-in, r.host)
	})
	if err != nil {
		return err
	}
	copy(p, b[in:])
	return nil
}

// unpackGrain unpacks the grain at byte host of the file, that of byte at of the
// extent, into p, which is as long as a grain.
func (s *sparse) unpackGrain(p []byte, at, host int64) error {
	var head [grainHead]byte
	if _, err := s.f.ReadAt(head[:], host); err != nil {
		return corrupt("the head of the grain at byte %d of the file: %v", host, err)
	}
	lba, n := binary.LittleEndian.Uint64(head[:]), int64(binary.LittleEndian.Uint32(head[8:]))
	switch {
	case lba != uint64(at/sector):
		return corrupt("the grain at byte %d of the file is that of sector %d, not %d", host, lba, at/sector)
	case n == 0 || n > 2*s.h.grain+1024 || n > s.fsize-host-grainHead:
		return corrupt("the grain at byte %d of the file has %d bytes", host, n)
	}
	u := s.unpack.pool.Get().(*unpacker)
	defer s.unpack.pool.Put(u)
	u.stored = slices.Grow(u.stored[:0], int(n))[:n]
	if err := fillFrom(s.f, s.fsize, u.stored, host+grainHead); err != nil {
		return err
	}
	got, err := u.read(p)
	if err == nil && int64(got) < min(s.h.grain, s.h.capacity-at) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return corrupt("the grain at byte %d of the file: %v", host, err)
	}
	clear(p[got:])
	return nil
}

// read unpacks u.stored into p and, when it fits, compares its checksum.
func (u *unpacker) read(p []byte) (int, error) {
	u.source.Reset(u.stored)
	var err error
	if u.inflate == nil {
		u.inflate, err = zlib.NewReader(&u.source)
	} else {
		err = u.inflate.(zlib.Resetter).Reset(&u.source, nil)
	}
	if err != nil {
		u.inflate = nil
		return 0, err
	}
	n, err := io.ReadFull(u.inflate, p)
	if errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
		return n, nil // the last grain of a disk may be short
	}
	if err != nil {
		return n, err
	}
	if more, err := u.inflate.Read(make([]byte, 1)); more > 0 || err != io.EOF {
		return n, errors.New("it is longer than a grain, or its checksum is wrong")
	}
	return n, nil
}
