package job

import (
	"slices"
	"time"
)

// Status is how a run ended.
type Status string

// The ways a run can end.
const (
	Success Status = "success" // everything that was asked for, without a warning
	Warned  Status = "warning" // the backup is there, and somebody should look at the warnings
	Failed  Status = "failure" // there is no new backup, or not of all that was asked for
	Skipped Status = "skipped" // it was not begun, and that is as it should be: on battery, say
	Stopped Status = "stopped" // somebody interrupted it
)

// Good says whether a run left a backup of all it was to.
func (s Status) Good() bool { return s == Success || s == Warned }

// Report is what a run of a backup definition became: what is kept of it, sent
// to its owner and shown by the service. Sizes are in bytes.
type Report struct {
	Run        string    `json:"run"` // names this run, and no other one on this machine
	Definition string    `json:"definition"`
	Host       string    `json:"host"`
	Status     Status    `json:"status"`
	ExitCode   int       `json:"exit_code"`
	Error      string    `json:"error,omitempty"`
	Hint       string    `json:"hint,omitempty"` // what can be done about the error
	Type       string    `json:"type,omitempty"` // full, diff, inc; the first image's when there are several
	Began      time.Time `json:"began"`
	Ended      time.Time `json:"ended"`
	Folder     string    `json:"folder,omitempty"` // the destination that was taken
	Images     []Image   `json:"images"`
	Warnings   []string  `json:"warnings"`
	Notes      []string  `json:"notes"`
	Log        string    `json:"log,omitempty"` // path of the file of the run's events
}

// Image is one image that a run took.
type Image struct {
	Disk     string `json:"disk"` // path it was read from
	File     string `json:"file"`
	ImageID  string `json:"image_id"`
	Type     string `json:"type"`
	Based    string `json:"based_on,omitempty"` // the file it needs
	Read     int64  `json:"read_bytes"`
	Changed  int64  `json:"changed_bytes"`
	Stored   int64  `json:"stored_bytes"`
	Verified int64  `json:"verified_blocks,omitempty"`
	Bad      int64  `json:"unreadable_bytes,omitempty"`
}

// Took is how long the run was.
func (r *Report) Took() time.Duration { return r.Ended.Sub(r.Began) }

// Read is how much all images of the run read of their sources.
func (r *Report) Read() (n int64) {
	for i := range r.Images {
		n += r.Images[i].Read
	}
	return n
}

// Stored is how large all image files of the run are.
func (r *Report) Stored() (n int64) {
	for i := range r.Images {
		n += r.Images[i].Stored
	}
	return n
}

// Overdue says that a definition has had no successful backup for longer than
// limit, and since when: the end of its last good run of history, or known, the
// moment from which it was to be run, when there is none. A limit of 0 is never
// exceeded. Runs that ended after now, by a clock that was put back, count as
// ended now.
func Overdue(history []Report, known, now time.Time, limit time.Duration) (since time.Time, overdue bool) {
	since = known
	for i := range history {
		if r := &history[i]; r.Status.Good() && r.Ended.After(since) {
			since = r.Ended
		}
	}
	since = slices.MinFunc([]time.Time{since, now}, time.Time.Compare)
	return since, limit > 0 && now.Sub(since) > limit
}
