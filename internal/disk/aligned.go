package disk

import (
	"io"
	"sync"
	"unsafe"
)

// memAlign is how buffers for raw disks are aligned in memory: no disk in use
// wants more than a page.
const memAlign = 4096

// maxBounce is the largest buffer an ill-aligned request goes through, bytes.
const maxBounce = 1 << 20

// aligned serves requests of any offset, length and buffer through a raw disk
// that takes whole units only. Its size is a multiple of unit.
type aligned struct {
	rawFile
	unit int64 // bytes, a power of two

	// edges keeps two writes that share a unit from undoing each other: the
	// part of the unit that is not written is read before. Writes of whole
	// units share it.
	edges sync.RWMutex
}

// direct says that a request can be handed on as it is.
func (a *aligned) direct(p []byte, off int64) bool {
	return off%a.unit == 0 && int64(len(p))%a.unit == 0 && uintptr(unsafe.Pointer(unsafe.SliceData(p)))%memAlign == 0
}

// buffer is an aligned buffer of whole units for n bytes that may begin
// anywhere in a unit, or of maxBounce when that is less.
func (a *aligned) buffer(n int) []byte {
	size := min(int64(n)+2*a.unit, max(maxBounce, 2*a.unit))
	size -= size % a.unit
	b := make([]byte, size+memAlign)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % memAlign
	return b[skip:][:size:size]
}

// window is the part of buf for the units around [off, off+n), and how many
// bytes of it lie before off.
func (a *aligned) window(buf []byte, off int64, n int) (w []byte, low, skip int64) {
	skip = off % a.unit
	size := (skip + int64(n) + a.unit - 1) / a.unit * a.unit
	return buf[:min(size, int64(len(buf)))], off - skip, skip
}

// ReadAt implements io.ReaderAt.
func (a *aligned) ReadAt(p []byte, off int64) (int, error) {
	if a.direct(p, off) {
		return a.rawFile.ReadAt(p, off)
	}
	buf := a.buffer(len(p))
	for done := 0; done < len(p); {
		w, low, skip := a.window(buf, off+int64(done), len(p)-done)
		n, err := a.rawFile.ReadAt(w, low)
		got := 0
		if int64(n) > skip {
			got = copy(p[done:], w[skip:n])
		}
		done += got
		if done == len(p) {
			break
		}
		if err == nil && n < len(w) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// WriteAt implements io.WriterAt.
func (a *aligned) WriteAt(p []byte, off int64) (int, error) {
	if off%a.unit != 0 || int64(len(p))%a.unit != 0 {
		a.edges.Lock()
		defer a.edges.Unlock()
	} else {
		a.edges.RLock()
		defer a.edges.RUnlock()
	}
	if a.direct(p, off) {
		return a.rawFile.WriteAt(p, off)
	}
	buf := a.buffer(len(p))
	for done := 0; done < len(p); {
		w, low, skip := a.window(buf, off+int64(done), len(p)-done)
		n := min(int64(len(w))-skip, int64(len(p)-done))
		if skip != 0 || n%a.unit != 0 {
			if _, err := a.rawFile.ReadAt(w, low); err != nil {
				return done, err
			}
		}
		copy(w[skip:], p[done:done+int(n)])
		if _, err := a.rawFile.WriteAt(w, low); err != nil {
			return done, err
		}
		done += int(n)
	}
	return len(p), nil
}
