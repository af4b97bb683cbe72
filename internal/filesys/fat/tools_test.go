package fat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	return volumetest.Make(t, size, "dosfstools", "mkfs.vfat", append([]string{"-n", "CAST IRON", "-i", "1234abcd"}, args...)...)
}

// content is n repeatable bytes that do not repeat.
func content(n int, seed int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// fillSome copies a tree of files with long and short names onto a volume, and
// removes some again, so that there are free clusters between used ones.
func fillSome(t testing.TB, path string, files, size int) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, b []byte) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range files {
		write(fmt.Sprintf("many/A rather long name, number %d of some.txt", i), content(size+i*37%size, i))
	}
	write("EFI/Microsoft/Boot/BCD", content(3000, 7))
	write("EFI/Boot/bootx64.efi", content(size, 8))
	write("Wörter/Straße und Öl.text", content(100, 9))
	for _, name := range []string{"many", "EFI", "Wörter"} {
		volumetest.RunTool(t, "mtools", "mcopy", "-s", "-i", path, filepath.Join(dir, name), "::")
	}
	for i := 0; i < files; i += 3 {
		volumetest.RunTool(t, "mtools", "mdel", "-i", path, fmt.Sprintf("::many/A rather long name, number %d of some.txt", i))
	}
}

// hashes gives the SHA-256 of each file of a volume, read by mtools.
func hashes(t testing.TB, path string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	volumetest.RunTool(t, "mtools", "mcopy", "-s", "-n", "-i", path, "::*", dir)
	return volumetest.Hashes(t, dir)
}

// usedByFsck is the clusters in use and in all, as fsck.vfat counts them; it
// fails the test when the volume is not clean.
func usedByFsck(t testing.TB, path string) (used, total int64) {
	t.Helper()
	out := volumetest.RunTool(t, "dosfstools", "fsck.vfat", "-n", path)
	m := regexp.MustCompile(`(\d+)/(\d+) clusters`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("fsck.vfat gives no count:\n%s", out)
	}
	used, _ = strconv.ParseInt(m[1], 10, 64)
	total, _ = strconv.ParseInt(m[2], 10, 64)
	return used, total
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
