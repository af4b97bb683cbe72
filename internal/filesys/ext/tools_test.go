package ext

import (
	"bytes"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// disk is a volume in memory.
type disk = volumetest.Disk

// fullSize is up to which size makeVolume has other data on the disk: tools
// wait until all of it is written.
const fullSize = 24 << 20

// makeVolume makes a file system in a file of size bytes, which is full of
// other data, or sparse when it is large.
func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	args = append([]string{"-q", "-F", "-K", "-L", "Cast Iron"}, args...)
	if size > fullSize {
		return volumetest.Make(t, size, "e2fsprogs", "mke2fs", args...)
	}
	path := disk(bytes.Repeat([]byte{0xd5, 0x3a, 0x01, 0x7e}, int(size/4+1))[:size]).Save(t)
	volumetest.RunTool(t, "e2fsprogs", "mke2fs", append(args, path)...)
	return path
}

// open opens a volume whose used map must be proven.
func open(t testing.TB, r block.Reader) *Volume {
	t.Helper()
	v, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	if reason := v.Facts().WholeReason; reason != "" {
		t.Fatalf("to be copied whole: %s", reason)
	}
	return v
}
