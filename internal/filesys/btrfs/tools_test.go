package btrfs

import (
	"maps"
	"os"
	"regexp"
	"strconv"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// disk is a volume in memory.
type disk = volumetest.Disk

// makeVolume makes a Btrfs volume of size bytes in a file.
func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	return volumetest.Make(t, size, "btrfs-progs", "mkfs.btrfs", append([]string{"-q", "-L", "Cast Iron"}, args...)...)
}

// btrfs runs a command of btrfs-progs.
func btrfs(t testing.TB, args ...string) string {
	t.Helper()
	return volumetest.RunTool(t, "btrfs-progs", "btrfs", args...)
}

// numbers are all that match the group of a pattern in a text.
func numbers(t testing.TB, text, pattern string) (out []int64) {
	t.Helper()
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		t.Fatalf("no %q in:\n%s", pattern, text)
	}
	return out
}

// open opens a volume whose used map must be proven.
func open(t testing.TB, r block.Reader) *Volume {
	t.Helper()
	v, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	if f := v.Facts(); f.WholeReason != "" || len(f.Warnings) > 0 {
		t.Fatalf("to be copied whole: %+v", f)
	}
	return v
}

// hashes are those of all files of a volume that the kernel mounts. A copy of
// a volume has the same UUID and must not be mounted beside it.
func hashes(t testing.TB, path string) (out map[string]string) {
	t.Helper()
	volumetest.LoopMounted(t, path, "ro", func(dir string) { out = volumetest.Hashes(t, dir) })
	return out
}

// checkNumbers compares a volume with what the tools say of it.
func checkNumbers(t *testing.T, v *Volume, path string, mountable bool) {
	t.Helper()
	f := v.Facts()
	super := btrfs(t, "inspect-internal", "dump-super", "-f", path)
	groups := numbers(t, btrfs(t, "inspect-internal", "dump-tree", path), `block group used ([0-9]+)`)
	var logical, onDevice int64
	for i, c := range v.chunks {
		if len(groups) != len(v.chunks) || groups[i] != c.used {
			t.Fatalf("%d block groups of %v bytes for the chunks %+v", len(groups), groups, v.chunks)
		}
		logical += c.used
		onDevice += c.used * int64(c.copies)
	}
	for pattern, got := range map[string]int64{
		`\nbytes_used\s+([0-9]+)`: logical, `\nsectorsize\s+([0-9]+)`: f.SectorSize, `\nnodesize\s+([0-9]+)`: f.NodeSize,
		`dev_item.total_bytes\s+([0-9]+)`: f.TotalClusters * f.ClusterSize,
	} {
		if want := numbers(t, super, pattern)[0]; got != want {
			t.Errorf("%s: %d, btrfs says %d", pattern, got, want)
		}
	}
	extra := f.UsedBytes - onDevice
	if want := int64(reserved) + copies(v) + v.r.Size() - f.TotalClusters*f.ClusterSize; extra > want || extra < 0 {
		t.Errorf("the map has %d bytes beside those of extents, not %d", extra, want)
	}
	if f.Label != "Cast Iron" || !regexp.MustCompile(`\nfsid\s+`+f.UUID).MatchString(super) {
		t.Errorf("label %q, UUID %s", f.Label, f.UUID)
	}
	if !mountable {
		return
	}
	volumetest.LoopMounted(t, path, "ro", func(dir string) {
		usage := btrfs(t, "filesystem", "usage", "-b", dir)
		if want := numbers(t, usage, `\n    Used:\s+([0-9]+)`)[0]; onDevice != want {
			t.Errorf("%d bytes in extents, btrfs filesystem usage says %d", onDevice, want)
		}
	})
}

// copies is the space of the copies of the superblock.
func copies(v *Volume) int64 {
	if v.super.Device.Size > copyOffset1 {
		return max(superSize, v.super.SectorSize)
	}
	return 0
}

// checkAgainstTools compares a volume with what the tools say of it, and a copy
// of its used bytes over garbage with the original: for btrfs check, and for
// the kernel unless that mounts no such volumes.
func checkAgainstTools(t *testing.T, path string, mountable bool) *Volume {
	t.Helper()
	src := volumetest.Load(t, path)
	v := open(t, src)
	checkNumbers(t, v, path, mountable)
	copied := volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, src).Save(t)
	btrfs(t, "check", "--check-data-csum", copied)
	if !mountable {
		return v
	}
	want, got := hashes(t, path), hashes(t, copied)
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("%d files came through of %d, or they have changed", len(got), len(want))
	}
	return v
}

// writeFile writes a file that must be written.
func writeFile(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
