// Package volumetest is what the tests of all file systems need: volumes made by
// the tools of others, held in memory to be damaged, and the check that the used
// bytes of a volume are all that it needs.
package volumetest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ingot/internal/block"
)

// RunTool runs a tool of a Debian package, which must succeed, and gives what
// it prints.
func RunTool(t testing.TB, pkg, tool string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", tool))
	}
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

// Make runs a tool on a sparse file of size bytes, whose path is added to the
// arguments, and gives that path.
func Make(t testing.TB, size int64, pkg, tool string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	RunTool(t, pkg, tool, append(args, path)...)
	return path
}

// MakeOver is Make on a file that is full of other data.
func MakeOver(t testing.TB, size int64, pkg, tool string, args ...string) string {
	t.Helper()
	path := Disk(bytes.Repeat([]byte{0xd5, 0x3a, 0x01, 0x7e}, int(size/4+1))[:size]).Save(t)
	RunTool(t, pkg, tool, append(args, path)...)
	return path
}

// Hashes gives the SHA-256 of each file under dir by its path.
func Hashes(t testing.TB, dir string) map[string]string {
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

// Disk is a volume in memory, to be read and to be damaged: a block.Reader.
type Disk []byte

// Load reads a file into memory.
func Load(t testing.TB, path string) Disk {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Size implements block.Reader.
func (d Disk) Size() int64 { return int64(len(d)) }

// ReadAt implements block.Reader.
func (d Disk) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(d).ReadAt(p, off)
}

// Save writes the volume to a file of its own.
func (d Disk) Save(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(path, d, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// CastOver gives what a disk full of other data holds once the used bytes of a
// volume, which are usedBytes, are written on it. It fails the test when the
// map breaks its promises.
func CastOver(t testing.TB, used block.Map, usedBytes int64, src Disk) Disk {
	t.Helper()
	out := Disk(bytes.Repeat([]byte{0xa7, 0x5c, 0xff, 0x13}, len(src)/4+1)[:len(src)])
	var sum, end int64 = 0, -1
	for e, err := range used.Extents() {
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
	if sum != usedBytes {
		t.Errorf("the volume counts %d used bytes, its map holds %d", usedBytes, sum)
	}
	return out
}
