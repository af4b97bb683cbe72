package blockcache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
)

// disk makes a device of n random bytes and counts what is read of it.
func disk(n int) (*blocktest.Device, *counter) {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	d := blocktest.New(b)
	c := new(counter)
	d.Fail = c.note
	return d, c
}

type counter struct {
	mu    sync.Mutex
	reads []block.Extent
}

func (c *counter) note(op blocktest.Op, e block.Extent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = append(c.reads, e)
	return nil
}

// take gives the bytes that were read since it was called last, and in how many
// reads.
func (c *counter) take() (n int64, reads int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.reads {
		n += e.Len
	}
	reads = len(c.reads)
	c.reads = nil
	return n, reads
}

// check reads and compares.
func check(t *testing.T, c *Cache, d *blocktest.Device, off, n int64) {
	t.Helper()
	b := make([]byte, n)
	got, err := c.ReadAt(b, off)
	want := d.Bytes()[min(off, d.Size()):min(off+n, d.Size())]
	if got != len(want) || !bytes.Equal(b[:got], want) || got < len(b) && err != io.EOF || got == len(b) && err != nil {
		t.Fatalf("read [%d,+%d): %d bytes, %v", off, n, got, err)
	}
}

// TestReads compares reads of every kind with the bytes that are there, for
// blocks that begin anywhere.
func TestReads(t *testing.T) {
	d, _ := disk(5<<20 + 777)
	for _, o := range []Options{
		{}, {BlockSize: 4096, Max: 1}, {BlockSize: 4096, Origin: 512, Max: 64 << 10}, {BlockSize: 1 << 20, Origin: 3<<20 + 1234, Max: 3 << 20},
		{BlockSize: 64 << 10, Origin: 1 << 40, Ahead: -1}, {BlockSize: 16 << 20}, {BlockSize: 3000, Max: 100000, Ahead: 50000},
	} {
		c := New(d, o)
		r := rand.New(rand.NewPCG(2, 2))
		for range 400 {
			n := int64(1) << r.IntN(22)
			check(t, c, d, r.Int64N(d.Size()), n+r.Int64N(n))
			check(t, c, d, r.Int64N(d.Size()), r.Int64N(100))
		}
		for off := int64(0); off < d.Size(); off += 10007 {
			check(t, c, d, off, 10007)
		}
		check(t, c, d, d.Size(), 1)
		check(t, c, d, d.Size()+1, 1)
		if n, err := c.ReadAt(make([]byte, 1), -1); n != 0 || err == nil {
			t.Error("a read before the start")
		}
		if c.used > max(c.max, c.piece) {
			t.Errorf("%+v: %d bytes are kept", o, c.used)
		}
	}
}

func TestColdReadCostsOneBlock(t *testing.T) {
	d, reads := disk(4 << 20)
	c := New(d, Options{BlockSize: 64 << 10, Origin: 1000})
	for _, off := range []int64{3<<20 + 1000, 1<<20 + 1000 + 61440, 2<<20 + 2000, 100} {
		size := c.extent(c.number(off)).Len
		check(t, c, d, off, min(4096, 1000-off%1000))
		if n, k := reads.take(); n != size || k != 1 {
			t.Errorf("at %d: %d bytes in %d reads", off, n, k)
		}
		check(t, c, d, off+5, 10)
		if n, _ := reads.take(); n != 0 {
			t.Errorf("at %d: %d bytes once more", off, n)
		}
	}
	check(t, c, d, 3<<20+1000, 4096)
	if n, _ := reads.take(); n != 0 {
		t.Errorf("%d bytes of a block that was read", n)
	}
}

func TestReadsAhead(t *testing.T) {
	d, reads := disk(8 << 20)
	c := New(d, Options{BlockSize: 64 << 10, Max: 4 << 20})
	calls := 0
	for off := int64(0); off < 4<<20; off += 4096 {
		check(t, c, d, off, 4096)
		if off%(512<<10) == 0 {
			check(t, c, d, 6<<20+off/8, 10) // somebody else
		}
	}
	n, calls := reads.take()
	if calls > 40 || n > 6<<20 {
		t.Errorf("%d bytes in %d reads", n, calls)
	}
	c = New(d, Options{BlockSize: 64 << 10, Ahead: -1})
	for off := int64(0); off < 4<<20; off += 4096 {
		check(t, c, d, off, 4096)
	}
	if n, calls := reads.take(); calls != 64 || n != 4<<20 {
		t.Errorf("without reading ahead: %d bytes in %d reads", n, calls)
	}
}

// TestLargeReads go by the cache, but for the blocks at their ends.
func TestLargeReads(t *testing.T) {
	d, reads := disk(8 << 20)
	c := New(d, Options{BlockSize: 64 << 10})
	check(t, c, d, 100, 2<<20)
	if n, k := reads.take(); k > 4 || n > 2<<20+2*64<<10 || c.used > 3*64<<10 {
		t.Errorf("%d bytes in %d reads, %d kept", n, k, c.used)
	}
	check(t, c, d, 0, 64<<10)
	check(t, c, d, 2<<20, 64<<10)
	if n, _ := reads.take(); n != 0 {
		t.Errorf("%d bytes of the ends once more", n)
	}
}

// TestOneLoads has many ask for one block at once.
func TestOneLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := disk(1 << 20)
		var loads atomic.Int32
		d.Fail = func(blocktest.Op, block.Extent) error {
			loads.Add(1)
			time.Sleep(time.Second)
			return nil
		}
		c := New(d, Options{})
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() { check(t, c, d, int64(i), 100) })
		}
		all.Wait()
		if loads.Load() != 1 {
			t.Errorf("%d loads", loads.Load())
		}
	})
}

// TestErrors are of the blocks that cannot be read only, and not kept.
func TestErrors(t *testing.T) {
	d, _ := disk(2 << 20)
	bad := errors.New("bad sector")
	broken := true
	d.Fail = func(_ blocktest.Op, e block.Extent) error {
		if broken && e.Off < 700000 && e.End() > 700000 {
			return bad
		}
		return nil
	}
	c := New(d, Options{BlockSize: 32 << 10, Max: 1 << 20})
	failed := 0
	for off := int64(0); off < d.Size(); off += 8192 {
		_, err := c.ReadAt(make([]byte, 8192), off)
		if err != nil {
			failed++
		}
		if hit := c.number(off) == c.number(700000); hit != errors.Is(err, bad) {
			t.Errorf("at %d: %v", off, err)
		}
	}
	if failed != 4 {
		t.Errorf("%d reads failed", failed)
	}
	broken = false
	check(t, c, d, 0, 2<<20)
	check(t, c, d, 700000, 5)
}

// short gives less than it has, without an error.
type short struct{ *blocktest.Device }

func (s short) ReadAt(p []byte, off int64) (int, error) {
	return s.Device.ReadAt(p[:len(p)/2], off)
}

func TestShortReader(t *testing.T) {
	d, _ := disk(1 << 20)
	c := New(short{d}, Options{})
	if n, err := c.ReadAt(make([]byte, 10), 100000); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestManyGoroutines is for the race detector.
func TestManyGoroutines(t *testing.T) {
	d, _ := disk(3 << 20)
	d.Fail = func(_ blocktest.Op, e block.Extent) error {
		if e.Off%7 == 3 {
			return fmt.Errorf("byte %d", e.Off)
		}
		return nil
	}
	c := New(d, Options{BlockSize: 10000, Max: 200000})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			at := int64(0)
			for range 500 {
				if at += r.Int64N(9000); r.IntN(20) == 0 {
					at = r.Int64N(d.Size())
				}
				at %= d.Size()
				b := make([]byte, r.IntN(30000))
				n, _ := c.ReadAt(b, at)
				if !bytes.Equal(b[:n], d.Bytes()[at:at+int64(n)]) {
					t.Error("wrong bytes")
				}
			}
		})
	}
	all.Wait()
	if c.used > c.max || len(c.blocks) != c.recent.Len() || int64(len(c.free))*c.piece > c.max {
		t.Errorf("%d bytes, %d blocks, %d buffers", c.used, len(c.blocks), len(c.free))
	}
	for _, e := range c.blocks {
		if e.users != 0 {
			t.Errorf("block %d is still in use", e.number)
		}
	}
}
