package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"ingot/internal/job"
	"ingot/internal/machine"
)

// console is where a command talks to.
type console struct {
	in        io.Reader
	out, errs io.Writer
	json      bool
	lines     *bufio.Reader // of in, once something was asked
	painter   *painter      // of the run under way, when there is a terminal
	passwords passwordFlags
	acts      machine.Acts // what can become of the machine after a run; nil are those of the system
	known     []byte       // the password, so that a person is asked once
}

// emit prints one JSON object on a line.
func (c *console) emit(v any) error {
	return json.NewEncoder(c.out).Encode(v)
}

// terminal says whether w is a screen somebody looks at.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// log makes the Log of a run: JSON events on the output, a line that is drawn
// anew on a terminal, or a plain line now and then.
func (c *console) log() *job.Log { return job.NewLog(c.sink()) }

// sink is what a Log of this console tells.
func (c *console) sink() func(job.Event) {
	switch {
	case c.json:
		return func(e job.Event) { _ = c.emit(e) }
	case terminal(c.errs):
		c.painter = &painter{w: c.errs}
		return c.painter.draw
	}
	return (&printer{w: c.errs, every: 10 * time.Second}).print
}

// painter keeps one line of progress on a terminal.
type painter struct {
	w     io.Writer
	drawn bool
}

func (p *painter) draw(e job.Event) {
	if e.Kind == job.Progress {
		fmt.Fprintf(p.w, "\r\x1b[K%s", progressLine(e))
		p.drawn = true
		return
	}
	p.end()
	if text := eventText(e); text != "" {
		fmt.Fprintln(p.w, text)
	}
}

// end leaves the line as it is and goes on below it. It takes a nil painter.
func (p *painter) end() {
	if p != nil && p.drawn {
		fmt.Fprintln(p.w)
		p.drawn = false
	}
}

// printer prints a plain line when something happens, and of progress one
// every so often.
type printer struct {
	w     io.Writer
	every time.Duration
	last  time.Time
}

func (p *printer) print(e job.Event) {
	if e.Kind == job.Progress {
		if e.Time.Sub(p.last) < p.every {
			return
		}
		fmt.Fprintln(p.w, progressLine(e))
	} else if text := eventText(e); text != "" {
		fmt.Fprintln(p.w, text)
	}
	p.last = e.Time
}

func eventText(e job.Event) string {
	switch e.Kind {
	case job.Warning:
		return "Warning: " + e.Text
	case job.Note:
		return e.Text
	}
	return ""
}

// progressLine is "image  42%  310 MB/s  0:12 left  partition 3 (NTFS)".
func progressLine(e job.Event) string {
	percent := int64(100)
	if e.Total > 0 {
		percent = int64(float64(e.Done) / float64(e.Total) * 100)
	}
	line := fmt.Sprintf("%-8s%3d%%  %s of %s", e.Stage, min(percent, 100), size(e.Done), size(e.Total))
	if e.Rate > 0 {
		line += fmt.Sprintf("  %.0f MB/s", float64(e.Rate)/1e6)
	}
	if e.Left > 0 {
		line += fmt.Sprintf("  %d:%02d left", e.Left/60, e.Left%60)
	}
	if e.Object != "" {
		line += "  " + e.Object
	}
	return line
}

// note prints a line for people; with --json it is left out.
func (c *console) note(format string, args ...any) {
	c.painter.end()
	if !c.json {
		fmt.Fprintf(c.out, format+"\n", args...)
	}
}

// confirm asks a question that only the word yes answers. An interrupt answers
// it too.
func (c *console) confirm(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(c.errs, "%s\nType yes to go on: ", question)
	answer := make(chan string, 1)
	go func() { // ends with the program, when nobody answers
		if c.lines == nil {
			c.lines = bufio.NewReader(c.in)
		}
		line, _ := c.lines.ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		return strings.EqualFold(strings.TrimSpace(line), "yes"), ctx.Err()
	case <-ctx.Done():
		fmt.Fprintln(c.errs)
		return false, ctx.Err()
	}
}

// fail tells the error a command ends with, and what to do about it.
func (c *console) fail(err error) {
	// These have a report already, which says it.
	var reported reportedError
	if c.json && !errors.Is(err, errUnreadable) && !errors.Is(err, errPartly) && !errors.As(err, &reported) {
		_ = c.emit(struct {
			Status string `json:"status"`
			Error  string `json:"error"`
			Hint   string `json:"hint,omitempty"`
			Code   int    `json:"exit_code"`
		}{"failed", err.Error(), hint(err), exitCode(err)})
	}
	c.painter.end()
	fmt.Fprintf(c.errs, "ingot: %v\n", err)
	if h := hint(err); h != "" {
		fmt.Fprintf(c.errs, "What to do: %s\n", h)
	}
}

// size is a number of bytes for people.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
