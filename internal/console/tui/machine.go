package tui

import (
	"context"

	"ingot/internal/job"
)

// Screen is what a person sees and can do at one moment.
type Screen struct {
	Title   string
	Say     []string // sentences
	Facts   []Row
	Choices []Choice
	// Ask, when it is not empty, asks for a line, of which Typed makes a Step.
	Ask   string
	Typed func(string) Step
	// Run is the run that is under way on this screen.
	Run *Run
	// Again makes the screen anew.
	Again func() Step
}

// Row is a fact; with a Total it has a bar behind it.
type Row struct {
	Text        string
	Done, Total int64
}

// Choice is a numbered thing to pick.
type Choice struct {
	Label string
	// Off is why it cannot be picked.
	Off string
	// Box has a tick, or none, in front.
	Box, Ticked bool
	Do          func() Step
}

// Work is done by the world; tell hears of its progress.
type Work func(ctx context.Context, w World, tell func(job.Event)) Step

// Step is what comes of a choice. The zero Step changes nothing.
type Step struct {
	Open    *Screen // above this one
	Replace *Screen // instead of this one
	Back    bool    // to the screen below
	Home    bool    // to the first screen, made anew
	Quit    bool
	Say     string // a message
	Work    Work   // after the above
}

// open, replace and work are the usual steps.
func open(s *Screen) Step    { return Step{Open: s} }
func replace(s *Screen) Step { return Step{Replace: s} }
func work(w Work) Step       { return Step{Work: w} }

// frame is a screen with the choice the cursor stands on.
type frame struct {
	screen *Screen
	at     int
}

// Machine is the state of the program.
type Machine struct {
	stack []frame
	// Message is shown until the next input.
	Message string
	// Busy says that Work is under way: nothing but cancelling is heard.
	Busy bool
	// Ended says that the program is over.
	Ended bool
}

// New makes a Machine at its first screen, and the Work that fills it.
func New() (*Machine, Work) {
	m := &Machine{}
	return m, m.Apply(Step{Open: emptyHome(), Work: loadHome})
}

// Screen is the screen on top.
func (m *Machine) Screen() *Screen { return m.top().screen }

// At is the choice the cursor stands on, counted from 0.
func (m *Machine) At() int { return m.top().at }

func (m *Machine) top() *frame { return &m.stack[len(m.stack)-1] }

// Apply takes a Step and gives the Work it asks for.
func (m *Machine) Apply(s Step) Work {
	m.Busy = false
	m.Message = s.Say
	switch {
	case s.Quit:
		m.Ended = true
		return nil
	case s.Home:
		m.stack = m.stack[:1]
		s.Work = loadHome
	case s.Back && len(m.stack) > 1:
		m.stack = m.stack[:len(m.stack)-1]
	}
	if s.Open != nil {
		m.stack = append(m.stack, frame{screen: s.Open, at: firstOpen(s.Open)})
	}
	if s.Replace != nil {
		m.top().screen = s.Replace
		m.top().at = max(min(m.top().at, len(s.Replace.Choices)-1), 0)
	}
	m.Busy = s.Work != nil
	return s.Work
}

// firstOpen is the first choice that can be picked.
func firstOpen(s *Screen) int {
	for i := range s.Choices {
		if s.Choices[i].Off == "" {
			return i
		}
	}
	return 0
}

// Move moves the cursor by n choices.
func (m *Machine) Move(n int) {
	f := m.top()
	f.at = max(min(f.at+n, len(f.screen.Choices)-1), 0)
}

// Choose picks a choice, counted from 0.
func (m *Machine) Choose(i int) Work {
	s := m.Screen()
	if m.Busy || i < 0 || i >= len(s.Choices) {
		return nil
	}
	m.top().at = i
	if c := &s.Choices[i]; c.Off != "" {
		m.Message = "Not possible: " + c.Off
		return nil
	}
	return m.Apply(s.Choices[i].Do())
}

// Enter gives the line that is asked for.
func (m *Machine) Enter(text string) Work {
	s := m.Screen()
	if m.Busy || s.Ask == "" {
		return nil
	}
	return m.Apply(s.Typed(text))
}

// Back goes to the screen below; on the first one it stays.
func (m *Machine) Back() Work {
	if m.Busy || len(m.stack) == 1 {
		return nil
	}
	return m.Apply(Step{Back: true})
}

// Again makes the screen anew.
func (m *Machine) Again() Work {
	s := m.Screen()
	if m.Busy || s.Again == nil {
		return nil
	}
	return m.Apply(s.Again())
}

// Tell passes on what a run tells.
func (m *Machine) Tell(e job.Event) {
	if r := m.Screen().Run; r != nil {
		r.tell(e)
	}
}

// Run is the progress of a run.
type Run struct {
	Stage string
	Event job.Event // the last progress
	Log   []string  // the last lines
}

// logShown is how many lines of the log of a run are kept.
const logShown = 8

func (r *Run) tell(e job.Event) {
	switch e.Kind {
	case job.Stage:
		r.Stage, r.Event = e.Stage, job.Event{Total: e.Total}
		r.add("[..] " + e.Stage)
	case job.Progress:
		r.Stage, r.Event = e.Stage, e
	case job.Warning:
		r.add("[!] " + e.Text)
	case job.Note:
		r.add(e.Text)
	}
}

func (r *Run) add(line string) {
	if r.Log = append(r.Log, line); len(r.Log) > logShown {
		r.Log = r.Log[1:]
	}
}
