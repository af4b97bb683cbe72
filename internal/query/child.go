package query

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"ingot/internal/procgroup"
)

// Bounds of an answer, in bytes.
const (
	maxLine  = 32 << 20 // a folder of images is one line
	maxTotal = 64 << 20
)

// drain is how long the pipes are waited for after the child has ended: one that
// has left its group may still hold them.
const drain = 2 * time.Second

// child is the program at work on a question.
type child struct {
	verb   string // for messages
	ctx    context.Context
	cancel context.CancelCauseFunc
	out    *os.File
	said   complaint // complete when ended is closed
	err    error     // of its end; known when ended is closed
	ended  chan struct{}
}

// Causes of the end of a child's context that are no fault of the caller.
var (
	errEnough = errors.New("enough was read")
	errTime   = errors.New("the time is up")
)

// start starts the program. It lives no longer than ctx and limit.
func (t *Tools) start(ctx context.Context, limit time.Duration, args []string) (*child, error) {
	if len(t.Program) == 0 {
		return nil, &Error{Text: "ask the program: nobody said which it is", Code: -1}
	}
	argv := append(append([]string{}, t.Program...), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.WaitDelay = drain
	if t.password != nil {
		cmd.Stdin = bytes.NewReader(append(t.password(), '\n'))
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, &Error{Text: fmt.Sprintf("ask the program: %v", err), Code: -1}
	}
	c := &child{verb: args[0], out: out, ended: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	cmd.Stdout, cmd.Stderr = w, &c.said
	started := make(chan error)
	go c.live(cmd, limit, started)
	err = <-started
	_ = w.Close()
	if err != nil {
		c.cancel(nil)
		return nil, &Error{Text: fmt.Sprintf("start the program: %v", errors.Join(err, out.Close())), Code: -1}
	}
	// Nobody waits for a child that cannot be killed, since it hangs in the
	// kernel.
	context.AfterFunc(c.ctx, func() { time.AfterFunc(drain, func() { _ = out.Close() }) })
	return c, nil
}

// live starts the process and stays with it to its end.
func (c *child) live(cmd *exec.Cmd, limit time.Duration, started chan<- error) {
	runtime.LockOSThread() // and never unlocks: the thread ends with this
	g, err := procgroup.Start(cmd, true)
	started <- err
	if err != nil {
		return
	}
	timer := time.AfterFunc(limit, func() { c.cancel(errTime) })
	stop := context.AfterFunc(c.ctx, g.End)
	c.err = cmd.Wait()
	timer.Stop()
	stop()
	g.End()
	g.Release()
	close(c.ended)
}

// kill ends the child, whose rest nobody wants.
func (c *child) kill(why error) {
	c.cancel(why)
	c.gone()
	_ = c.out.Close()
}

// gone waits for the end of the child; false when it is still there though it
// was killed a while ago.
func (c *child) gone() bool {
	select {
	case <-c.ended:
		return true
	case <-c.ctx.Done():
	}
	t := time.NewTimer(drain)
	defer t.Stop()
	select {
	case <-c.ended:
		return true
	case <-t.C:
		return false
	}
}

// end waits for the end of a child whose output has been read, and says what
// was wrong with it. told is what it said itself, or nil.
func (c *child) end(told *Error) error {
	gone := c.gone()
	_ = c.out.Close()
	cause := context.Cause(c.ctx)
	c.cancel(nil)
	var exit *exec.ExitError
	switch {
	case gone && (c.err == nil || errors.Is(c.err, exec.ErrWaitDelay)):
		return nil
	case errors.Is(cause, errTime):
		return &Error{Text: fmt.Sprintf("ingot %s took too long and was ended", c.verb), Code: -1, cause: context.DeadlineExceeded}
	case cause != nil:
		return &Error{Text: fmt.Sprintf("ingot %s: %v", c.verb, cause), Code: -1, cause: cause}
	case errors.As(c.err, &exit) && exit.ExitCode() > 0 && told == nil:
		told = complained(c.said.b)
	}
	if told == nil {
		return &Error{Text: cut(fmt.Sprintf("ingot %s ended: %v\n%s", c.verb, c.err, c.said.b)), Code: -1}
	}
	told.Code = exit.ExitCode()
	return told
}

// lines calls each with every line of the child but that of its failure, and
// gives that.
func (c *child) lines(each func([]byte) error) (*Error, error) {
	var told *Error
	rest := &io.LimitedReader{R: c.out, N: maxTotal}
	s := bufio.NewScanner(rest)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		if rest.N <= 0 {
			break
		}
		if told = failure(s.Bytes()); told != nil {
			continue
		}
		if err := each(s.Bytes()); err != nil {
			return nil, err
		}
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong), rest.N <= 0:
		return nil, &Error{Text: fmt.Sprintf("ingot %s answers more than is read of it (%d MiB)", c.verb, maxLine>>20), Code: -1}
	case err != nil:
		return nil, &Error{Text: fmt.Sprintf("read the answer of ingot %s: %v", c.verb, err), Code: -1}
	}
	return told, nil
}

// ask has the program answer, a line at a time. An error of each ends the
// child; errEnough is none.
func (t *Tools) ask(ctx context.Context, each func([]byte) error, args ...string) error {
	c, err := t.start(ctx, t.timeout(), args)
	if err != nil {
		return err
	}
	go func() { // ends with the child, or later by as long as it hangs
		<-c.ended
		time.AfterFunc(drain, func() { _ = c.out.Close() })
	}()
	told, err := c.lines(each)
	switch {
	case errors.Is(err, errEnough):
		c.kill(err)
		return nil
	case err != nil && c.ctx.Err() == nil:
		c.kill(err)
		return err
	}
	return cmp.Or(c.end(told), err)
}
