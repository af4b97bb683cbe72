package ntfs

import (
	"bytes"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// makeVolume makes an NTFS volume of size bytes in a file. Its serial number
// differs from run to run; nothing else does.
func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	return volumetest.Make(t, size, "ntfs-3g", "mkntfs", append([]string{"-F", "-q", "-T", "-L", "Cast Iron"}, args...)...)
}

// mounted calls do with the folder where the volume is mounted by ntfs-3g.
func mounted(t testing.TB, path, options string, do func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	volumetest.RunTool(t, "ntfs-3g", "ntfs-3g", "-o", options, path, dir)
	defer volumetest.RunTool(t, "fuse3", "fusermount3", "-u", dir)
	do(dir)
}

// content is n repeatable bytes that do not repeat.
func content(n int, seed uint64) []byte {
	b := make([]byte, n)
	s := [32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
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

// disk is a volume in memory.
type disk = volumetest.Disk

// castOver is volumetest.CastOver of a volume.
func castOver(t testing.TB, v *Volume, src volumetest.Disk) volumetest.Disk {
	t.Helper()
	return volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, src)
}

// field is a number that ntfsinfo -m prints behind a name.
func field(t testing.TB, info, name string) int64 {
	t.Helper()
	m := regexp.MustCompile(regexp.QuoteMeta(name) + `: *([0-9]+)`).FindStringSubmatch(info)
	if m == nil {
		t.Fatalf("ntfsinfo does not say %q:\n%s", name, info)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n
}

// checkAgainstTools compares a volume with what ntfsinfo says of it, and the
// files of a copy of its used bytes with its own.
func checkAgainstTools(t *testing.T, path string) *Volume {
	t.Helper()
	src := volumetest.Load(t, path)
	v := open(t, src)
	f := v.Facts()
	info := volumetest.RunTool(t, "ntfs-3g", "ntfsinfo", "-m", path)
	for _, c := range []struct {
		name string
		got  int64
	}{
		{"Free Clusters", f.FreeClusters}, {"Volume Size in Clusters", f.TotalClusters},
		{"Cluster Size", f.ClusterSize}, {"Sector Size", f.SectorSize}, {"MFT Record Size", f.RecordSize},
	} {
		if want := field(t, info, c.name); c.got != want {
			t.Errorf("%s: %d, ntfsinfo says %d", c.name, c.got, want)
		}
	}
	if f.Label != "Cast Iron" || f.Version != "3.1" || len(f.Warnings) > 0 {
		t.Errorf("label %q, version %q, warnings %q", f.Label, f.Version, f.Warnings)
	}
	copied := castOver(t, v, src).Save(t)
	if f.SectorSize > 256 { // with 256, ntfsfix seeks the backup boot sector where mkntfs does not put it
		volumetest.RunTool(t, "ntfs-3g", "ntfsfix", "-n", copied)
	}
	backup := bytes.LastIndex(src, src[:80])
	if got := volumetest.Load(t, copied)[backup:]; backup == 0 || !bytes.Equal(got[:512], src[backup:backup+512]) {
		t.Errorf("the backup boot sector at byte %d was not kept", backup)
	}
	var want, got map[string]string
	mounted(t, path, "ro", func(dir string) { want = volumetest.Hashes(t, dir) })
	mounted(t, copied, "ro", func(dir string) { got = volumetest.Hashes(t, dir) })
	if len(want) == 0 || len(got) != len(want) {
		t.Fatalf("%d files came through of %d", len(got), len(want))
	}
	for name, h := range want {
		if got[name] != h {
			t.Errorf("%s has changed", name)
		}
	}
	return v
}

func writeFile(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func removeFile(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

func makeDir(t testing.TB, name string) {
	t.Helper()
	if err := os.Mkdir(name, 0o755); err != nil {
		t.Fatal(err)
	}
}
