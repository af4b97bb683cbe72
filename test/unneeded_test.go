package test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// noise is n bytes that do not compress.
func noiseBytes(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// volumeAt are the options with which a partition becomes a loop device.
func volumeAt(off, n int64) []string {
	return []string{fmt.Sprintf("--offset=%d", off), fmt.Sprintf("--sizelimit=%d", n)}
}

// mountedNTFS calls do with the folder where a device is mounted by ntfs-3g.
func mountedNTFS(t *testing.T, dev, options string, do func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	sh(t, "ntfs-3g", "-o", options, dev, dir)
	defer sh(t, "fusermount3", "-u", dir)
	do(dir)
}

// hashes are those of the files below dir.
func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestUnneeded images a disk with the files that Windows makes anew, restores
// it over garbage, and looks at what came and what did not.
func TestUnneeded(t *testing.T) {
	needRoot(t)
	const start, size, megabyte = 1 << 20, 120 << 20, 1 << 20
	shadow := "System Volume Information/{ca3f1c1e-0000-11ef-8000-000c29000001}{3808876b-c176-4e48-b7ae-04046e6cc752}"
	gone := map[string]int{"pagefile.sys": 16 * megabyte, "swapfile.sys": megabyte, "hiberfil.sys": 12 * megabyte, shadow: 8 * megabyte}
	dir := t.TempDir()
	src, out, other := filepath.Join(dir, "src.img"), filepath.Join(dir, "out"), filepath.Join(dir, "other")
	for _, d := range []string{out, other} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sh(t, "truncate", "-s", "124M", src)
	sh(t, "sgdisk", "-n", fmt.Sprintf("1:2048:+%dM", size>>20), "-t", "1:0700", src)
	dev := attach(t, src, volumeAt(start, size)...)
	sh(t, "mkntfs", "-F", "-Q", "-q", dev)
	var want map[string]string
	mountedNTFS(t, dev, "rw", func(mnt string) {
		for _, d := range []string{"System Volume Information", "Users/Ina"} {
			if err := os.MkdirAll(filepath.Join(mnt, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, n := range gone {
			if err := os.WriteFile(filepath.Join(mnt, name), append(make([]byte, 4096), noiseBytes(n-4096, 1)...), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 40 {
			if err := os.WriteFile(filepath.Join(mnt, "Users/Ina", fmt.Sprint("photo ", i)), noiseBytes(i*7001, byte(i)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want = hashes(t, mnt)
	})
	sh(t, "sync")

	text := sh(t, ingot, "image", src, "--to", out, "--name", "lean", "--verify")
	for name := range gone {
		_, rest, ok := strings.Cut(text, `\`+strings.ReplaceAll(name, "/", `\`)+" (")
		if line, _, _ := strings.Cut(rest, "\n"); !ok || !strings.HasSuffix(line, " MiB) is left out") {
			t.Errorf("of %s is said: %s", name, text)
		}
	}
	sh(t, ingot, "image", src, "--to", other, "--name", "all", "--all-sectors")
	lean, all := fileSize(t, filepath.Join(out, "lean-00-00.mrimgx")), fileSize(t, filepath.Join(other, "all-00-00.mrimgx"))
	if saved := all - lean; saved < 36*megabyte || lean > 12*megabyte {
		t.Errorf("the image has %d bytes, with all sectors %d", lean, all)
	}

	target := filepath.Join(dir, "target.img")
	// What an older Windows left there, at every cluster.
	if err := os.WriteFile(target, bytes.Repeat(append([]byte("HIBRstale"), noiseBytes(4087, 3)...), 124<<20/4096), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(t, ingot, "restore", filepath.Join(out, "lean-00-00.mrimgx"), target, "--yes", "--check")
	back := attach(t, target, volumeAt(start, size)...)
	sh(t, "ntfsfix", "-n", back)
	mountedNTFS(t, back, "ro", func(mnt string) {
		got := hashes(t, mnt)
		for name, w := range want {
			if _, ok := gone[name]; !ok && got[name] != w || got[name] == "" {
				t.Errorf("%s: %s instead of %s", name, got[name], w)
			}
		}
		for name, n := range gone {
			b, err := os.ReadFile(filepath.Join(mnt, name))
			if err != nil || len(b) != n || len(bytes.Trim(b[:64<<10], "\x00")) > 0 || n > megabyte && !bytes.Contains(b, []byte("HIBRstale")) {
				t.Errorf("%s: %d bytes, begins with %q, %v", name, len(b), b[:16], err)
			}
		}
	})

	// New contents of the page file are no reason for an incremental to grow.
	mountedNTFS(t, dev, "rw", func(mnt string) {
		f, err := os.OpenFile(filepath.Join(mnt, "pagefile.sys"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(noiseBytes(16*megabyte, 5)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
	sh(t, "sync")
	sh(t, ingot, "image", src, "--to", out)
	files, err := filepath.Glob(filepath.Join(out, "*-01*"))
	if err != nil || len(files) != 1 || fileSize(t, files[0]) > 2*megabyte {
		t.Errorf("incrementals: %q, %v", files, err)
	}

	// Hibernated, the volume is copied whole, and that is said first.
	mountedNTFS(t, dev, "rw", func(mnt string) {
		f, err := os.OpenFile(filepath.Join(mnt, "hiberfil.sys"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("HIBR"), 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
	sh(t, "sync")
	text = sh(t, ingot, "image", src, "--to", other, "--name", "asleep", "--dry-run")
	asleep, whole := strings.Index(text, "Windows is hibernated"), strings.Index(text, "is copied whole")
	if asleep < 0 || whole < asleep || strings.Contains(text, "left out") {
		t.Errorf("of a hibernated system is said:\n%s", text)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}
