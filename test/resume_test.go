package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDefinitionGoesOn has a run of a definition go on by itself with what an
// earlier one has left.
func TestDefinitionGoesOn(t *testing.T) {
	dir := t.TempDir()
	src, to, defs := filepath.Join(dir, "src.img"), filepath.Join(dir, "to"), filepath.Join(dir, "definitions")
	newNoise(t, src, 16<<20)
	for _, d := range []string{to, defs} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sh(t, ingot, "definition", "new", "pc", "--from", src, "--to", to, "--template", "forever", "--definitions", defs)
	leaveUnfinished(t, src, to)
	text := sh(t, ingot, "run", "pc", "--definitions", defs, "--log-folder", filepath.Join(dir, "log"), "--no-power")
	if !strings.Contains(text, "is gone on with") {
		t.Errorf("the run does not say that it goes on:\n%s", text)
	}
	sh(t, ingot, "verify", to)
	back := filepath.Join(dir, "back.img")
	sh(t, ingot, "restore", to, back)
	if digest(t, back) != digest(t, src) {
		t.Error("it restores to something else")
	}
	if left, _ := filepath.Glob(filepath.Join(to, ".*unfinished")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// leaveUnfinished has an image fail late enough for something to be left. The
// calls that fail are counted by thread, of which nobody knows how many there are.
func leaveUnfinished(t *testing.T, src, to string) {
	t.Helper()
	var out []byte
	for when := 4; when < 30; when++ {
		cut := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", fmt.Sprintf("inject=pwrite64:error=EIO:when=%d+", when),
			ingot, "image", src, "--to", to, "--type", "full", "--retry-for", "0s", "--flush-every", "1ms")
		if out, _ = cut.CombinedOutput(); cut.ProcessState.ExitCode() == 7 {
			return
		}
		sh(t, "sh", "-c", "rm -f "+to+"/*.mrimgx")
	}
	t.Fatalf("strace (Debian package strace): no image was left unfinished\n%s", out)
}
