package nbd

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// client is a client that says exactly what a test wants said.
type client struct {
	t *testing.T
	net.Conn
}

// serve starts a server and gives how to connect to it.
func serve(t *testing.T, s *Server) func() *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func() *client {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		// No test waits for ever for what does not come.
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return &client{t, c}
	}
}

func (c *client) write(parts ...any) {
	c.t.Helper()
	if _, err := c.Write(pack(parts...)); err != nil {
		c.t.Fatal(err)
	}
}

// pack puts numbers and texts one behind the other, in network byte order.
func pack(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b.WriteString(p)
		case []byte:
			b.Write(p)
		default:
			if err := binary.Write(&b, binary.BigEndian, p); err != nil {
				panic(err)
			}
		}
	}
	return b.Bytes()
}

func (c *client) read(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		c.t.Fatalf("read %d bytes: %v", n, err)
	}
	return b
}

// closed fails unless the server has closed the connection, without another byte.
func (c *client) closed() {
	c.t.Helper()
	if b, err := io.ReadAll(c); len(b) > 0 {
		c.t.Errorf("%d bytes came before the end (%v)", len(b), err)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Error("the connection stays open")
	}
}

func (c *client) greet(flags uint32) {
	c.t.Helper()
	if b := c.read(18); !bytes.Equal(b, pack(uint64(magicServer), uint64(magicOption), uint16(3))) {
		c.t.Fatalf("greeting %x", b)
	}
	c.write(flags)
}

func (c *client) option(o option, data ...any) {
	c.t.Helper()
	d := pack(data...)
	c.write(uint64(magicOption), uint32(o), uint32(len(d)), d)
}

// replied reads an answer to an option.
func (c *client) replied(o option, want reply) []byte {
	c.t.Helper()
	b := c.read(20)
	if got := reply(binary.BigEndian.Uint32(b[12:])); binary.BigEndian.Uint64(b) != magicReply || binary.BigEndian.Uint32(b[8:]) != uint32(o) || got != want {
		c.t.Fatalf("answer %x to option %d, %#x was expected", b, o, want)
	}
	return c.read(int(binary.BigEndian.Uint32(b[16:])))
}

// start goes through the handshake.
func (c *client) start(name string, structured bool) {
	c.t.Helper()
	c.greet(3)
	c.rest(name, structured)
}

// rest is the handshake behind the greeting.
func (c *client) rest(name string, structured bool) {
	c.t.Helper()
	if structured {
		c.option(optStructuredReply)
		c.replied(optStructuredReply, repAck)
		c.option(optSetMeta, uint32(len(name)), name, uint32(1), uint32(len(metaAllocation)), metaAllocation)
		c.replied(optSetMeta, repMeta)
		c.replied(optSetMeta, repAck)
	}
	c.option(optGo, uint32(len(name)), name, uint16(0))
	c.replied(optGo, repInfo)
	c.replied(optGo, repInfo)
	c.replied(optGo, repAck)
}

func (c *client) request(flags uint16, cmd command, cookie uint64, off int64, n int, data ...any) {
	c.t.Helper()
	c.write(append([]any{uint32(magicRequest), flags, uint16(cmd), cookie, off, uint32(n)}, data...)...)
}

// simple reads a simple answer with n bytes.
func (c *client) simple(cookie uint64, want errno, n int) []byte {
	c.t.Helper()
	if b := c.read(16); !bytes.Equal(b, pack(uint32(magicSimple), uint32(want), cookie)) {
		c.t.Fatalf("answer %x, error %d was expected", b, want)
	}
	if want != 0 {
		n = 0
	}
	return c.read(n)
}

// piece is a chunk of a structured answer.
type piece struct {
	flags, typ uint16
	data       []byte
}

// chunks reads a structured answer.
func (c *client) chunks(cookie uint64) []piece {
	c.t.Helper()
	var out []piece
	for {
		b := c.read(20)
		if binary.BigEndian.Uint32(b) != magicStructured || binary.BigEndian.Uint64(b[8:]) != cookie {
			c.t.Fatalf("chunk %x", b)
		}
		p := piece{binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), nil}
		p.data = c.read(int(binary.BigEndian.Uint32(b[16:])))
		if out = append(out, p); p.flags&chunkDone != 0 {
			return out
		}
	}
}

// failed reads a structured answer that is an error.
func (c *client) failed(cookie uint64, want errno) string {
	c.t.Helper()
	all := c.chunks(cookie)
	p := all[len(all)-1]
	if p.typ&(1<<15) == 0 || errno(binary.BigEndian.Uint32(p.data)) != want {
		c.t.Fatalf("%+v, error %d was expected", p, want)
	}
	return string(p.data[6 : 6+binary.BigEndian.Uint16(p.data[4:])])
}

// secure goes over to TLS.
func (c *client) secure(conf *tls.Config) error {
	c.t.Helper()
	c.option(optStartTLS)
	c.replied(optStartTLS, repAck)
	s := tls.Client(c.Conn, conf)
	err := s.Handshake()
	c.Conn = s
	return err
}
