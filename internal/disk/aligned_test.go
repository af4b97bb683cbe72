package disk

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"
)

// strict is a raw disk in memory that refuses what hardware refuses.
type strict struct {
	b    []byte
	unit int64
}

func (s *strict) check(p []byte, off int64) error {
	if off%s.unit != 0 || int64(len(p))%s.unit != 0 || len(p) == 0 || uintptr(unsafe.Pointer(&p[0]))%memAlign != 0 {
		return fmt.Errorf("request of %d bytes at %d is not aligned", len(p), off)
	}
	if off < 0 || off > int64(len(s.b)-len(p)) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (s *strict) ReadAt(p []byte, off int64) (int, error) {
	if err := s.check(p, off); err != nil {
		return 0, err
	}
	return copy(p, s.b[off:]), nil
}

func (s *strict) WriteAt(p []byte, off int64) (int, error) {
	if err := s.check(p, off); err != nil {
		return 0, err
	}
	return copy(s.b[off:], p), nil
}

func (s *strict) Sync() error  { return nil }
func (s *strict) Close() error { return nil }

func TestAligned(t *testing.T) {
	for _, unit := range []int64{512, 4096} {
		raw := &strict{make([]byte, 5<<20), unit}
		f := &File{Info: Info{Path: "raw", Size: 5 << 20, LogicalSector: unit}, raw: &aligned{rawFile: raw, unit: unit}}
		model := make([]byte, 5<<20)
		r := rand.New(rand.NewPCG(3, uint64(unit)))
		for i := range 400 {
			off := r.Int64N(5 << 20)
			n := min(1+r.Int64N(1<<uint(1+r.IntN(22))), 5<<20-off)
			if i%4 == 0 { // whole units, though not of an aligned buffer
				off, n = off/unit*unit, max(n/unit, 1)*unit
			}
			p := make([]byte, n+1)[1:]
			if i%2 == 0 {
				for j := range p {
					p[j] = byte(r.Uint32())
				}
				copy(model[off:], p)
				if _, err := f.WriteAt(p, off); err != nil {
					t.Fatal(err)
				}
			} else if _, err := f.ReadAt(p, off); err != nil || !bytes.Equal(p, model[off:off+n]) {
				t.Fatalf("read %d at %d: %v", n, off, err)
			}
		}
		if !bytes.Equal(raw.b, model) {
			t.Error("the disk is not what was written")
		}
		if _, err := f.WriteAt([]byte{1, 2}, 5<<20-1); err == nil {
			t.Error("write behind the end: no error")
		}
		if n, err := f.ReadAt(make([]byte, 10), 5<<20-4); n != 4 || err != io.EOF {
			t.Errorf("read over the end: %d, %v", n, err)
		}
	}
}

// Two writers that share a sector do not undo each other.
func TestAlignedSharedSector(t *testing.T) {
	raw := &strict{make([]byte, 4096), 4096}
	a := &aligned{rawFile: raw, unit: 4096}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 512 {
				if _, err := a.WriteAt([]byte{byte(i + 1)}, int64(j*8+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, v := range raw.b {
		if v != byte(i%8+1) {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
}
