package overlay

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"ingot/internal/block"
)

// Disk is a block.Device over a block.Reader that is not written to. It may be
// used by several goroutines. Close it.
type Disk struct {
	below block.Reader
	used  block.Map
	size  int64

	mu     sync.RWMutex
	file   *scratch
	chunks map[int64]*chunk
	ones   *bitmap // shared by the chunks that are all zeros
	bytes  int64   // that were written or set to zeros, counted each time
}

var _ block.Device = (*Disk)(nil)

const granule = 4096

// New makes a Disk over below, of which used is the map of what matters. The
// temporary file lies in dir; "" is the system's folder for them.
func New(below block.Reader, used block.Map, dir string) (*Disk, error) {
	f, err := newScratch(dir)
	if err != nil {
		return nil, err
	}
	d := &Disk{below: below, used: used, size: below.Size(), file: f, chunks: map[int64]*chunk{}, ones: new(bitmap)}
	for i := range d.ones {
		d.ones[i] = ^uint64(0)
	}
	return d, nil
}

// Close drops all that was written.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file.close()
}

// Size implements block.Reader.
func (d *Disk) Size() int64 { return d.size }

// Changed is how many bytes were written or set to zeros, those that were so
// twice counted twice; 0 is nothing at all.
func (d *Disk) Changed() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.bytes
}

// Sync implements block.Device.
func (d *Disk) Sync() error { return nil }

// ReadAt implements io.ReaderAt.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > d.size {
		return 0, fmt.Errorf("read byte %d of a disk of %d bytes", off, d.size)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	whole := len(p)
	p = p[:min(int64(len(p)), d.size-off)]
	done := 0
	for done < len(p) {
		n, err := d.readRun(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	if done < whole {
		return done, io.EOF
	}
	return done, nil
}

// readRun fills the front of p as far as its granules are in one state.
func (d *Disk) readRun(p []byte, off int64) (int, error) {
	s, n := d.run(off/granule, (off+int64(len(p))-1)/granule)
	p = p[:min(int64(len(p)), (off/granule+n)*granule-off)]
	switch s {
	case written:
		return d.file.read(p, off)
	case zeroed:
		clear(p)
		return len(p), nil
	}
	got, err := d.below.ReadAt(p, off)
	if got == len(p) {
		return got, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return got, err
}

// WriteAt implements io.WriterAt.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	if err := d.within("write", off, int64(len(p))); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += int64(len(p))
	done := 0
	for done < len(p) {
		n, err := d.writeSome(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (d *Disk) within(op string, off, n int64) error {
	if off < 0 || n < 0 || off > d.size-n {
		return fmt.Errorf("%s %d bytes at byte %d of a disk of %d bytes", op, n, off, d.size)
	}
	return nil
}

// writeSome writes the front of p: a part of a granule, or as many whole ones as
// go to the file at once.
func (d *Disk) writeSome(p []byte, off int64) (int, error) {
	first, skip := off/granule, off%granule
	if whole := min(int64(len(p)), atOnce) / granule; skip == 0 && whole > 0 {
		if err := d.file.write(p[:whole*granule], off); err != nil {
			return 0, err
		}
		d.mark(first, whole, written)
		return int(whole * granule), nil
	}
	one := make([]byte, granule)
	if _, err := d.readRun(one[:min(granule, d.size-first*granule)], first*granule); err != nil {
		return 0, fmt.Errorf("read what lies around a write of %d bytes at byte %d: %w", len(p), off, err)
	}
	n := copy(one[skip:], p)
	if err := d.file.write(one, first*granule); err != nil {
		return 0, err
	}
	d.mark(first, 1, written)
	return n, nil
}

// Zero sets n bytes to zeros, as a discard does.
func (d *Disk) Zero(off, n int64) error {
	if err := d.within("set to zeros", off, n); err != nil {
		return err
	}
	first, last := (off+granule-1)/granule, (off+n)/granule // of the whole granules, and the one behind them
	if off+n == d.size {
		last = (off + n + granule - 1) / granule
	}
	if first >= last {
		_, err := d.WriteAt(make([]byte, n), off)
		return err
	}
	_, err := d.WriteAt(make([]byte, first*granule-off), off)
	if end := last * granule; err == nil && end < off+n {
		_, err = d.WriteAt(make([]byte, off+n-end), end)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += n
	d.mark(first, last-first, zeroed)
	return nil
}

// errClosed is what a Disk says once it was closed.
var errClosed = errors.New("the overlay was closed")
