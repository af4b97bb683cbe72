package nbd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
)

const (
	testSize = 6 << 20
	holeOff  = 2 << 20
	holeLen  = 1<<20 + 512
)

// written is a Writer over a device in memory.
type written struct{ *blocktest.Device }

func (w written) Zero(off, n int64) error {
	_, err := w.WriteAt(make([]byte, n), off)
	return err
}

// testServer has a read-only export with a hole, and one that can be written.
func testServer() (*Server, *blocktest.Device, *blocktest.Device) {
	b := make([]byte, testSize)
	r := rand.New(rand.NewPCG(5, 5))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	clear(b[holeOff : holeOff+holeLen])
	used := block.Subtract(block.Whole(testSize), block.NewExtents(block.Extent{Off: holeOff, Len: holeLen}))
	ro, rw := blocktest.New(b), blocktest.New(make([]byte, 1<<20))
	return &Server{Exports: []Export{
		{Name: "disk", Description: "a disk", Reader: ro, Used: used, BlockSize: 128 << 10},
		{Name: "work", Reader: rw, Writer: written{rw}},
	}}, ro, rw
}

func TestOptions(t *testing.T) {
	s, _, _ := testServer()
	c := serve(t, s)()
	c.greet(3)
	c.option(option(4711), "data")
	c.replied(4711, repUnsup)
	c.option(optStartTLS)
	c.replied(optStartTLS, repPolicy)
	c.option(optList)
	if b := c.replied(optList, repServer); string(b) != "\x00\x00\x00\x04diska disk" {
		t.Errorf("%q", b)
	}
	c.replied(optList, repServer)
	c.replied(optList, repAck)
	c.option(optList, "x")
	c.replied(optList, repInvalid)
	c.option(optStructuredReply, "x")
	c.replied(optStructuredReply, repInvalid)
	c.option(optListMeta, uint32(0), uint32(0))
	c.replied(optListMeta, repInvalid) // structured replies come first
	c.option(optStructuredReply)
	c.replied(optStructuredReply, repAck)
	c.option(optInfo, uint32(5), "other", uint16(0))
	c.replied(optInfo, repUnknown)
	c.option(optInfo, uint32(0), uint16(3), infoName, infoDescription, uint16(99))
	want := [][]byte{
		pack(infoExport, int64(testSize), txHasFlags|txMultiConn|txCache|txReadOnly|txDF),
		pack(infoBlockSize, uint32(1), uint32(128<<10), uint32(maxRequest)), pack(infoName, "disk"), pack(infoDescription, "a disk"),
	}
	for _, w := range want {
		if b := c.replied(optInfo, repInfo); !bytes.Equal(b, w) {
			t.Errorf("%q instead of %q", b, w)
		}
	}
	c.replied(optInfo, repAck)
	for _, bad := range [][]byte{nil, pack(uint32(9), "disk", uint16(0)), pack(uint32(4), "disk", uint16(2), uint16(0)), pack(uint32(0), uint16(0), "more"),
		pack(uint32(5000), make([]byte, 5000), uint16(0)), pack(uint32(1<<32-1), uint16(0))} {
		c.option(optGo, bad)
		c.replied(optGo, repInvalid)
	}
	c.option(optAbort)
	c.replied(optAbort, repAck)
	c.closed()
}

func TestMetaContexts(t *testing.T) {
	s, _, _ := testServer()
	c := serve(t, s)()
	c.greet(3)
	c.option(optStructuredReply)
	c.replied(optStructuredReply, repAck)
	query := func(o option, name string, found bool, queries ...string) {
		t.Helper()
		data := []any{uint32(len(name)), name, uint32(len(queries))}
		for _, q := range queries {
			data = append(data, uint32(len(q)), q)
		}
		c.option(o, data...)
		if found {
			id := uint32(metaID)
			if o == optListMeta {
				id = 0
			}
			if b := c.replied(o, repMeta); !bytes.Equal(b, pack(id, metaAllocation)) {
				t.Errorf("%q", b)
			}
		}
		c.replied(o, repAck)
	}
	query(optListMeta, "", true)
	query(optListMeta, "disk", true, "base:")
	query(optListMeta, "disk", false, "qemu:")
	query(optListMeta, "work", true, "qemu:dirty", metaAllocation)
	query(optSetMeta, "work", true, metaAllocation)
	query(optSetMeta, "work", false, "base:")
	query(optSetMeta, "disk", false)
	c.option(optSetMeta, uint32(0), uint32(1<<32-1), uint32(1), "x")
	c.replied(optSetMeta, repInvalid)
	c.option(optSetMeta, uint32(4), "none", uint32(0))
	c.replied(optSetMeta, repUnknown)
	// A context that was chosen for another export does not count.
	query(optSetMeta, "work", true, metaAllocation)
	c.option(optGo, uint32(4), "disk", uint16(0))
	c.replied(optGo, repInfo)
	c.replied(optGo, repInfo)
	c.replied(optGo, repAck)
	c.request(0, cmdBlockStatus, 1, 0, 4096)
	c.failed(1, errInvalid)
}

// TestOldStyle takes an export as old clients do.
func TestOldStyle(t *testing.T) {
	s, ro, _ := testServer()
	dial := serve(t, s)
	for _, flags := range []uint32{0, 1, 2, 3} {
		c := dial()
		c.greet(flags)
		c.option(optExportName, "disk")
		want := pack(int64(testSize), txHasFlags|txMultiConn|txCache|txReadOnly)
		if flags&flagNoZeroes == 0 {
			want = append(want, make([]byte, 124)...)
		}
		if b := c.read(len(want)); !bytes.Equal(b, want) {
			t.Errorf("%x", b)
		}
		c.request(0, cmdRead, 7, 1000, 3000)
		if b := c.simple(7, 0, 3000); !bytes.Equal(b, ro.Bytes()[1000:4000]) {
			t.Error("other bytes")
		}
		c.request(0, cmdDisc, 0, 0, 0)
		c.closed()
	}
	c := dial()
	c.greet(3)
	c.option(optExportName, "none")
	c.closed()
}

// TestEndsConnection has clients do what nobody who follows the protocol does.
func TestEndsConnection(t *testing.T) {
	s, _, _ := testServer()
	s.limits = limits{options: 4}
	dial := serve(t, s)
	for name, do := range map[string]func(c *client){
		"unknown client flags":     func(c *client) { c.read(18); c.write(uint32(8)) },
		"no option":                func(c *client) { c.greet(3); c.write(uint64(1), uint32(3), uint32(0)) },
		"a long option":            func(c *client) { c.greet(3); c.write(uint64(magicOption), uint32(99), uint32(maxOption+1)) },
		"options without fixed":    func(c *client) { c.greet(0); c.option(optList) },
		"options without end":      func(c *client) { c.greet(3); many(c, 4) },
		"no request":               func(c *client) { c.start("disk", true); c.write(make([]byte, requestSize)) },
		"a write that is too long": func(c *client) { c.start("work", true); c.request(0, cmdWrite, 1, 0, maxRequest+1) },
		"half a request":           func(c *client) { c.start("work", true); c.write(uint32(magicRequest)); closeWrite(c) },
	} {
		t.Run(name, func(t *testing.T) {
			c := dial()
			c.t = t
			do(c)
			c.closed()
		})
	}
}

func closeWrite(c *client) { _ = c.Conn.(*net.TCPConn).CloseWrite() }

func many(c *client, n int) {
	for range n {
		c.option(77)
		c.replied(77, repUnsup)
	}
}

func TestReads(t *testing.T) {
	s, ro, _ := testServer()
	dial := serve(t, s)
	c := dial()
	c.start("disk", false)
	d := dial()
	d.start("disk", true)
	r := rand.New(rand.NewPCG(8, 8))
	for i := range uint64(100) {
		off := r.Int64N(testSize)
		n := min(r.Int64N(5<<20), testSize-off)
		want := ro.Bytes()[off : off+n]
		c.request(0, cmdRead, i, off, int(n))
		if !bytes.Equal(c.simple(i, 0, int(n)), want) {
			t.Error("other bytes")
		}
		flags := uint16(i%2) * flagDF
		d.request(flags, cmdRead, i, off, int(n))
		got := assembleChunks(t, d.chunks(i), off, n)
		if !bytes.Equal(got, want) {
			t.Error("other bytes")
		}
	}
	d.request(0, cmdRead, 9, holeOff, holeLen)
	if p := d.chunks(9); len(p) != 1 || p[0].typ != chunkHole {
		t.Errorf("%+v", p)
	}
	d.request(flagDF, cmdRead, 9, holeOff, holeLen)
	if p := d.chunks(9); len(p) != 1 || p[0].typ != chunkData {
		t.Errorf("%d chunks", len(p))
	}
	d.request(0, cmdCache, 9, 0, 3<<20)
	d.simple(9, 0, 0)
}

// assembleChunks puts the chunks of a read together: none may overlap.
func assembleChunks(t *testing.T, all []piece, off, n int64) []byte {
	t.Helper()
	out, seen := make([]byte, n), make([]bool, n)
	for _, p := range all {
		if p.typ == chunkNone {
			continue
		}
		at := int64(binary.BigEndian.Uint64(p.data)) - off
		data := p.data[8:]
		if p.typ == chunkHole {
			data = make([]byte, binary.BigEndian.Uint32(data))
		} else if p.typ != chunkData {
			t.Fatalf("chunk %d", p.typ)
		}
		copy(out[at:], data)
		for i := range data {
			if seen[at+int64(i)] {
				t.Fatal("chunks overlap")
			}
			seen[at+int64(i)] = true
		}
	}
	if bytes.IndexByte(out, 1) >= 0 && !seen[0] {
		t.Error("the first byte is missing")
	}
	for i := range seen {
		if !seen[i] {
			t.Fatalf("byte %d did not come", i)
		}
	}
	return out
}

func TestStatus(t *testing.T) {
	s, _, _ := testServer()
	c := serve(t, s)()
	c.start("disk", true)
	ask := func(flags uint16, off int64, n int, want ...uint32) {
		t.Helper()
		c.request(flags, cmdBlockStatus, 3, off, n)
		p := c.chunks(3)
		if len(p) != 1 || p[0].typ != chunkStatus || !bytes.Equal(p[0].data, pack(uint32(metaID), want)) {
			t.Errorf("%+v instead of %v", p, want)
		}
	}
	const both = stateHole | stateZero
	ask(0, 0, testSize, holeOff, 0, holeLen, both, testSize-holeOff-holeLen, 0)
	ask(0, holeOff-1, 3, 1, 0, 2, both)
	ask(0, holeOff+5, 10, 10, both)
	ask(flagReqOne, 0, testSize, holeOff, 0)
	ask(0, testSize-1, 1, 1, 0)
	c.request(0, cmdBlockStatus, 4, 0, 0)
	c.failed(4, errInvalid)
	c.request(0, cmdBlockStatus, 4, testSize-5, 6)
	c.failed(4, errInvalid)
}

func TestWrites(t *testing.T) {
	s, _, rw := testServer()
	dial := serve(t, s)
	c := dial()
	c.start("work", true)
	c.request(0, cmdWrite, 1, 100, 4, "text")
	c.simple(1, 0, 0)
	c.request(flagFUA, cmdWriteZeroes, 2, 102, 1)
	c.simple(2, 0, 0)
	c.request(flagNoHole|flagFastZero, cmdWriteZeroes, 2, 500, 1)
	c.simple(2, 0, 0)
	c.request(0, cmdTrim, 2, 600, 100)
	c.simple(2, 0, 0)
	c.request(0, cmdFlush, 3, 0, 0)
	c.simple(3, 0, 0)
	log := rw.Log() // before Bytes: it waits for who wrote last
	if got := string(rw.Bytes()[99:105]); got != "\x00te\x00t\x00" {
		t.Errorf("%q", got)
	}
	if n := len(log); n < 2 || log[n-1] != blocktest.Sync || strings.Count(strings.Join(opNames(log), " "), "sync") != 2 {
		t.Errorf("%v", log)
	}
	// What is wrong with a write is said after its data were taken.
	c.request(0, cmdWrite, 4, 1<<20-2, 4, "text")
	c.failed(4, errNoSpace)
	c.request(0, cmdTrim, 4, -1, 4)
	c.failed(4, errNoSpace)
	c.request(1<<9, cmdWrite, 5, 0, 4, "text")
	c.failed(5, errInvalid)
	c.request(0, command(99), 6, 0, 0)
	c.failed(6, errInvalid)
	c.request(0, cmdRead, 6, 0, maxRequest+1)
	c.failed(6, errInvalid)
	rw.Fail = func(op blocktest.Op, _ block.Extent) error {
		if op == blocktest.Write {
			return syscall.ENOSPC
		}
		return nil
	}
	c.request(0, cmdWrite, 7, 0, 4, "text")
	c.failed(7, errNoSpace)

	d := dial()
	d.start("disk", true)
	d.request(0, cmdWrite, 8, 0, 4, "text")
	d.failed(8, errPermission)
	d.request(0, cmdTrim, 8, 0, 4)
	d.failed(8, errPermission)
	d.request(flagFUA, cmdRead, 8, 0, 4)
	d.failed(8, errInvalid)
	d.request(0, cmdFlush, 8, 0, 0)
	d.simple(8, 0, 0)
}

func opNames(log []blocktest.Op) (out []string) {
	for _, op := range log {
		out = append(out, string(op))
	}
	return out
}

// TestReadErrors says where a read failed, and the connection goes on.
func TestReadErrors(t *testing.T) {
	s, ro, _ := testServer()
	var mu sync.Mutex
	var told []string
	s.Log = func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
	}
	ro.Fail = func(_ blocktest.Op, e block.Extent) error {
		if e.Off <= 5<<20 && e.End() > 5<<20 {
			return errors.New("bad sector")
		}
		return nil
	}
	dial := serve(t, s)
	c := dial()
	c.start("disk", true)
	for _, n := range []int{2<<20 - 4096, 1 << 20} { // in the midst of the answer, at its end
		c.request(0, cmdRead, 1, 4<<20+4096, n)
		if text := c.failed(1, errIO); text != "bad sector" {
			t.Errorf("%q", text)
		}
	}
	c.request(0, cmdRead, 2, 0, 1<<20)
	assembleChunks(t, c.chunks(2), 0, 1<<20)
	d := dial()
	d.start("disk", false)
	d.request(0, cmdRead, 3, 5<<20, 4096)
	d.simple(3, errIO, 0)
	d.request(0, cmdRead, 4, 0, 4096)
	d.simple(4, 0, 4096)
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 3 || !strings.Contains(told[0], "export disk") {
		t.Errorf("%q", told)
	}
}

// TestMapThatBreaks takes all for data.
func TestMapThatBreaks(t *testing.T) {
	s, ro, _ := testServer()
	s.Exports[0].Used = brokenMap{}
	c := serve(t, s)()
	c.start("disk", true)
	c.request(0, cmdRead, 1, 0, 3<<20)
	if !bytes.Equal(assembleChunks(t, c.chunks(1), 0, 3<<20), ro.Bytes()[:3<<20]) {
		t.Error("other bytes")
	}
	c.request(0, cmdBlockStatus, 2, 0, 3<<20)
	if p := c.chunks(2); !bytes.Equal(p[0].data, pack(uint32(metaID), uint32(3<<20), uint32(0))) {
		t.Errorf("%+v", p)
	}
}

// TestManyClients has clients read and write at once, with many requests under
// way.
func TestManyClients(t *testing.T) {
	s, ro, rw := testServer()
	s.limits = limits{requests: 3, bytes: 1 << 20}
	dial := serve(t, s)
	var all sync.WaitGroup
	for g := range 8 {
		c, d := dial(), dial()
		c.start("disk", false)
		d.start("work", true)
		all.Go(func() {
			want := map[uint64]int64{}
			for i := range uint64(40) {
				want[i] = int64(i) * 100000
				c.request(0, cmdRead, i, want[i], 70000)
			}
			for range 40 {
				b := c.read(16)
				off := want[binary.BigEndian.Uint64(b[8:])]
				if data := c.read(70000); binary.BigEndian.Uint32(b[4:]) != 0 || !bytes.Equal(data, ro.Bytes()[off:off+70000]) {
					t.Error("other bytes")
				}
			}
		})
		all.Go(func() {
			for i := range uint64(20) {
				d.request(0, cmdWrite, i, int64(g*100000)+int64(i)*1000, 1000, bytes.Repeat([]byte{byte(g + 1)}, 1000))
			}
			for range 20 {
				d.read(16)
			}
		})
	}
	all.Wait()
	for g := range 8 {
		if b := rw.Bytes()[g*100000 : g*100000+20000]; bytes.Count(b, []byte{byte(g + 1)}) != len(b) {
			t.Error("a write is missing")
		}
	}
}

// TestTooManyClients are turned away.
func TestTooManyClients(t *testing.T) {
	s, _, _ := testServer()
	s.limits = limits{conns: 2}
	dial := serve(t, s)
	a, b := dial(), dial()
	a.greet(3)
	b.greet(3)
	dial().closed()
	a.Close()
	for { // its place is free again
		c := dial()
		if n, _ := c.Read(make([]byte, 18)); n > 0 {
			return
		}
	}
}

// TestSlowClients are cut off: in the handshake, and when they do not take what
// they asked for.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, send := range [][]byte{
			nil, pack(uint32(3)), pack(uint32(3), uint64(magicOption)),
			pack(uint32(3), uint64(magicOption), uint32(optGo), uint32(6), uint32(0), uint16(0)),
			pack(uint32(3), uint64(magicOption), uint32(optExportName), uint32(4), "work", uint32(magicRequest), uint16(0), uint16(cmdWrite), uint64(1), uint64(0), uint32(10), "half"),
			pack(uint32(3), uint64(magicOption), uint32(optExportName), uint32(0), uint32(magicRequest), uint16(0), uint16(cmdRead), uint64(1), uint64(0), uint32(1<<20)),
		} {
			s, _, _ := testServer()
			here, there := net.Pipe()
			go func() {
				_, _ = io.ReadFull(here, make([]byte, 18))
				_, _ = here.Write(send)
				if len(send) > 40 && send[15] == byte(optExportName) {
					_, _ = io.ReadFull(here, make([]byte, 10))
				}
			}()
			began := time.Now()
			s.client(t.Context(), there, limits{}.withDefaults(), make(chan struct{}, 2))
			if d := time.Since(began); d > 5*time.Minute || d < time.Second {
				t.Errorf("%q: it lasted %v", send, d)
			}
			here.Close()
			synctest.Wait()
		}
	})
}

// TestEnd answers what is under way when the server ends, and takes nothing more.
func TestEnd(t *testing.T) {
	s, ro, _ := testServer()
	reading, goOn := make(chan struct{}), make(chan struct{})
	ro.Fail = func(blocktest.Op, block.Extent) error {
		close(reading)
		<-goOn
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := &client{t, raw}
	c.start("disk", false)
	c.request(0, cmdRead, 1, 0, 4096)
	<-reading
	cancel()
	close(goOn)
	c.simple(1, 0, 4096)
	c.closed()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
