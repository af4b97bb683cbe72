package tui

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"ingot/internal/job"
	"ingot/internal/service"
)

// World is what Work works on.
type World interface {
	// Run runs the program with --json. An exit code other than 0 gives a
	// *Failure, beside the Answer there was.
	Run(ctx context.Context, tell func(job.Event), args ...string) (*Answer, error)
	Status(ctx context.Context) (service.Status, error)
	Runs(ctx context.Context) ([]service.Run, error)
	Log(ctx context.Context, id uint64) ([]service.Line, error)
	// Exists says whether there is something of that name.
	Exists(path string) bool
}

// Answer is what a child told.
type Answer struct {
	Objects []json.RawMessage // lines of its output that are no events
	More    int               // objects beyond mostObjects
	Said    []string          // lines of its complaints
}

// Failure is the end of a child that did not do all it was asked for.
type Failure struct {
	Text string `json:"error"`
	Hint string `json:"hint"`
	Code int    `json:"exit_code"`
}

func (f *Failure) Error() string { return f.Text }

const (
	mostObjects = 20000   // kept of an answer
	mostSaid    = 200     // lines of complaints
	longestLine = 4 << 20 // bytes
	grace       = time.Minute
)

// Program is the World of a real machine: the program itself as a child, and
// the service.
type Program struct {
	Path   string   // of the program
	Before []string // arguments before all others: where passwords come from
	Client *service.Client
}

// Run implements World. The child has no terminal, so it never asks. When ctx ends
// it is asked to stop, and killed after a minute.
func (p *Program) Run(ctx context.Context, tell func(job.Event), args ...string) (*Answer, error) {
	cmd := exec.CommandContext(ctx, p.Path, append(append([]string{"--json"}, p.Before...), args...)...)
	apart(cmd)
	cmd.Cancel = func() error { return stop(cmd.Process) }
	cmd.WaitDelay = grace
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	a := &Answer{}
	var fail Failure
	var readers sync.WaitGroup
	readers.Go(func() { eachLine(out, func(line []byte) { a.take(line, &fail, tell) }) })
	readers.Go(func() { eachLine(errs, a.complain) })
	readers.Wait()
	return a, ended(ctx, cmd.Wait(), a, &fail)
}

// ended judges the end of a child.
func ended(ctx context.Context, err error, a *Answer, fail *Failure) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &Failure{Text: "cancelled", Code: 130}
	case !errors.As(err, &exit):
		return err
	}
	fail.Code = exit.ExitCode()
	if fail.Text == "" && len(a.Said) > 0 {
		fail.Text = a.Said[len(a.Said)-1]
	}
	if fail.Text == "" {
		fail.Text = err.Error()
	}
	return fail
}

// take takes a line of the output: an event, the object a failure ends with, or
// an object of the answer.
func (a *Answer) take(line []byte, fail *Failure, tell func(job.Event)) {
	var kind struct {
		Kind   job.Kind `json:"kind"`
		Status string   `json:"status"`
		Code   int      `json:"exit_code"`
	}
	if json.Unmarshal(line, &kind) != nil {
		return
	}
	switch {
	case kind.Kind == job.Stage, kind.Kind == job.Progress, kind.Kind == job.Note, kind.Kind == job.Warning:
		var e job.Event
		if json.Unmarshal(line, &e) == nil && tell != nil {
			tell(e)
		}
	case kind.Status == "failed" && kind.Code != 0:
		_ = json.Unmarshal(line, fail)
	case len(a.Objects) < mostObjects:
		a.Objects = append(a.Objects, bytes.Clone(line))
	default:
		a.More++
	}
}

func (a *Answer) complain(line []byte) {
	if len(a.Said) < mostSaid {
		a.Said = append(a.Said, string(line))
	}
}

// eachLine calls fn with each line of r; what is longer than longestLine is read
// and dropped.
func eachLine(r io.Reader, fn func([]byte)) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, longestLine)
	for s.Scan() {
		fn(s.Bytes())
	}
	_, _ = io.Copy(io.Discard, r)
}

// objects reads the objects of an answer as T.
func objects[T any](a *Answer) ([]T, error) {
	out := []T{}
	if a == nil {
		return out, nil
	}
	for _, raw := range a.Objects {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return out, fmt.Errorf("answer of the program: %w", err)
		}
		out = append(out, v)
	}
	return out, nil
}

// last reads the last object of an answer as T; false when there is none.
func last[T any](a *Answer) (v T, ok bool) {
	if a == nil || len(a.Objects) == 0 {
		return v, false
	}
	return v, json.Unmarshal(a.Objects[len(a.Objects)-1], &v) == nil
}

// Status implements World.
func (p *Program) Status(ctx context.Context) (service.Status, error) { return p.Client.Status(ctx) }

// runsShown is how many runs of the history are shown.
const runsShown = 100

// Runs implements World.
func (p *Program) Runs(ctx context.Context) ([]service.Run, error) {
	return p.Client.Runs(ctx, service.Filter{Limit: runsShown})
}

// Log implements World; it gives the last lines of the log of a run.
func (p *Program) Log(ctx context.Context, id uint64) ([]service.Line, error) {
	var all []service.Line
	for from := 0; len(all) < mostObjects; {
		l, err := p.Client.Log(ctx, id, from)
		if err != nil {
			return all, err
		}
		all = append(all, l.Lines...)
		if len(l.Lines) == 0 || !l.More {
			break
		}
		from = l.Next
	}
	return all, nil
}

// Exists implements World.
func (p *Program) Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
