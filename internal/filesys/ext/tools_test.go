package ext

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
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

// field is a number that dumpe2fs -h prints behind a name.
func field(t testing.TB, info, name string) int64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:\s+([0-9]+)`).FindStringSubmatch(info)
	if m == nil {
		t.Fatalf("dumpe2fs does not say %q:\n%s", name, info)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n
}

// checkAgainstTools compares a volume with what dumpe2fs says of it, and a copy
// of its used bytes with what e2fsck wants.
func checkAgainstTools(t *testing.T, path string) (v *Volume, copied disk) {
	t.Helper()
	src := volumetest.Load(t, path)
	v = open(t, src)
	f := v.Facts()
	info := volumetest.RunTool(t, "e2fsprogs", "dumpe2fs", "-h", path)
	ratio := f.ClusterSize / f.BlockSize
	for _, c := range []struct {
		name string
		got  int64
	}{
		{"Free blocks", f.FreeClusters * ratio}, {"Block count", v.super.blocks}, {"Block size", f.BlockSize},
		{"Inode size", v.super.inodeSize}, {"Blocks per group", v.super.blocksPerGroup},
	} {
		if want := field(t, info, c.name); c.got != want {
			t.Errorf("%s: %d, dumpe2fs says %d", c.name, c.got, want)
		}
	}
	if !strings.Contains(info, f.UUID) || f.Label != "Cast Iron" || len(f.Warnings) > 0 || f.Unsettled != "" {
		t.Errorf("%+v", f)
	}
	if ratio == 1 {
		want := src.Size() - f.FreeClusters*f.BlockSize
		if f.UsedBytes != want {
			t.Errorf("%d bytes are used, %d are not free", f.UsedBytes, want)
		}
	}
	copied = volumetest.CastOver(t, v.Used(), f.UsedBytes, src)
	volumetest.RunTool(t, "e2fsprogs", "e2fsck", "-fn", copied.Save(t))
	return v, copied
}
