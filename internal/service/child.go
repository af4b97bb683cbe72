package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"ingot/internal/job"
)

// task is a process to be run.
type task struct {
	argv  []string
	grace time.Duration // from the request to end until it is made to
	began func(Process) // called once it runs
	tell  func(job.Event)
	log   *runLog
}

// exitOf are the states that the exit codes of the program stand for when there
// is no report, as the help of the program lists them.
var exitOf = map[int]State{0: Success, 6: Warned, 130: Stopped}

// run runs the process of t to its end. When ctx ends it is asked to stop, and
// killed after t.grace. Whatever the process does, run returns, and no process
// of its group is left.
func (t *task) run(ctx context.Context) Outcome {
	cmd := exec.Command(t.argv[0], t.argv[1:]...)
	out, outW, err := os.Pipe()
	if err != nil {
		return failure("start", err)
	}
	errs, errsW, err := os.Pipe()
	if err != nil {
		return failure("start", errors.Join(err, out.Close(), outW.Close()))
	}
	cmd.Stdout, cmd.Stderr = outW, errsW
	l := t.launch(ctx, cmd)
	_ = outW.Close()
	_ = errsW.Close()
	return t.attend(ctx, l, out, errs)
}

// launched is a process under way, or the error of its start.
type launched struct {
	err   error
	ended chan error // what Wait gave
	group *group
}

// launch starts cmd from a thread of its own, which lives as long as the
// process: on Linux the end of the thread, which is also that of the service,
// ends the process.
func (t *task) launch(ctx context.Context, cmd *exec.Cmd) *launched {
	l := &launched{ended: make(chan error, 1)}
	started := make(chan error)
	go func() { // ends with the process
		runtime.LockOSThread() // and never unlocks: the thread ends with this
		g, err := startGroup(cmd)
		l.group = g
		started <- err
		if err == nil {
			l.ended <- cmd.Wait()
		}
	}()
	if l.err = <-started; l.err == nil && t.began != nil {
		t.began(Process{cmd.Process.Pid, processBegan(cmd.Process.Pid)})
	}
	return l
}

// attend reads what the process tells until it has ended.
func (t *task) attend(ctx context.Context, l *launched, out, errs *os.File) Outcome {
	defer out.Close()
	defer errs.Close()
	if l.err != nil {
		return failure("start", l.err)
	}
	var report *job.Report
	var said complaint
	outDone, errsDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(outDone)
		eachLine(out, func(line []byte) {
			if r := t.line(line); r != nil {
				report = r
			}
		})
	}()
	go func() {
		defer close(errsDone)
		eachLine(errs, func(line []byte) {
			t.log.add(Line{Kind: "error", Text: string(line)})
			said.add(string(line))
		})
	}()
	err, killed := t.wait(ctx, l)
	l.group.end()
	l.group.release()
	// A process that left the group may still hold the pipes.
	cut := time.AfterFunc(drain, func() { _ = out.Close(); _ = errs.Close() })
	<-outDone
	<-errsDone
	cut.Stop()
	return outcome(ctx, err, killed, report, &said)
}

// drain is how long the output is waited for after the process has ended.
const drain = 5 * time.Second

// wait waits for the process, and sees to it that it ends when ctx does.
func (t *task) wait(ctx context.Context, l *launched) (err error, killed bool) {
	select {
	case err = <-l.ended:
		return err, false
	case <-ctx.Done():
	}
	t.log.say("asked to stop: %v", context.Cause(ctx))
	l.group.stop()
	timer := time.NewTimer(t.grace)
	defer timer.Stop()
	select {
	case err = <-l.ended:
		return err, false
	case <-timer.C:
	}
	t.log.say("killed: it had not ended %s after it was asked to", t.grace)
	l.group.end()
	return <-l.ended, true
}

// line takes a line of the output.
func (t *task) line(data []byte) *job.Report {
	e, r := event(data)
	switch {
	case e != nil:
		if e.Kind != job.Progress {
			t.log.add(Line{Time: e.Time, Kind: string(e.Kind), Stage: e.Stage, Object: e.Object, Text: e.Text})
		}
		if t.tell != nil {
			t.tell(*e)
		}
	case r != nil:
		return r
	case len(strings.TrimSpace(string(data))) > 0:
		t.log.add(Line{Kind: "output", Text: string(data)})
	}
	return nil
}

// eachLine calls fn with each line of r; of a line that is too long, with its
// beginning.
func eachLine(r io.Reader, fn func([]byte)) {
	b := bufio.NewReaderSize(r, maxLine)
	for {
		line, prefix, err := b.ReadLine()
		if err != nil {
			return
		}
		fn(line)
		for prefix && err == nil {
			_, prefix, err = b.ReadLine()
		}
	}
}

// complaint keeps the first and the last lines of what a process complains
// about: those of a crash begin with the reason, others end with it.
type complaint struct{ first, last []string }

// keptOfComplaint is how many lines are kept at either end.
const keptOfComplaint = 4

func (c *complaint) add(s string) {
	if len(c.first) < keptOfComplaint {
		c.first = append(c.first, cut(s))
		return
	}
	if c.last = append(c.last, cut(s)); len(c.last) > keptOfComplaint {
		c.last = c.last[1:]
	}
}

func (c *complaint) String() string {
	return strings.TrimSpace(strings.Join(append(append([]string{}, c.first...), c.last...), "\n"))
}

func failure(doing string, err error) Outcome {
	return Outcome{State: Failed, ExitCode: -1, Error: fmt.Sprintf("%s the process of the run: %v", doing, err)}
}

// outcome judges the end of a process: by its report when there is one, else by
// its exit code.
func outcome(ctx context.Context, err error, killed bool, r *job.Report, said *complaint) Outcome {
	o := Outcome{Report: r}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		o.ExitCode = exit.ExitCode() // -1 for one that a signal ended
	case err != nil:
		o.ExitCode = -1
	}
	state, known := exitOf[o.ExitCode]
	switch {
	case r != nil && o.ExitCode >= 0 && told(r.Status):
		o.State, o.Error, o.Hint = State(r.Status), cut(r.Error), cut(r.Hint)
	case known && state == Success && r != nil && len(r.Warnings) > 0:
		// An errand has a result of its own, with warnings like a report's.
		o.State, o.Report = Warned, &job.Report{Status: job.Warned, Warnings: r.Warnings}
	case known:
		o.State, o.Report = state, nil
	case r != nil && r.Error != "":
		// What the program says when it comes to no report.
		o.State, o.Error, o.Hint, o.Report = Failed, cut(r.Error), cut(r.Hint), nil
	default:
		o.State, o.Error, o.Report = Failed, said.String(), nil
	}
	if o.ExitCode < 0 {
		o.Error = strings.TrimSpace(fmt.Sprintf("the process of the run ended: %v\n%s", err, o.Error))
	}
	if ctx.Err() != nil && !o.State.Good() {
		o.State, o.Error = stoppedBy(ctx), context.Cause(ctx).Error()
		if killed {
			o.Error += "; it did not stop by itself and was killed"
		}
	}
	return o
}

// told says whether s is an end that a report can tell of.
func told(s job.Status) bool {
	return slices.Contains([]job.Status{job.Success, job.Warned, job.Failed, job.Skipped, job.Stopped}, s)
}

// Causes of the end of a run's context.
var (
	errCancelled = errors.New("cancelled")
	errShutdown  = errors.New("the service was shut down")
)

// stoppedBy is the state of a run that was asked to stop.
func stoppedBy(ctx context.Context) State {
	if errors.Is(context.Cause(ctx), errShutdown) {
		return Interrupted
	}
	return Stopped
}
