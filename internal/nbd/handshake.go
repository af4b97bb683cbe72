package nbd

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// handshake is a connection before transmission. It reads from the connection
// what it needs and not a byte more, so that nothing which was sent in clear is
// left over for what follows TLS.
type handshake struct {
	s   *Server
	raw net.Conn // that was accepted
	c   net.Conn // the same, or TLS over it
	lim limits

	reads chan struct{}

	noZeroes   bool // the client wants none behind the answer to optExportName
	structured bool
	meta       *Export // for which base:allocation was chosen
}

// maxOption bounds the data of an option: two names and some more.
const maxOption = 64 << 10

// run goes through the handshake; the export is nil when the client wants none.
func (h *handshake) run() (*Export, error) {
	fixed, err := h.greet()
	if err != nil {
		return nil, err
	}
	for range h.lim.options {
		opt, data, err := h.next()
		if err == nil && !fixed && opt != optExportName {
			err = errors.New("it sends options without having said that it speaks fixed newstyle")
		}
		if err != nil {
			return nil, err
		}
		e, end, err := h.answer(opt, data)
		if err != nil || end {
			return e, err
		}
	}
	return nil, fmt.Errorf("it sent %d options and chose no export", h.lim.options)
}

// greet sends the first bytes and reads the client's flags.
func (h *handshake) greet() (fixed bool, err error) {
	b := binary.BigEndian.AppendUint64(nil, magicServer)
	b = binary.BigEndian.AppendUint64(b, magicOption)
	b = binary.BigEndian.AppendUint16(b, flagFixedNewstyle|flagNoZeroes)
	if _, err := h.c.Write(b); err != nil {
		return false, fmt.Errorf("greet: %w", err)
	}
	var in [4]byte
	if _, err := io.ReadFull(h.c, in[:]); err != nil {
		return false, quiet(fmt.Errorf("read the client's flags: %w", err))
	}
	flags := binary.BigEndian.Uint32(in[:])
	if flags&^(flagFixedNewstyle|flagNoZeroes) != 0 {
		return false, fmt.Errorf("it sets unknown flags: %#x", flags)
	}
	h.noZeroes = flags&flagNoZeroes != 0
	return flags&flagFixedNewstyle != 0, nil
}

// next reads an option.
func (h *handshake) next() (option, []byte, error) {
	var b [16]byte
	if _, err := io.ReadFull(h.c, b[:]); err != nil {
		return 0, nil, quiet(fmt.Errorf("read an option: %w", err))
	}
	opt, n := option(binary.BigEndian.Uint32(b[8:])), binary.BigEndian.Uint32(b[12:])
	if binary.BigEndian.Uint64(b[:]) != magicOption {
		return 0, nil, errors.New("what it sends is no option")
	}
	if n > maxOption {
		return 0, nil, fmt.Errorf("option %d has %d bytes, more than %d", opt, n, maxOption)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(h.c, data); err != nil {
		return 0, nil, fmt.Errorf("read the %d bytes of option %d: %w", n, opt, err)
	}
	return opt, data, nil
}

// quiet makes nothing of the error of a client that just left, as those do that
// look whether somebody is there.
func quiet(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// reply answers an option.
func (h *handshake) reply(opt option, r reply, data []byte) error {
	b := make([]byte, 0, 20+len(data))
	b = binary.BigEndian.AppendUint64(b, magicReply)
	b = binary.BigEndian.AppendUint32(b, uint32(opt))
	b = binary.BigEndian.AppendUint32(b, uint32(r))
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	if _, err := h.c.Write(append(b, data...)); err != nil {
		return fmt.Errorf("answer option %d: %w", opt, err)
	}
	return nil
}

// refuse answers an option with an error and a word to the person.
func (h *handshake) refuse(opt option, r reply, text string) error {
	return h.reply(opt, r, []byte(text))
}

// answer does what an option asks for. end is set when it was the last one.
func (h *handshake) answer(opt option, data []byte) (e *Export, end bool, err error) {
	switch {
	case opt == optAbort:
		_ = h.reply(opt, repAck, nil) // the client may have gone
		return nil, true, nil
	case opt == optStartTLS:
		return nil, false, h.startTLS(data)
	case h.s.TLS != nil && h.c == h.raw:
		if opt == optExportName {
			return nil, true, errors.New("it wants an export without TLS")
		}
		return nil, false, h.refuse(opt, repTLSNeeded, "this server wants TLS")
	}
	switch opt {
	case optExportName:
		e, err = h.exportName(data)
		return e, true, err
	case optGo:
		e, err = h.info(opt, data)
		return e, e != nil, err
	case optInfo:
		_, err = h.info(opt, data)
	case optList:
		err = h.list(data)
	case optStructuredReply:
		err = h.structure(data)
	case optListMeta, optSetMeta:
		err = h.metaContext(opt, data)
	default:
		err = h.refuse(opt, repUnsup, "this option is not known here")
	}
	return nil, false, err
}

// startTLS goes over to TLS.
func (h *handshake) startTLS(data []byte) error {
	switch {
	case h.s.TLS == nil:
		return h.refuse(optStartTLS, repPolicy, "this server has no certificate")
	case len(data) > 0 || h.c != h.raw:
		return h.refuse(optStartTLS, repInvalid, "not now")
	}
	if err := h.reply(optStartTLS, repAck, nil); err != nil {
		return err
	}
	c := tls.Server(h.raw, h.s.TLS)
	if err := c.Handshake(); err != nil {
		return fmt.Errorf("begin TLS: %w", err)
	}
	h.c = c
	return nil
}

// structure turns structured replies on.
func (h *handshake) structure(data []byte) error {
	if len(data) > 0 {
		return h.refuse(optStructuredReply, repInvalid, "this option has no data")
	}
	h.structured = true
	return h.reply(optStructuredReply, repAck, nil)
}

// list names the exports.
func (h *handshake) list(data []byte) error {
	if len(data) > 0 {
		return h.refuse(optList, repInvalid, "this option has no data")
	}
	for i := range h.s.Exports {
		e := &h.s.Exports[i]
		b := binary.BigEndian.AppendUint32(nil, uint32(len(e.Name)))
		b = append(append(b, e.Name...), e.Description...)
		if err := h.reply(optList, repServer, b); err != nil {
			return err
		}
	}
	return h.reply(optList, repAck, nil)
}

// exportName ends the handshake in the old way, without an answer should there be
// no such export.
func (h *handshake) exportName(data []byte) (*Export, error) {
	e := h.s.find(string(data))
	if e == nil {
		return nil, fmt.Errorf("there is no export %.100q", data)
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(e.Reader.Size()))
	b = binary.BigEndian.AppendUint16(b, h.flags(e))
	if !h.noZeroes {
		b = append(b, make([]byte, 124)...)
	}
	if _, err := h.c.Write(b); err != nil {
		return nil, fmt.Errorf("answer option %d: %w", optExportName, err)
	}
	return e, nil
}

// flags say what can be done with an export.
func (h *handshake) flags(e *Export) uint16 {
	f := txHasFlags | txMultiConn | txCache
	if e.Writer == nil {
		f |= txReadOnly
	} else {
		f |= txFlush | txFUA | txTrim | txWriteZeroes | txFastZero
	}
	if h.structured {
		f |= txDF
	}
	return f
}
