// Package blocktest gives tests a disk in memory that breaks as they say: reads
// and writes that fail by rule, and the states a power cut can leave.
package blocktest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"ingot/internal/block"
)

// Op is what is done to a device.
type Op string

// The operations.
const (
	Read  Op = "read"
	Write Op = "write"
	Sync  Op = "sync"
)

// Device is a disk in memory. It may be used by several goroutines.
type Device struct {
	// Fail, when set, is asked before each operation; its error is the
	// operation's.
	Fail func(op Op, e block.Extent) error

	mu     sync.Mutex
	data   []byte
	stable []byte  // as of the last sync
	recent []write // since then
	log    []Op
}

type write struct {
	off  int64
	data []byte
}

// New makes a device that holds data, which it takes over.
func New(data []byte) *Device {
	return &Device{data: data, stable: append([]byte{}, data...)}
}

// Size implements block.Reader.
func (d *Device) Size() int64 { return int64(len(d.data)) }

func (d *Device) check(op Op, off int64, n int) error {
	if off < 0 || off > d.Size()-int64(n) {
		return fmt.Errorf("%s of %d bytes at %d of %d", op, n, off, d.Size())
	}
	if d.Fail != nil {
		return d.Fail(op, block.Extent{Off: off, Len: int64(n)})
	}
	return nil
}

// ReadAt implements io.ReaderAt.
func (d *Device) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if off >= d.Size() {
		return 0, io.EOF
	}
	if err := d.check(Read, off, len(p)); err != nil {
		return 0, err
	}
	return copy(p, d.data[off:]), nil
}

// WriteAt implements io.WriterAt.
func (d *Device) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(Write, off, len(p)); err != nil {
		return 0, err
	}
	d.log = append(d.log, Write)
	d.recent = append(d.recent, write{off, append([]byte{}, p...)})
	return copy(d.data[off:], p), nil
}

// Sync implements block.Device.
func (d *Device) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(Sync, 0, 0); err != nil {
		return err
	}
	d.log = append(d.log, Sync)
	copy(d.stable, d.data)
	d.recent = nil
	return nil
}

// Bytes is what the device holds now; not a copy.
func (d *Device) Bytes() []byte { return d.data }

// Log is the writes and syncs so far.
func (d *Device) Log() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Op{}, d.log...)
}

// PowerCut is one of the states the device can be found in when the power
// fails now: what was synced, and of the writes since any of their sectors.
func (d *Device) PowerCut(r *rand.Rand) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	const sector = 512
	out := append([]byte{}, d.stable...)
	for _, w := range d.recent {
		for i := 0; i < len(w.data); i += sector {
			if r.IntN(2) == 0 {
				copy(out[w.off+int64(i):], w.data[i:min(i+sector, len(w.data))])
			}
		}
	}
	return out
}
