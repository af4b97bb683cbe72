package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// maxChunk is how much of a structured answer is sent at once.
const maxChunk = 1 << 20

// failure is an error with the number the client gets.
type failure struct {
	no   errno
	text string
}

func (f *failure) Error() string { return f.text }

func fail(no errno, format string, args ...any) *failure {
	return &failure{no, fmt.Sprintf(format, args...)}
}

// failed makes a failure of an error of the export, and tells of it.
func (t *session) failed(q *request, err error) *failure {
	t.s.log(fmt.Errorf("export %s, %d bytes at byte %d: %w", t.e.Name, q.len, q.off, err))
	if errors.Is(err, syscall.ENOSPC) {
		return &failure{errNoSpace, err.Error()}
	}
	return &failure{errIO, err.Error()}
}

// answer does a request and sends the answer; an error is one of the
// connection.
func (t *session) answer(q *request) error {
	if f := t.check(q); f != nil {
		return t.done(q, f)
	}
	switch q.cmd {
	case cmdRead:
		return t.read(q)
	case cmdBlockStatus:
		return t.status(q)
	case cmdCache:
		return t.done(q, t.cache(q))
	}
	return t.done(q, t.change(q))
}

// check says what is wrong with a request, if anything is.
func (t *session) check(q *request) *failure {
	allowed := uint16(0)
	if t.e.Writer != nil {
		allowed = flagFUA
	}
	switch q.cmd {
	case cmdRead:
		if t.structured {
			allowed |= flagDF
		}
	case cmdBlockStatus:
		allowed |= flagReqOne
		if !t.meta || !t.structured || q.len == 0 {
			return fail(errInvalid, "base:allocation was not chosen, or the request is empty")
		}
	case cmdWriteZeroes:
		allowed |= flagNoHole | flagFastZero
	case cmdWrite, cmdTrim, cmdFlush, cmdCache:
	default:
		return fail(errInvalid, "command %d is not known here", q.cmd)
	}
	if q.flags&^allowed != 0 {
		return fail(errInvalid, "command %d has the unknown flags %#x", q.cmd, q.flags&^allowed)
	}
	return t.checkRange(q)
}

// checkRange looks at where a request goes.
func (t *session) checkRange(q *request) *failure {
	writes := q.cmd == cmdWrite || q.cmd == cmdTrim || q.cmd == cmdWriteZeroes
	switch outside := q.off < 0 || q.off > t.e.Reader.Size()-q.len; {
	case writes && t.e.Writer == nil:
		return fail(errPermission, "the export is read-only")
	case writes && outside:
		return fail(errNoSpace, "%d bytes at byte %d end behind the export's %d", q.len, q.off, t.e.Reader.Size())
	case q.cmd != cmdFlush && outside:
		return fail(errInvalid, "%d bytes at byte %d end behind the export's %d", q.len, q.off, t.e.Reader.Size())
	case (q.cmd == cmdRead || q.cmd == cmdCache) && q.len > min(maxRequest, t.lim.bytes):
		return fail(errInvalid, "%d bytes are more than can be read at once", q.len)
	}
	return nil
}

// change does what changes the export.
func (t *session) change(q *request) *failure {
	w := t.e.Writer
	var err error
	switch {
	case q.cmd == cmdFlush && w == nil:
		return nil
	case q.cmd == cmdFlush:
		err = w.Sync()
	case q.cmd == cmdWrite:
		_, err = w.WriteAt(q.data, q.off)
	default:
		err = w.Zero(q.off, q.len)
	}
	if err == nil && q.flags&flagFUA != 0 {
		err = w.Sync()
	}
	if err != nil {
		return t.failed(q, err)
	}
	return nil
}

// cache reads once what will be read, in pieces small enough to be kept.
func (t *session) cache(q *request) *failure {
	b := make([]byte, min(q.len, 64<<10))
	for off, n := q.off, q.len; n > 0; {
		k := min(n, int64(len(b)))
		if err := t.fill(b[:k], off); err != nil {
			return t.failed(q, err)
		}
		off, n = off+k, n-k
	}
	return nil
}

// done sends the answer of a request that gives no data; f is nil when it was
// done.
func (t *session) done(q *request, f *failure) error {
	switch {
	case f != nil && t.structured:
		return t.sendError(q, f, nil)
	case f != nil:
		return t.send(simple(q, f.no))
	case t.structured && q.cmd == cmdRead:
		return t.send(chunk(q, chunkDone, chunkNone, 0))
	}
	return t.send(simple(q, 0))
}

// simple is a simple answer, or what stands before its data.
func simple(q *request, no errno) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 16), magicSimple)
	b = binary.BigEndian.AppendUint32(b, uint32(no))
	return binary.BigEndian.AppendUint64(b, q.cookie)
}

// chunk is the front of a chunk of n bytes.
func chunk(q *request, flags, typ uint16, n int) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 40), magicStructured)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint64(b, q.cookie)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// sendError ends a structured answer with an error, and the byte at which it
// happened when that is known.
func (t *session) sendError(q *request, f *failure, at *int64) error {
	text := f.text[:min(len(f.text), maxString)]
	typ, n := chunkError, 6+len(text)
	if at != nil {
		typ, n = chunkErrorOffset, n+8
	}
	b := chunk(q, chunkDone, typ, n)
	b = binary.BigEndian.AppendUint32(b, uint32(f.no))
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	b = append(b, text...)
	if at != nil {
		b = binary.BigEndian.AppendUint64(b, uint64(*at))
	}
	return t.send(b)
}
