package result

import "time"

// Preview is the calendar of a definition: what "plan preview --json" prints.
type Preview struct {
	Name   string        `json:"name"`
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	Cut    bool          `json:"cut,omitempty"` // there are more runs than are listed
	Runs   []PreviewRun  `json:"runs"`
	Held   []PreviewHeld `json:"held"` // the points in time there are at its end
	Events []string      `json:"events"`
}

// PreviewRun is a run of a Preview, with what retention does after it and how
// many points in time there are then.
type PreviewRun struct {
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Deleted int       `json:"deleted"`
	Merged  int       `json:"merged"`
	Points  int       `json:"points"`
}

// PreviewHeld is a point in time that is there at the end of a Preview.
type PreviewHeld struct {
	Time time.Time `json:"time"`
	Type string    `json:"type"`
}
