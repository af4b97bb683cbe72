// Package job is what every long run has: events that tell what it does,
// progress with a rate and a time to go, and the warnings that make a success
// a success with warnings.
//
// A Log passes events to one sink, in order, one at a time; the command line
// draws them, a service keeps them. The package decides how often progress is
// told, not how it looks.
package job

import (
	"fmt"
	"sync"
	"time"
)

// Kind says what an event tells.
type Kind string

// The kinds of events.
const (
	Stage    Kind = "stage"    // a stage begins
	Progress Kind = "progress" // so much of it is done
	Note     Kind = "note"     // something worth knowing
	Warning  Kind = "warning"  // something the user should act on
)

// Event is one thing that happened in a run.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   Kind      `json:"kind"`
	Stage  string    `json:"stage,omitempty"`  // image, verify, restore, check
	Object string    `json:"object,omitempty"` // what of it is under way
	Done   int64     `json:"done_bytes,omitempty"`
	Total  int64     `json:"total_bytes,omitempty"`
	Rate   int64     `json:"bytes_per_second,omitempty"`
	// Left is the time to go in seconds; it is 0 when nobody can tell.
	Left int64  `json:"seconds_left,omitempty"`
	Text string `json:"text,omitempty"`
}

// Log is the voice of one run. It may be used by several goroutines.
type Log struct {
	mu       sync.Mutex
	sink     func(Event)
	now      func() time.Time
	warnings []string
}

// NewLog makes a Log that tells sink, which may be nil.
func NewLog(sink func(Event)) *Log {
	if sink == nil {
		sink = func(Event) {}
	}
	return &Log{sink: sink, now: time.Now}
}

func (l *Log) tell(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = l.now()
	if e.Kind == Warning {
		l.warnings = append(l.warnings, e.Text)
	}
	l.sink(e)
}

// Note tells something worth knowing.
func (l *Log) Note(format string, args ...any) {
	l.tell(Event{Kind: Note, Text: fmt.Sprintf(format, args...)})
}

// Warn tells something the user should act on; it is kept for the report.
func (l *Log) Warn(format string, args ...any) {
	l.tell(Event{Kind: Warning, Text: fmt.Sprintf(format, args...)})
}

// Warnings are all that were told so far.
func (l *Log) Warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.warnings...)
}

// Stage begins a stage of total bytes.
func (l *Log) Stage(name string, total int64) *Meter {
	l.tell(Event{Kind: Stage, Stage: name, Total: total})
	now := l.now()
	return &Meter{log: l, stage: name, total: total, last: now, points: []point{{now, 0}}}
}

const (
	// tellEvery is the least time between two progress events.
	tellEvery = 200 * time.Millisecond
	// window is how far back the rate looks.
	window = 10 * time.Second
)

type point struct {
	at   time.Time
	done int64
}

// Meter counts the bytes of a stage. It may be used by several goroutines.
type Meter struct {
	log   *Log
	stage string
	total int64

	mu     sync.Mutex
	object string
	done   int64
	last   time.Time
	points []point // of the window, oldest first
}

// Object names what of the stage is under way from now on.
func (m *Meter) Object(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.object = name
	m.tell()
}

// Add counts n more bytes as done.
func (m *Meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if m.log.now().Sub(m.last) >= tellEvery {
		m.tell()
	}
}

// End tells the last state of the stage.
func (m *Meter) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell()
}

func (m *Meter) tell() {
	now := m.log.now()
	m.last = now
	m.points = append(m.points, point{now, m.done})
	for len(m.points) > 2 && now.Sub(m.points[0].at) > window {
		m.points = m.points[1:]
	}
	e := Event{Kind: Progress, Stage: m.stage, Object: m.object, Done: m.done, Total: m.total}
	if dt := now.Sub(m.points[0].at).Seconds(); dt > 0 {
		e.Rate = int64(float64(m.done-m.points[0].done) / dt)
	}
	if e.Rate > 0 && m.total > m.done {
		e.Left = (m.total-m.done)/e.Rate + 1
	}
	m.log.tell(e)
}
