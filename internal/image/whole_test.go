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
	fromAnywhere(t, whole.Used())
}

// fromAnywhere walks a map from many places and compares with the whole walk.
func fromAnywhere(t *testing.T, m block.Map) {
	t.Helper()
	var all block.Extents
	for e, err := range m.Extents() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	for off := int64(0); off <= all[len(all)-1].End(); off += 77777 {
		want, err := block.Bytes(block.Clip(all, off, 1<<40))
		if err != nil {
			t.Fatal(err)
		}
		var got int64
		for e, err := range block.From(m, off) {
			if err != nil || e.Off < off {
				t.Fatalf("from %d: %v, %v", off, e, err)
			}
			got += e.Len
		}
		if got != want {
			t.Errorf("from %d on the map holds %d bytes instead of %d", off, got, want)
		}
	}
}
