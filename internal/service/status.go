package service

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"ingot/internal/job"
	"ingot/internal/plan"
)

// Status is the state of the service in a few facts.
type Status struct {
	Version     string             `json:"version"`
	Now         time.Time          `json:"now"`
	Since       time.Time          `json:"since"`
	Paused      bool               `json:"paused"`
	Folder      string             `json:"folder"`   // of the definitions
	Warnings    []string           `json:"warnings"` // of the service itself
	Running     []Job              `json:"running"`
	Waiting     int                `json:"waiting"`
	Definitions []DefinitionStatus `json:"definitions"`
}

// DefinitionStatus is how one definition stands.
type DefinitionStatus struct {
	Name     string    `json:"name"`
	Comment  string    `json:"comment,omitempty"`
	State    string    `json:"state"`             // ready, paused, disabled, refused
	Problem  string    `json:"problem,omitempty"` // why it is refused
	Next     time.Time `json:"next,omitzero"`     // the next run of a schedule of the clock
	NextType plan.Type `json:"next_type,omitempty"`
	LastGood time.Time `json:"last_good,omitzero"`
	Overdue  bool      `json:"overdue,omitempty"` // no good backup for longer than it is to be
	Last     *Run      `json:"last,omitempty"`    // the last run that has ended
	Places   []string  `json:"places"`            // where it may write
	Current  *Run      `json:"current,omitempty"` // the run under way or waiting
}

// Job is a run that waits or is under way, with what it told last.
type Job struct {
	Run
	Stage    string     `json:"stage,omitempty"`
	Progress *job.Event `json:"progress,omitempty"`
}

// status gathers the facts.
func (s *Service) status() (Status, error) {
	last, err := s.lastRuns()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock.Now()
	st := Status{
		Version: s.opts.Version, Now: now, Since: s.started, Paused: s.eng.paused, Folder: s.shelf.dir, Warnings: []string{},
		Running: []Job{}, Definitions: []DefinitionStatus{}, Waiting: len(s.eng.queue),
	}
	if w := s.record.warning(); w != "" {
		st.Warnings = append(st.Warnings, w)
	} else if err != nil {
		st.Warnings = append(st.Warnings, err.Error())
	}
	if s.shelf.problem != nil {
		st.Warnings = append(st.Warnings, fmt.Sprintf("the folder of definitions cannot be read: %v", s.shelf.problem))
	}
	for _, j := range s.jobs() {
		if j.State == Running {
			st.Running = append(st.Running, j)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.shelf.entries)) {
		st.Definitions = append(st.Definitions, s.definition(s.shelf.entries[name], last[name], now))
	}
	return st, nil
}

// lastRuns gives the last ended run of each definition, of the newest of the
// history.
func (s *Service) lastRuns() (map[string]*Run, error) {
	out := map[string]*Run{}
	err := s.record.with(func(h *history) error {
		runs, err := h.runs(Filter{Limit: mostRuns})
		for i := range runs {
			if r := &runs[i]; r.State.Ended() && out[r.Definition] == nil {
				out[r.Definition] = r
			}
		}
		return err
	})
	return out, err
}

// definition is how one definition stands. It is called with s.mu held.
func (s *Service) definition(e *Entry, last *Run, now time.Time) DefinitionStatus {
	d := DefinitionStatus{Name: e.Name, State: "ready", Last: last, Places: []string{}}
	standing := s.eng.standings[e.Name]
	d.LastGood = standing.LastGood
	for _, r := range s.eng.unfinished() {
		if r.Definition == e.Name {
			d.Current = &r
			break
		}
	}
	switch {
	case e.Problem != nil:
		d.State, d.Problem = "refused", e.Problem.Error()
		return d
	case e.Def.Disabled:
		d.State = "disabled"
	case standing.Paused:
		d.State = "paused"
	}
	d.Comment, d.Places = e.Def.Comment, places(e.Def)
	if d.State == "ready" {
		d.Next, d.NextType = nextRun(e.Def, s.eng.machine.Host, now)
	}
	_, d.Overdue = job.Overdue(nil, standing.since(), now, days(e.Def.Notify.AlertAfter))
	return d
}

// nextRun is the next run by the clock, with its delay, and its type: the
// strongest of those that fall together.
func nextRun(d *plan.Definition, host string, now time.Time) (next time.Time, typ plan.Type) {
	loc, err := d.Location(nil)
	if err != nil {
		return next, ""
	}
	for i := range d.Schedules {
		s := &d.Schedules[i]
		at := s.Next(now, loc)
		if s.Event() || at.IsZero() {
			continue
		}
		at = at.Add(d.Delay(s, at, host))
		t := s.Type
		if t == "" {
			t = plan.Incremental
		}
		if next.IsZero() || at.Before(next) || at.Equal(next) && rank(t) > rank(typ) {
			next, typ = at, t
		}
	}
	return next, typ
}

// jobs are the runs under way and those that wait. It is called with s.mu held.
func (s *Service) jobs() []Job {
	out := []Job{}
	for _, r := range s.eng.unfinished() {
		j := Job{Run: r}
		if l := s.live[r.ID]; l != nil {
			j.Stage, j.Progress = l.stage, l.event
		}
		out = append(out, j)
	}
	return out
}

// runName is the number of a run as a name.
func runName(id uint64) string { return fmt.Sprintf("%d", id) }
