package image

import (
	"bytes"
	"testing"

	"ingot/internal/block"
	"ingot/internal/dest/desttest"
)

// TestWhole compares the assembled disk with the one that was imaged.
func TestWhole(t *testing.T) {
	s := newSample(t, CompressionMedium, 5<<20)
	c, err := open(s.write(t, desttest.NewMemory(), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := c.Disks()[0].Whole()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, whole.Size())
	if _, err := whole.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, s.disk) {
		t.Error("the assembled disk is not the one that was imaged")
	}
	for e, err := range block.Subtract(block.Whole(whole.Size()), whole.Used()).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.disk[e.Off:e.End()], make([]byte, e.Len)) {
			t.Errorf("bytes %v are not in the map and not zero", e)
		}
	}
}
