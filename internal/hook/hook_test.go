//go:build !windows

package hook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func sh(script string, limit time.Duration) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Limit: limit, Env: []string{"INGOT_NAME=system"}}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, out, err string }{
		{"output and environment", `echo "name $INGOT_NAME"; echo two >&2`, "name system\ntwo\n", ""},
		{"a code", "echo out; exit 3", "out\n", "run /bin/sh: exit status 3"},
		{"what is in the background is not waited for for long", "sleep 60 & echo done", "done\n", ""},
	} {
		out, err := Run(t.Context(), sh(c.script, time.Minute))
		if out != c.out || c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%s: %q, %v", c.name, out, err)
		}
	}
	if _, err := Run(t.Context(), Command{Path: "/nonexistent/program"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A hook that does not end is ended with all it has started, also what does not
// listen to a plain signal.
func TestLimitEndsTheGroup(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	script := `(trap "" TERM; echo $$ >` + pids + `; sh -c 'trap "" TERM; echo $$ >>` + pids + `; while :; do sleep 0.1; done' & wait; sleep 60)`
	_, err := Run(t.Context(), sh(script, 300*time.Millisecond))
	if !errors.Is(err, ErrTime) || !strings.Contains(err.Error(), "300ms") {
		t.Fatal(err)
	}
	b, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(b))
	if len(lines) != 2 {
		t.Fatalf("%q", b)
	}
	for _, line := range lines {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; alive(pid); i++ {
			if i > 100 {
				t.Fatalf("process %d is still there", pid)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// alive says whether a process runs; one that has ended and was not waited for
// by its new parent does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := Run(ctx, sh("sleep 60", time.Minute)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	out, err := Run(t.Context(), sh("echo first; head -c 10000000 /dev/zero | tr '\\0' 'x'; echo last", time.Minute))
	if err != nil || len(out) > maxOutput+100 || !strings.HasPrefix(out, "first\n") || !strings.HasSuffix(out, "last\n") || !strings.Contains(out, "bytes left out") {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}
