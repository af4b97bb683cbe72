package nbd

import (
	"encoding/binary"
	"errors"
	"io"

	"ingot/internal/block"
)

// read answers a read.
func (t *session) read(q *request) error {
	switch {
	case q.len == 0:
		return t.done(q, nil)
	case !t.structured:
		return t.readSimple(q)
	case q.flags&flagDF != 0:
		return t.readChunk(q, block.Extent{Off: q.off, Len: q.len}, true)
	}
	for seg := range t.segments(q.off, q.len, smallHole) {
		end := seg.End() == q.off+q.len
		if seg.hole {
			if err := t.sendHole(q, seg.Extent, end); err != nil {
				return err
			}
			continue
		}
		for e := seg.Extent; e.Len > 0; {
			part := block.Extent{Off: e.Off, Len: min(e.Len, maxChunk)}
			e = block.Extent{Off: part.End(), Len: e.Len - part.Len}
			if err := t.readChunk(q, part, end && e.Len == 0); err != nil {
				return ended(err)
			}
		}
	}
	return nil
}

// errEnded says that the answer has ended with an error chunk.
var errEnded = errors.New("the answer was an error")

// ended makes nothing of errEnded.
func ended(err error) error {
	if err == errEnded {
		return nil
	}
	return err
}

// readSimple reads all before the first byte is sent, since an error cannot come
// behind it.
func (t *session) readSimple(q *request) error {
	b, give := t.buffer(q.len)
	defer give()
	if err := t.fill(b, q.off); err != nil {
		return t.done(q, t.failed(q, err))
	}
	return t.send(simple(q, 0), b)
}

// readChunk sends a part of a read. When it cannot be read the answer ends:
// errEnded, unless it would have ended anyway.
func (t *session) readChunk(q *request, e block.Extent, last bool) error {
	b, give := t.buffer(e.Len)
	defer give()
	if err := t.fill(b, e.Off); err != nil {
		err := t.sendError(q, t.failed(q, err), &e.Off)
		if err == nil && !last {
			err = errEnded
		}
		return err
	}
	head := chunk(q, flagOf(last), chunkData, 8+len(b))
	return t.send(binary.BigEndian.AppendUint64(head, uint64(e.Off)), b)
}

func (t *session) sendHole(q *request, e block.Extent, last bool) error {
	head := chunk(q, flagOf(last), chunkHole, 12)
	head = binary.BigEndian.AppendUint64(head, uint64(e.Off))
	return t.send(binary.BigEndian.AppendUint32(head, uint32(e.Len)))
}

func flagOf(last bool) uint16 {
	if last {
		return chunkDone
	}
	return 0
}

// fill reads all of b. More reads at once than the cores can do would be no
// faster, and each takes memory of its own.
func (t *session) fill(b []byte, off int64) error {
	t.reads <- struct{}{}
	n, err := t.e.Reader.ReadAt(b, off)
	<-t.reads
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// buffer is memory for n bytes, to be given back.
func (t *session) buffer(n int64) (b []byte, give func()) {
	if n > maxChunk {
		return make([]byte, n), func() {}
	}
	room, _ := t.rooms.Get().(*[]byte)
	if room == nil || int64(len(*room)) < n {
		room = new(make([]byte, max(n, 128<<10)))
	}
	return (*room)[:n], func() { t.rooms.Put(room) }
}
