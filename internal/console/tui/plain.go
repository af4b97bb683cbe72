package tui

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"ingot/internal/job"
)

// plain asks numbered questions, line by line.
type plain struct {
	m     *Machine
	w     World
	out   io.Writer
	lines <-chan string
	held  []string // lines that came while something ran
	from  int      // the first choice that is shown
}

// plainWidth is how long a line is at most; choicesShown how many choices are
// shown at a time, and factsShown how many lines above them.
const (
	plainWidth   = 100
	choicesShown = 20
	factsShown   = 200
)

// Plain runs the program line by line: for screen readers, over the telephone,
// or with a script as input. It ends with its input.
func Plain(ctx context.Context, w World, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m, first := New()
	p := &plain{m: m, w: w, out: out, lines: readLines(ctx, in)}
	p.work(ctx, first)
	for !m.Ended && ctx.Err() == nil {
		p.show()
		line, ok := p.line(ctx)
		if !ok {
			break
		}
		p.work(ctx, p.input(line))
	}
	return ctx.Err()
}

// readLines gives the lines of in; the goroutine that reads ends with in, or with
// the program when nobody types any more.
func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(in)
		for s.Scan() {
			select {
			case lines <- strings.TrimSpace(s.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// line is the next line; false when there is none.
func (p *plain) line(ctx context.Context) (string, bool) {
	if len(p.held) > 0 {
		line := p.held[0]
		p.held = p.held[1:]
		return line, true
	}
	select {
	case line, ok := <-p.lines:
		return line, ok
	case <-ctx.Done():
		return "", false
	}
}

// input makes of a line what it asks for.
func (p *plain) input(line string) Work {
	m := p.m
	switch line {
	case "q":
		return m.Apply(Step{Quit: true})
	case "b":
		return m.Back()
	case "h":
		return m.Home()
	case "?":
		return m.Help()
	}
	if m.Screen().Ask != "" {
		return m.Enter(line)
	}
	switch line {
	case "r":
		return m.Again()
	case "m":
		p.from += choicesShown
		return nil
	}
	n, err := strconv.Atoi(line)
	if err != nil || n < 1 || n > len(m.Screen().Choices) {
		if m.Message = "There is nothing to choose here: b goes back."; len(m.Screen().Choices) == 0 {
			return nil
		}
		m.Message = fmt.Sprintf("Type a number from 1 to %d, or ? for help.", len(m.Screen().Choices))
		return nil
	}
	p.from = 0
	return m.Choose(n - 1)
}

// show prints the screen.
func (p *plain) show() {
	s := p.m.Screen()
	p.print("")
	p.print("== " + clean(s.Title))
	lines := head(s, plainWidth, asciiGlyphs())
	if n := len(lines) - factsShown; n > 0 {
		p.print(fmt.Sprintf("(%d earlier lines are left out)", n))
		lines = lines[n:]
	}
	for _, line := range lines {
		p.print(line)
	}
	if p.from >= len(s.Choices) {
		p.from = 0
	}
	end := min(p.from+choicesShown, len(s.Choices))
	for i := p.from; i < end; i++ {
		p.print(choiceText(i, &s.Choices[i]))
	}
	if end < len(s.Choices) {
		p.print(fmt.Sprintf("    and %d more: m shows them", len(s.Choices)-end))
	}
	if p.m.Message != "" {
		p.print(clean(p.m.Message))
		p.m.Message = ""
	}
	p.prompt(s)
}

func (p *plain) prompt(s *Screen) {
	if s.Ask != "" {
		fmt.Fprintf(p.out, "%s (b back): ", clean(s.Ask))
		return
	}
	fmt.Fprint(p.out, "Number (b back, ? help, q leave): ")
}

func (p *plain) print(line string) { fmt.Fprintln(p.out, line) }

// work does Work, and what comes of it, until there is none; a line c cancels.
func (p *plain) work(ctx context.Context, w Work) {
	for w != nil {
		step, s := p.do(ctx, w), p.m.Screen()
		w = p.m.Apply(step)
		if p.m.Screen() != s {
			p.from = 0
		}
	}
}

func (p *plain) do(ctx context.Context, w Work) Step {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if p.m.Screen().Run != nil {
		p.print("")
		p.print("== " + clean(p.m.Screen().Title))
		p.print("(c and Enter cancel it)")
	} else {
		p.print("[..] one moment")
	}
	events, done := make(chan job.Event), make(chan Step, 1)
	go func() { done <- w(ctx, p.w, func(e job.Event) { events <- e }) }()
	lines := p.lines
	if p.m.Screen().Run != nil && len(p.held) > 0 && p.held[0] == "c" { // it came before the run had begun
		p.held = p.held[1:]
		lines = p.heard("c", true, cancel)
	}
	for {
		if len(p.held) >= mostAhead {
			lines = nil // the others wait where they are
		}
		select {
		case e := <-events:
			p.tell(e)
		case line, ok := <-lines:
			lines = p.heard(line, ok, cancel)
		case step := <-done:
			return step
		}
	}
}

// heard takes a line that came while something runs, and gives where the next
// one comes from.
func (p *plain) heard(line string, ok bool, cancel func()) <-chan string {
	switch {
	case !ok:
		return nil // what runs goes on to its end
	case line == "c" && p.m.Screen().Run != nil:
		p.print("Cancelling ...")
		cancel()
	default:
		p.held = append(p.held, line)
	}
	return p.lines
}

// tell prints what a run tells, of its progress each tenth.
func (p *plain) tell(e job.Event) {
	r := p.m.Screen().Run
	if r == nil {
		return
	}
	before := r.Event
	p.m.Tell(e)
	if e.Kind == job.Progress {
		if worth(before, e) {
			p.print(fmt.Sprintf("%s: %s", clean(e.Stage), progressText(e)))
		}
		return
	}
	if n := len(r.Log); n > 0 {
		p.print(clean(r.Log[n-1]))
	}
}
