package fat

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"ingot/internal/block"
)

// runTool runs a tool of a Debian package and gives what it prints.
func runTool(t testing.TB, pkg, tool string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package %s", tool, pkg)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	runTool(t, "dosfstools", "mkfs.vfat", append(append([]string{"-n", "CAST IRON", "-i", "1234abcd"}, args...), path)...)
	return path
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
		runTool(t, "mtools", "mcopy", "-s", "-i", path, filepath.Join(dir, name), "::")
	}
	for i := 0; i < files; i += 3 {
		runTool(t, "mtools", "mdel", "-i", path, fmt.Sprintf("::many/A rather long name, number %d of some.txt", i))
	}
}

// hashes gives the SHA-256 of each file of a volume, read by mtools.
func hashes(t testing.TB, path string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	runTool(t, "mtools", "mcopy", "-s", "-n", "-i", path, "::*", dir)
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// usedByFsck is the clusters in use and in all, as fsck.vfat counts them; it
// fails the test when the volume is not clean.
func usedByFsck(t testing.TB, path string) (used, total int64) {
	t.Helper()
	out := runTool(t, "dosfstools", "fsck.vfat", "-n", path)
	m := regexp.MustCompile(`(\d+)/(\d+) clusters`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("fsck.vfat gives no count:\n%s", out)
	}
	used, _ = strconv.ParseInt(m[1], 10, 64)
	total, _ = strconv.ParseInt(m[2], 10, 64)
	return used, total
}

// disk is a volume in memory, to be read and to be damaged.
type disk []byte

func load(t testing.TB, path string) disk {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (d disk) Size() int64 { return int64(len(d)) }

func (d disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(d)) {
		return 0, io.EOF
	}
	n := copy(p, d[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (d disk) save(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(path, d, 0o600); err != nil {
		t.Fatal(err)
	}
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

// castOver gives what a disk full of other data holds once the used bytes of
// the volume are written on it.
func castOver(t testing.TB, v *Volume, src disk) disk {
	t.Helper()
	out := disk(bytes.Repeat([]byte{0xa7, 0x5c, 0xff, 0x13}, len(src)/4+1)[:len(src)])
	var sum, end int64 = 0, -1
	for e, err := range v.Used().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Len <= 0 || e.Off <= end || e.End() > src.Size() {
			t.Fatalf("extent %v behind %d on %d bytes", e, end, src.Size())
		}
		end = e.End()
		sum += e.Len
		copy(out[e.Off:e.End()], src[e.Off:])
	}
	if sum != v.Facts().UsedBytes {
		t.Errorf("UsedBytes is %d, the map holds %d", v.Facts().UsedBytes, sum)
	}
	return out
}
