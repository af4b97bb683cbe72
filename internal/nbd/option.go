package nbd

import (
	"cmp"
	"encoding/binary"
	"strings"
)

// fields takes the data of an option apart. It fails once for all: what is
// read behind the end is zero and sets bad.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n uint32) []byte {
	if uint64(n) > uint64(len(f.b)) {
		f.bad, f.b = true, nil
		return nil
	}
	out := f.b[:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) uint32() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (f *fields) uint16() uint16 {
	if b := f.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// text is a string with its length before it.
func (f *fields) text() string {
	n := f.uint32()
	if n > maxString {
		f.bad = true
	}
	return string(f.take(n))
}

// ok says whether all was there and nothing more.
func (f *fields) ok() bool { return !f.bad && len(f.b) == 0 }

// info tells of an export, and with optGo chooses it.
func (h *handshake) info(opt option, data []byte) (*Export, error) {
	f := fields{b: data}
	name := f.text()
	asked := make(map[uint16]bool)
	for n := f.uint16(); n > 0 && !f.bad; n-- {
		asked[f.uint16()] = true
	}
	if !f.ok() {
		return nil, h.refuse(opt, repInvalid, "the option's data are malformed")
	}
	e := h.s.find(name)
	if e == nil {
		return nil, h.refuse(opt, repUnknown, "there is no such export")
	}
	for _, b := range h.describe(e, asked) {
		if err := h.reply(opt, repInfo, b); err != nil {
			return nil, err
		}
	}
	return e, h.reply(opt, repAck, nil)
}

// describe is what is told of an export: its size and flags and its block sizes
// always, the rest when asked for.
func (h *handshake) describe(e *Export, asked map[uint16]bool) [][]byte {
	size := binary.BigEndian.AppendUint16(nil, infoExport)
	size = binary.BigEndian.AppendUint64(size, uint64(e.Reader.Size()))
	size = binary.BigEndian.AppendUint16(size, h.flags(e))
	blocks := binary.BigEndian.AppendUint16(nil, infoBlockSize)
	for _, n := range []int64{1, min(cmp.Or(e.BlockSize, 64<<10), maxRequest), maxRequest} {
		blocks = binary.BigEndian.AppendUint32(blocks, uint32(n))
	}
	out := [][]byte{size, blocks}
	if asked[infoName] {
		out = append(out, append(binary.BigEndian.AppendUint16(nil, infoName), e.Name...))
	}
	if asked[infoDescription] && e.Description != "" {
		out = append(out, append(binary.BigEndian.AppendUint16(nil, infoDescription), e.Description...))
	}
	return out
}

// metaContext lists or chooses metadata contexts; base:allocation is the one there
// is.
func (h *handshake) metaContext(opt option, data []byte) error {
	f := fields{b: data}
	name := f.text()
	n := f.uint32()
	found := opt == optListMeta && n == 0
	for ; n > 0 && !f.bad; n-- {
		q := f.text()
		found = found || q == metaAllocation || opt == optListMeta && q == "base:"
		if !strings.Contains(q, ":") {
			f.bad = true
		}
	}
	switch e := h.s.find(name); {
	case !h.structured || !f.ok():
		return h.refuse(opt, repInvalid, "the option's data are malformed, or structured replies were not asked for")
	case e == nil:
		return h.refuse(opt, repUnknown, "there is no such export")
	case opt == optSetMeta:
		h.meta = nil
		if found {
			h.meta = e
		}
	}
	if found {
		id := uint32(0)
		if opt == optSetMeta {
			id = metaID
		}
		if err := h.reply(opt, repMeta, append(binary.BigEndian.AppendUint32(nil, id), metaAllocation...)); err != nil {
			return err
		}
	}
	return h.reply(opt, repAck, nil)
}
