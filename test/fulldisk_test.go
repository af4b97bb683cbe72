package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFullDisk has a destination run full, a small ext4: what is there stays
// whole, and the image is gone on with when there is room.
func TestFullDisk(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, at, medium := filepath.Join(dir, "src.img"), filepath.Join(dir, "at"), filepath.Join(dir, "ext4.img")
	noise := newNoise(t, src, 24<<20)
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, "truncate", "-s", "72M", medium)
	sh(t, "mkfs.ext4", "-q", "-m", "0", medium)
	sh(t, "mount", "-o", "loop", medium, at)
	t.Cleanup(func() { _ = exec.Command("umount", at).Run() })
	ballast := filepath.Join(at, "ballast")
	image := func(more ...string) []string {
		return append([]string{"image", src, "--to", at, "--compression", "none", "--retry-for", "1s", "--flush-every", "1ms"}, more...)
	}
	fails := func(code int, args ...string) string {
		t.Helper()
		cmd := exec.Command(ingot, args...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != code {
			t.Fatalf("ingot %s: exit code %d, want %d\n%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), code, out)
		}
		return string(out)
	}
	restores := func(point string, want [32]byte) {
		t.Helper()
		back := filepath.Join(dir, "back.img")
		sh(t, ingot, "restore", point, back, "--yes")
		if digest(t, back) != want {
			t.Errorf("%s restores to something else", point)
		}
	}
	sh(t, ingot, image("--name", "f")...)
	was := digest(t, src)
	noise.write(t, 0, 24<<20)
	sh(t, "dd", "if=/dev/zero", "of="+ballast, "bs=1M", "count=24", "status=none")

	// An incremental that does not fit: twice, the second time without any room.
	for range 2 {
		text := fails(7, image("--resume")...)
		if !strings.Contains(text, "no space left") || !strings.Contains(text, "It is tried again until") || !strings.Contains(text, "make room") {
			t.Errorf("it says:\n%s", text)
		}
		restores(filepath.Join(at, "f-00-00.mrimgx"), was)
	}
	sh(t, ingot, "verify", at)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	text := sh(t, ingot, image("--resume", "--verify")...)
	if !strings.Contains(text, "were there from the run before") {
		t.Errorf("it was not gone on with:\n%s", text)
	}
	restores(at, digest(t, src))
	restores(at+"@oldest", was)

	// No room for what a consolidation makes.
	noise.change(t, 1<<20)
	sh(t, ingot, image()...)
	now := digest(t, src)
	_ = exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=1M", "status=none").Run() // until it is full
	for _, args := range [][]string{
		{"consolidate", filepath.Join(at, "f-01-01.mrimgx"), filepath.Join(at, "f-02-02.mrimgx"), "--yes"},
		{"purge", at, "--keep-inc", "1", "--yes"},
		{"purge", at, "--keep-inc", "1", "--synthetic-full", "--yes"},
	} {
		if text := fails(1, args...); !strings.Contains(text, "no space left") {
			t.Errorf("%v says:\n%s", args, text)
		}
	}
	restores(at, now)
	restores(at+"@oldest", was)
	// A full set can still be purged of what needs no room.
	sh(t, ingot, "sets", at)
	if left, _ := filepath.Glob(filepath.Join(at, ".*partial")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
