package nbd

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"net"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
)

// brokenMap breaks on the way.
type brokenMap struct{}

func (brokenMap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		_ = yield(block.Extent{Off: 0, Len: 4096}, nil) && yield(block.Extent{}, errors.New("broken"))
	}
}

// script is a connection whose client sends what it was told and takes all that
// comes.
type script struct {
	*bytes.Reader
	sent int
}

func (s *script) Write(p []byte) (int, error)      { s.sent += len(p); return len(p), nil }
func (*script) Close() error                       { return nil }
func (*script) LocalAddr() net.Addr                { return &net.UnixAddr{} }
func (*script) RemoteAddr() net.Addr               { return &net.UnixAddr{} }
func (*script) SetDeadline(time.Time) error        { return nil }
func (*script) SetReadDeadline(time.Time) error    { return nil }
func (*script) SetWriteDeadline(t time.Time) error { return nil }

var _ net.Conn = (*script)(nil)
var _ io.Reader = (*script)(nil)

// hear has a server hear what a client says.
func hear(t testing.TB, said []byte) {
	rw := blocktest.New(make([]byte, 1<<16))
	s := &Server{Exports: []Export{
		{Name: "disk", Reader: rw, Used: block.NewExtents(block.Extent{Off: 5000, Len: 9000}, block.Extent{Off: 30000, Len: 1})},
		{Name: "work", Reader: rw, Writer: written{rw}, Used: brokenMap{}},
	}}
	// Small bounds, so that the large requests that a fuzzer loves stay quick.
	lim := limits{requests: 2, bytes: 1 << 16}.withDefaults()
	s.client(t.Context(), &script{Reader: bytes.NewReader(said)}, lim, make(chan struct{}, 2))
}

func FuzzSession(f *testing.F) {
	hello := pack(uint32(3), uint64(magicOption), uint32(optStructuredReply), uint32(0))
	goFor := func(name string) []byte {
		meta := pack(uint32(4), name, uint32(1), uint32(len(metaAllocation)), metaAllocation)
		return pack(hello, uint64(magicOption), uint32(optSetMeta), uint32(len(meta)), meta,
			uint64(magicOption), uint32(optGo), uint32(10), uint32(4), name, uint16(1), uint16(3))
	}
	request := func(flags uint16, cmd command, off int64, n int, data string) []byte {
		return pack(uint32(magicRequest), flags, uint16(cmd), uint64(1), off, uint32(n), data)
	}
	f.Add(pack(hello, uint64(magicOption), uint32(optList), uint32(0), uint64(magicOption), uint32(optAbort), uint32(0)))
	f.Add(pack(uint32(3), uint64(magicOption), uint32(optExportName), uint32(0), request(0, cmdRead, 0, 512, "")))
	f.Add(pack(goFor("disk"), request(0, cmdRead, 0, 1<<16, ""), request(0, cmdBlockStatus, 0, 1<<16, ""), request(0, cmdDisc, 0, 0, "")))
	f.Add(pack(goFor("work"), request(1, cmdWrite, 7, 4, "text"), request(0, cmdTrim, 0, 1<<16, ""), request(4, cmdRead, 1, 9000, ""), request(0, cmdCache, 1, 9000, "")))
	f.Fuzz(func(t *testing.T, said []byte) { hear(t, said) })
}

// TestCutAndFlipped has clients break off at every byte, and send each with a bit
// flipped.
func TestCutAndFlipped(t *testing.T) {
	said := pack(uint32(3), uint64(magicOption), uint32(optStructuredReply), uint32(0),
		uint64(magicOption), uint32(optSetMeta), uint32(31), uint32(4), "work", uint32(1), uint32(len(metaAllocation)), metaAllocation,
		uint64(magicOption), uint32(optGo), uint32(12), uint32(4), "work", uint16(1), uint16(3),
		uint32(magicRequest), uint16(0), uint16(cmdRead), uint64(1), int64(100), uint32(1000),
		uint32(magicRequest), uint16(0), uint16(cmdBlockStatus), uint64(2), int64(0), uint32(1<<16),
		uint32(magicRequest), uint16(1), uint16(cmdWrite), uint64(3), int64(0), uint32(4), "text")
	for i := range said {
		hear(t, said[:i])
		for bit := range 8 {
			flipped := bytes.Clone(said)
			flipped[i] ^= 1 << bit
			hear(t, flipped)
		}
	}
}
