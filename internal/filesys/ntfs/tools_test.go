package ntfs

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
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

// makeVolume makes an NTFS volume of size bytes in a file. Its serial number
// differs from run to run; nothing else does.
func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	runTool(t, "ntfs-3g", "mkntfs", append(append([]string{"-F", "-q", "-T", "-L", "Cast Iron"}, args...), path)...)
	return path
}

// mounted calls do with the folder where the volume is mounted by ntfs-3g.
func mounted(t testing.TB, path, options string, do func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	runTool(t, "ntfs-3g", "ntfs-3g", "-o", options, path, dir)
	defer runTool(t, "fuse3", "fusermount3", "-u", dir)
	do(dir)
}

// hashes gives the SHA-256 of each file under dir by its path.
func hashes(t testing.TB, dir string) map[string]string {
	t.Helper()
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

// content is n repeatable bytes that do not repeat.
func content(n int, seed uint64) []byte {
	b := make([]byte, n)
	s := [32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
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
	src := load(t, path)
	v := open(t, src)
	f := v.Facts()
	info := runTool(t, "ntfs-3g", "ntfsinfo", "-m", path)
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
	copied := castOver(t, v, src).save(t)
	if f.SectorSize > 256 { // with 256, ntfsfix seeks the backup boot sector where mkntfs does not put it
		runTool(t, "ntfs-3g", "ntfsfix", "-n", copied)
	}
	backup := bytes.LastIndex(src, src[:80])
	if got := load(t, copied)[backup:]; backup == 0 || !bytes.Equal(got[:512], src[backup:backup+512]) {
		t.Errorf("the backup boot sector at byte %d was not kept", backup)
	}
	var want, got map[string]string
	mounted(t, path, "ro", func(dir string) { want = hashes(t, dir) })
	mounted(t, copied, "ro", func(dir string) { got = hashes(t, dir) })
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
