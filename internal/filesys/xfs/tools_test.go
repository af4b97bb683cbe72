package xfs

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// disk is a volume in memory.
type disk = volumetest.Disk

// makeVolume makes an XFS volume of size bytes in a file. Below 300 MiB
// mkfs.xfs does so only where it believes to be tested itself.
func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	smallVolumes(t)
	return volumetest.Make(t, size, "xfsprogs", "mkfs.xfs", append([]string{"-q", "-L", "Cast Iron"}, args...)...)
}

func smallVolumes(t testing.TB) {
	t.Helper()
	for _, name := range []string{"TEST_DIR", "TEST_DEV", "QA_CHECK_FS"} {
		t.Setenv(name, "1")
	}
}

// xfsDB runs commands of xfs_db on the file at path.
func xfsDB(t testing.TB, path string, commands ...string) string {
	t.Helper()
	args := []string{"-r", "-f"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return volumetest.RunTool(t, "xfsprogs", "xfs_db", append(args, path)...)
}

// number is what follows name in what xfs_db prints.
func number(t testing.TB, text, name string) int64 {
	t.Helper()
	m := regexp.MustCompile(regexp.QuoteMeta(name) + ` *=? *([0-9]+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %q in:\n%s", name, text)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n
}

// open opens a volume whose used map must be proven and settled.
func open(t testing.TB, r block.Reader) *Volume {
	t.Helper()
	v, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	if f := v.Facts(); f.WholeReason != "" || f.Unsettled != "" || len(f.Warnings) > 0 {
		t.Fatalf("to be copied whole: %+v", f)
	}
	return v
}

// hashes are those of all files of a volume that the kernel mounts.
func hashes(t testing.TB, path string) (out map[string]string) {
	t.Helper()
	volumetest.LoopMounted(t, path, "rw", func(dir string) { out = volumetest.Hashes(t, dir) })
	return out
}

// checkNumbers compares a volume with what xfs_db says of it.
func checkNumbers(t *testing.T, v *Volume, path string) {
	t.Helper()
	f := v.Facts()
	sb := xfsDB(t, path, "sb 0", "p")
	for name, got := range map[string]int64{
		"blocksize": f.ClusterSize, "\nsectsize": f.SectorSize, "dblocks": f.TotalClusters, "fdblocks": v.super.FreeBlocks,
	} {
		if want := number(t, sb, name); got != want {
			t.Errorf("%s: %d, xfs_db says %d", name, got, want)
		}
	}
	var aside int64 // which xfs_db counts as free
	for no := range v.super.Groups {
		g, err := v.readGroup(no)
		if err != nil {
			t.Fatal(err)
		}
		aside += g.ring[2]
	}
	if want := number(t, xfsDB(t, path, "freesp -s"), "total free blocks"); f.FreeClusters+aside != want {
		t.Errorf("%d free blocks and %d set aside, xfs_db says %d", f.FreeClusters, aside, want)
	}
	if f.Label != "Cast Iron" || !strings.Contains(sb, f.UUID) {
		t.Errorf("label %q, UUID %s", f.Label, f.UUID)
	}
}

// checkAgainstTools compares a volume with what xfs_db says of it, and a copy
// of its used bytes over garbage with the original: for xfs_repair, and for the
// kernel unless that mounts no such volumes.
func checkAgainstTools(t *testing.T, path string, mountable bool) *Volume {
	t.Helper()
	src := volumetest.Load(t, path)
	v := open(t, src)
	checkNumbers(t, v, path)
	copied := volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, src).Save(t)
	volumetest.RunTool(t, "xfsprogs", "xfs_repair", "-n", "-f", "-o", "force_geometry", copied)
	if !mountable {
		return v
	}
	want, got := hashes(t, path), hashes(t, copied)
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("%d files came through of %d, or they have changed", len(got), len(want))
	}
	return v
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

// protoTree is a description of a folder's files for mkfs.xfs -p, which fills a
// volume that no kernel mounts.
func protoTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	volumetest.Churn(t, dir, 9, 6<<20)
	var b strings.Builder
	b.WriteString("/nowhere\n0 0\nd--755 0 0\n")
	var list func(dir string) error
	list = func(dir string) error {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			switch {
			case e.IsDir():
				b.WriteString(e.Name() + " d--755 0 0\n")
				err = errors.Join(err, list(path))
			case e.Type().IsRegular() && size(t, path) < 1<<20: // holes would be filled
				b.WriteString(e.Name() + " ---644 0 0 " + path + "\n")
			}
		}
		b.WriteString("$\n")
		return err
	}
	path := filepath.Join(t.TempDir(), "proto")
	if err := errors.Join(list(dir), os.WriteFile(path, []byte(b.String()), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeDir(t testing.TB, name string) {
	t.Helper()
	if err := os.Mkdir(name, 0o755); err != nil {
		t.Fatal(err)
	}
}

// errorsOf joins errors.
func errorsOf(errs ...error) error { return errors.Join(errs...) }
