package backup

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
)

// TestRecent reads a device at random, with and without what was read last, and
// with places that cannot be read at first.
func TestRecent(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	data := make([]byte, 300_001)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	dev := blocktest.New(data)
	reads := 0
	bad := true
	dev.Fail = func(_ blocktest.Op, e block.Extent) error {
		if reads++; bad && reads%3 == 0 {
			return errors.New("bad sector")
		}
		return nil
	}
	c := newRecent(dev, 4096)
	c.slots = c.slots[:5]
	for i := range 20_000 {
		bad = i < 10_000
		off := r.Int64N(int64(len(data)) + 10)
		p := make([]byte, r.IntN(9000)>>r.IntN(8))
		n, err := c.ReadAt(p, off)
		if n > 0 && !bytes.Equal(p[:n], data[off:off+int64(n)]) {
			t.Fatalf("[%d,+%d) gave something else", off, n)
		}
		if err == nil && n < len(p) || err != nil && !bad && off+int64(len(p)) <= int64(len(data)) {
			t.Fatalf("[%d,+%d): %d, %v", off, len(p), n, err)
		}
	}
	reads, bad = 0, false
	for i := range 1000 {
		if _, err := c.ReadAt(make([]byte, 4), int64(8192+4*i)); err != nil {
			t.Fatal(err)
		}
	}
	if reads > 1 {
		t.Errorf("%d reads of one block", reads)
	}
}
