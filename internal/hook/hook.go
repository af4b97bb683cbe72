package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Command is a program to run.
type Command struct {
	Path  string
	Args  []string      // without the name of the program
	Dir   string        // where it runs; "" is the root folder
	Limit time.Duration // 0 is DefaultLimit
	Env   []string      // NAME=value, besides what this process has
}

const (
	// DefaultLimit is how long a command may take when it says nothing.
	DefaultLimit = 10 * time.Minute
	// grace is how long a group that was asked to end gets to do so.
	grace = 5 * time.Second
	// maxOutput is how much of what a command prints is kept, in bytes.
	maxOutput = 64 << 10
)

// ErrTime is wrapped by the error for a command that took too long.
var ErrTime = errors.New("it took too long and was ended")

// Run runs a command and gives what it printed, on standard output and error
// alike. An error says that it could not be started, took too long, was
// interrupted with ctx, or ended with another code than 0.
func Run(ctx context.Context, c Command) (output string, err error) {
	limit := c.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	timed, cancel := context.WithTimeoutCause(ctx, limit, ErrTime)
	defer cancel()
	out := &buffer{}
	cmd := exec.CommandContext(timed, c.Path, c.Args...)
	if cmd.Dir = c.Dir; cmd.Dir == "" {
		cmd.Dir = string(os.PathSeparator)
	}
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = grace
	err = runGroup(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; something in the background still has its output
	}
	if timed.Err() != nil {
		err = context.Cause(timed)
		if errors.Is(err, ErrTime) {
			err = fmt.Errorf("%w after %s", ErrTime, limit)
		}
	}
	if err != nil {
		err = fmt.Errorf("run %s: %w", c.Path, err)
	}
	return out.String(), err
}

// buffer keeps the beginning and the end of what is written to it. exec gives
// both outputs to one goroutine, since they are the same writer.
type buffer struct {
	head, tail []byte
	lost       int
}

func (b *buffer) Write(p []byte) (int, error) {
	n := len(p)
	k := min(n, maxOutput/2-len(b.head))
	b.head = append(b.head, p[:k]...)
	b.tail = append(b.tail, p[k:]...)
	if over := len(b.tail) - maxOutput/2; over > 0 {
		b.lost += over
		b.tail = append(b.tail[:0], b.tail[over:]...)
	}
	return n, nil
}

func (b *buffer) String() string {
	middle := ""
	if b.lost > 0 {
		middle = fmt.Sprintf("\n... %d bytes left out ...\n", b.lost)
	}
	return strings.ToValidUTF8(string(b.head)+middle+string(b.tail), "\uFFFD")
}
