package exfat

import (
	"fmt"
	"math/rand/v2"
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

func makeVolume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	return volumetest.Make(t, size, "exfatprogs", "mkfs.exfat", append([]string{"-L", "Gußeisen"}, args...)...)
}

func mount(t testing.TB, path string, use func(dir string)) {
	t.Helper()
	volumetest.Mount(t, path, use, "exfat-fuse", "mount.exfat-fuse")
}

// content is n repeatable bytes that do not repeat.
func content(n int, seed int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// fill writes a tree of files with names of all lengths and scripts, in which
// some lie in pieces, and removes some again.
func fill(t testing.TB, dir string, files, size int) {
	t.Helper()
	for i := range files {
		volumetest.Write(t, dir, fmt.Sprintf("many/%04d %s.bin", i, strings.Repeat("x", i*7%200)), content(size+i*37%size, i))
	}
	for i := 0; i < files; i += 3 {
		if err := os.Remove(filepath.Join(dir, fmt.Sprintf("many/%04d %s.bin", i, strings.Repeat("x", i*7%200)))); err != nil {
			t.Fatal(err)
		}
	}
	interleave(t, dir, size)
	for i, name := range []string{"empty file", "EFI/Microsoft/Boot/BCD", "Wörter/Straße und Öl.text", "日本語/ファイル.txt", "emoji/😀🚀", "long/" + strings.Repeat("ä", 127)} {
		volumetest.Write(t, dir, name, content(i*1000%4000+1000*min(i, 1), i))
	}
	for _, name := range []string{"empty folder", "deep/a/b/c/d/e/f/g/h"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// interleave appends to three files by turns.
func interleave(t testing.TB, dir string, size int) {
	t.Helper()
	var fs [3]*os.File
	for i := range fs {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("turns ", i)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fs[i] = f
	}
	for k := range 24 {
		if _, err := fs[k%3].Write(content(size*2+k, k)); err != nil {
			t.Fatal(err)
		}
	}
}

// clean fails the test unless fsck.exfat finds nothing.
func clean(t testing.TB, path string) {
	t.Helper()
	if out := volumetest.RunTool(t, "exfatprogs", "fsck.exfat", "-n", path); !strings.Contains(out, ": clean.") {
		t.Errorf("fsck.exfat: %s", out)
	}
}

// free is the number of free clusters as dump.exfat counts them.
func free(t testing.TB, path string) int64 {
	t.Helper()
	out := volumetest.RunTool(t, "exfatprogs", "dump.exfat", path)
	m := regexp.MustCompile(`Free Clusters:\s+(\d+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("dump.exfat gives no count:\n%s", out)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n
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

// castOver is volumetest.CastOver of a volume.
func castOver(t testing.TB, v *Volume, src disk) disk {
	t.Helper()
	return volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, src)
}

// filled is a volume in memory with files on it.
func filled(t testing.TB, size int64, files, fileSize int, args ...string) disk {
	t.Helper()
	path := makeVolume(t, size, args...)
	mount(t, path, func(dir string) { fill(t, dir, files, fileSize) })
	return volumetest.Load(t, path)
}
