package service

import (
	"time"

	"ingot/internal/job"
	"ingot/internal/plan"
)

// State is where a run stands.
type State string

// The states of a run. Those from Success on are final; job.Status has the same
// words for the ends a run can tell itself.
const (
	Queued      State = "queued"      // waits for its turn
	Running     State = "running"     // its process is at work
	Success     State = "success"     // the backup is there
	Warned      State = "warning"     // the backup is there, and somebody should look at the warnings
	Failed      State = "failure"     // there is no backup, or not of all that was asked for
	Skipped     State = "skipped"     // it was not begun, and that is as it should be
	Stopped     State = "stopped"     // somebody cancelled it
	Interrupted State = "interrupted" // the service or the machine ended while it ran
	Missed      State = "missed"      // its time passed while nothing could run, and it is not made up
)

// Ended says whether the state is final.
func (s State) Ended() bool { return s != Queued && s != Running }

// Good says whether the run left a backup.
func (s State) Good() bool { return s == Success || s == Warned }

// Cause says why a run came to be.
type Cause string

// The causes.
const (
	BySchedule Cause = "schedule" // its time, or what it waits for, had come
	ByMissed   Cause = "missed"   // its time had passed: made up
	ByUser     Cause = "user"     // somebody asked for it
	ByResume   Cause = "resume"   // an earlier run was interrupted
	ByRetry    Cause = "retry"    // an earlier run failed
)

// Run is one run of a definition, or an errand: what the history keeps and the interface
// gives out. Times are those of the clock of the service.
type Run struct {
	ID         uint64    `json:"id"`               // grows with each run and is never used twice
	Definition string    `json:"definition"`       // "" for an errand
	Errand     *Errand   `json:"errand,omitempty"` // what it does without a definition
	Type       plan.Type `json:"type,omitempty"`   // asked for; "" leaves it to the plan
	Cause      Cause     `json:"cause"`
	Why        string    `json:"why,omitempty"` // of the schedule: "daily at 02:30"
	By         string    `json:"by,omitempty"`  // who asked for it
	State      State     `json:"state"`

	Due    time.Time `json:"due,omitzero"` // the moment of the schedule
	Queued time.Time `json:"queued"`
	Began  time.Time `json:"began,omitzero"`
	Ended  time.Time `json:"ended,omitzero"`

	// Merged counts further moments of schedules that this run stands for.
	Merged int `json:"merged,omitempty"`
	// Of is the run that this one resumes or tries again, and Attempt how many
	// of them came before in a row.
	Of      uint64 `json:"of,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	// A run that waits does so until NotBefore, and one that could not begin
	// is given up after Until.
	NotBefore time.Time `json:"not_before,omitzero"`
	Until     time.Time `json:"until,omitzero"`

	Process *Process `json:"process,omitempty"` // while it runs

	ExitCode int         `json:"exit_code,omitempty"`
	Error    string      `json:"error,omitempty"`
	Hint     string      `json:"hint,omitempty"`
	Report   *job.Report `json:"report,omitempty"`
}

// Process names a process so that another one, which got its number later, is
// not taken for it.
type Process struct {
	PID   int    `json:"pid"`
	Began string `json:"began"` // as the system counts it
}

// Outcome is how the process of a run ended.
type Outcome struct {
	State    State
	ExitCode int
	Error    string
	Hint     string
	Report   *job.Report
}

// The most the history keeps of one report.
const (
	keptLines = 100
	keptBytes = 2 << 10
)

// kept cuts a report down to what the history keeps; the log has all of it.
func kept(r *job.Report) *job.Report {
	if r == nil {
		return nil
	}
	c := *r
	c.Error, c.Hint = cut(c.Error), cut(c.Hint)
	c.Warnings, c.Notes = keptTexts(c.Warnings), keptTexts(c.Notes)
	c.Images = append([]job.Image{}, c.Images[:min(len(c.Images), keptLines)]...)
	return &c
}

func keptTexts(lines []string) []string {
	out := []string{}
	for _, l := range lines[:min(len(lines), keptLines)] {
		out = append(out, cut(l))
	}
	return out
}

func cut(s string) string {
	if len(s) > keptBytes {
		return s[:keptBytes] + "..."
	}
	return s
}
