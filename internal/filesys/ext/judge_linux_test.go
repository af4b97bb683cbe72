package ext

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

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
