package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// call is a system call of a trace: its text is that of strace, in one piece.
type call struct {
	name, args, result string
}

func (c *call) failed() bool {
	return strings.HasPrefix(c.result, "-1 ") || strings.HasPrefix(c.result, "?")
}

// moment is the beginning or the end of a call. What other threads did between
// the two may have come before or after it.
type moment struct {
	call *call
	end  bool
}

var (
	wholeCall   = regexp.MustCompile(`^(\w+)\((.*)\) += (.+)$`)
	begunCall   = regexp.MustCompile(`^(\w+)\((.*) <unfinished \.\.\.>$`)
	resumedCall = regexp.MustCompile(`^<\.\.\. (\w+) resumed>(.*)\) += (.+)$`)
	// The last one is a thread that strace let go of as the process ended.
	endOfThread = regexp.MustCompile(`^(\+\+\+ |--- |exit|\?+\( <detached)`)
)

// parseTrace reads what `strace -f -o` writes.
func parseTrace(text string) ([]moment, error) {
	var out []moment
	begun := make(map[string]*call) // by thread
	for line := range strings.Lines(text) {
		thread, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		if m := wholeCall.FindStringSubmatch(rest); m != nil {
			c := &call{m[1], m[2], m[3]}
			out = append(out, moment{c, false}, moment{c, true})
		} else if m := begunCall.FindStringSubmatch(rest); m != nil {
			begun[thread] = &call{m[1], m[2], "? not known yet"}
			out = append(out, moment{begun[thread], false})
		} else if m := resumedCall.FindStringSubmatch(rest); m != nil && begun[thread] != nil && begun[thread].name == m[1] {
			c := begun[thread]
			c.args, c.result = c.args+m[2], m[3]
			out = append(out, moment{c, true})
		} else if rest != "" && !endOfThread.MatchString(rest) {
			return nil, fmt.Errorf("line of strace not understood: %s", line)
		}
	}
	return out, nil
}

// watched is every call that writes to a file, makes it durable, or changes the
// names in a folder. What a program maps into memory to write to it is not seen.
const watched = "open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,splice," +
	"ftruncate,truncate,fallocate,ioctl,fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat"

// trace runs ingot under strace and gives what it did.
func trace(t *testing.T, args ...string) []moment {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	// Paths are given whole in any case; of the bytes written nothing is wanted.
	pre := []string{"-f", "-qq", "-y", "-s", "0", "-e", "signal=none", "-e", "trace=" + watched, "-o", file, ingot}
	cmd := exec.Command("strace", append(pre, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("strace (Debian package strace; it needs the right to trace) ingot %s: %v\n%s", strings.Join(args, " "), err, &out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	moments, err := parseTrace(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return moments
}

var (
	fdArg     = regexp.MustCompile(`\d+<([^<>]*)>(?:\(deleted\))?`)
	stringArg = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
)

// fds are the paths of the open files among the arguments.
func (c *call) fds() (out []string) {
	for _, m := range fdArg.FindAllStringSubmatch(c.args, -1) {
		out = append(out, m[1])
	}
	return out
}

// paths are the paths that the call names.
func (c *call) paths() (out []string) {
	for _, m := range stringArg.FindAllStringSubmatch(c.args, -1) {
		out = append(out, m[1])
	}
	return out
}

// opened is the path of the file that the call has opened.
func (c *call) opened() string {
	if m := fdArg.FindStringSubmatch(c.result); m != nil {
		return m[1]
	}
	return ""
}
