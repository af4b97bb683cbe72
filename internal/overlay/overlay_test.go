package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
)

// newDisk makes an overlay over size bytes of noise, of which some are zeros that
// do not matter.
func newDisk(t *testing.T, size int64) (*Disk, []byte) {
	t.Helper()
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(7, uint64(size)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	var used []block.Extent
	for off := int64(0); off < size; off += 100000 {
		e := block.Extent{Off: off, Len: min(60000, size-off)}
		used = append(used, e)
		clear(b[e.End():min(off+100000, size)])
	}
	d, err := New(blocktest.New(bytes.Clone(b)), block.NewExtents(used...), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, b
}

// same compares the disk with what it should hold.
func same(t *testing.T, d *Disk, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := d.ReadAt(got, 0); n != len(got) || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("the overlay holds other bytes than were written")
	}
}

// TestRandom compares with a model after random reads, writes and zeros.
func TestRandom(t *testing.T) {
	for _, size := range []int64{3<<20 + 512, 1 << 20, 5000, 511} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			d, model := newDisk(t, size)
			r := rand.New(rand.NewPCG(1, uint64(size)))
			for range 400 {
				off := r.Int64N(size)
				n := min(r.Int64N(1<<r.IntN(22)), size-off)
				if r.IntN(3) == 0 {
					off, n = off/granule*granule, n/granule*granule
				}
				switch r.IntN(4) {
				case 0:
					if err := d.Zero(off, n); err != nil {
						t.Fatal(err)
					}
					clear(model[off : off+n])
				case 1:
					got := make([]byte, n+3)
					k, err := d.ReadAt(got, off)
					if want := model[off:min(off+n+3, size)]; !bytes.Equal(got[:k], want) || (k < len(got)) != (err == io.EOF) {
						t.Fatalf("read [%d,+%d): %d bytes, %v", off, n, k, err)
					}
				default:
					p := bytes.Repeat([]byte{byte(r.Uint32())}, int(n))
					if k, err := d.WriteAt(p, off); k != len(p) || err != nil {
						t.Fatal(k, err)
					}
					copy(model[off:], p)
				}
			}
			same(t, d, model)
			holds(t, d, model)
		})
	}
}

// holds fails unless all that is not in the map is zeros, and walks of the map
// from the middle agree with the whole one.
func holds(t *testing.T, d *Disk, model []byte) {
	t.Helper()
	for e, err := range block.Subtract(block.Whole(d.size), d.Used()).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(model[e.Off:e.End()], make([]byte, e.Len)) {
			t.Errorf("bytes %v matter and are not in the map", e)
		}
	}
	for off := int64(0); off < d.size; off += 123457 {
		want, _ := block.Bytes(block.Clip(d.Used(), off, d.size))
		var got int64
		for e, err := range block.From(d.Used(), off) {
			if err != nil {
				t.Fatal(err)
			}
			got += e.Len
		}
		if got != want {
			t.Errorf("from %d on: %d bytes instead of %d", off, got, want)
		}
	}
}

// nothing is a disk of zeros.
type nothing int64

func (n nothing) Size() int64 { return int64(n) }
func (n nothing) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// TestLarge sets most of a large disk to zeros, which must cost nothing, and
// writes to the middle of them.
func TestLarge(t *testing.T) {
	const size = 1 << 42
	d, err := New(nothing(size), block.Whole(size), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Zero(1<<30+5, 1<<41); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt([]byte("text"), 1<<40); err != nil {
		t.Fatal(err)
	}
	used, err := block.Bytes(d.Used())
	if want := int64(size - 1<<41 + 3*granule - granule); err != nil || used != want {
		t.Errorf("%d bytes are used, %d should be, %v", used, want, err)
	}
	got := make([]byte, 8)
	if _, err := d.ReadAt(got, 1<<40-2); err != nil || string(got) != "\x00\x00text\x00\x00" {
		t.Errorf("%q, %v", got, err)
	}
	if d.chunks[1<<40/granule/perChunk-1].zero != d.ones {
		t.Error("chunks of zeros have a map of their own")
	}
}

// TestSecret looks for what was written in the temporary file.
func TestSecret(t *testing.T) {
	d, _ := newDisk(t, 1<<20)
	text := bytes.Repeat([]byte("secret text "), 4096/12*40)
	if _, err := d.WriteAt(text, 4096*3); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 1<<20)
	n, _ := d.file.file.ReadAt(raw, 0)
	if n < len(text) || bytes.Contains(raw, []byte("secret")) {
		t.Errorf("%d bytes, in clear: %v", n, bytes.Contains(raw, []byte("secret")))
	}
	seen := map[string]bool{} // equal granules must not look alike
	for i := 3 * granule; i < n-granule; i += granule {
		if seen[string(raw[i:i+granule])] {
			t.Error("two granules look alike")
		}
		seen[string(raw[i:i+granule])] = true
	}
	if st, err := d.file.file.Stat(); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// TestNothingStays looks at the folder of the temporary file.
func TestNothingStays(t *testing.T) {
	dir := t.TempDir()
	d, err := New(nothing(1<<20), block.Whole(1<<20), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt(make([]byte, 5000), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if list, err := os.ReadDir(dir); len(list) != 0 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := d.ReadAt(make([]byte, 10), 0); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if _, err := d.WriteAt(make([]byte, granule), 0); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// TestBounds refuses what does not lie on the disk, and tells what cannot be read
// below.
func TestBounds(t *testing.T) {
	bad := errors.New("bad sector")
	dev := blocktest.New(make([]byte, 100000))
	d, err := New(dev, block.Whole(100000), "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, c := range [][2]int64{{-1, 5}, {99999, 2}, {200000, 1}} {
		if _, err := d.WriteAt(make([]byte, c[1]), c[0]); err == nil {
			t.Errorf("wrote %v", c)
		}
		if err := d.Zero(c[0], c[1]); err == nil {
			t.Errorf("set %v to zeros", c)
		}
	}
	if _, err := d.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read before the start")
	}
	dev.Fail = func(blocktest.Op, block.Extent) error { return bad }
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, bad) {
		t.Error(err)
	}
	if _, err := d.WriteAt(make([]byte, 1), 0); !errors.Is(err, bad) {
		t.Error(err)
	}
	if _, err := d.WriteAt(make([]byte, granule), 0); err != nil {
		t.Error("a whole granule needs nothing from below: ", err)
	}
	if _, err := d.ReadAt(make([]byte, granule), 0); err != nil {
		t.Error(err)
	}
}

// TestManyGoroutines is for the race detector, and for writes beside each other.
func TestManyGoroutines(t *testing.T) {
	d, model := newDisk(t, 1<<20)
	var all sync.WaitGroup
	const part = 100000
	for g := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 60 {
				off := int64(g*part) + r.Int64N(part-5000)
				p := bytes.Repeat([]byte{byte(r.Uint32())}, 1+r.IntN(5000))
				if _, err := d.WriteAt(p, off); err != nil {
					t.Error(err)
				}
				copy(model[off:], p)
				got := make([]byte, len(p))
				if _, err := d.ReadAt(got, off); err != nil || !bytes.Equal(got, p) {
					t.Errorf("another byte came back, %v", err)
				}
				if _, err := block.Bytes(d.Used()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	same(t, d, model)
}
