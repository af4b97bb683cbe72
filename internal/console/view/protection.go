package view

import (
	"fmt"
	"strings"
	"time"

	"ingot/internal/service"
)

// Sentence is what a page says first: a mark, a sentence, and what stands below.
type Sentence struct {
	Mark, Say, More string
}

// Protection answers whether this machine is protected, by what the service
// knows. The worst comes first, and nothing is called verified.
func Protection(st *service.Status) Sentence {
	var refused, overdue, failed, never []string
	var good, next time.Time
	active := 0
	for i := range st.Definitions {
		d := &st.Definitions[i]
		switch {
		case d.State == "refused":
			refused = append(refused, Text(d.Name))
			continue
		case d.State == "disabled":
			continue
		}
		active++
		switch {
		case d.Overdue:
			overdue = append(overdue, Text(d.Name))
		case d.LastGood.IsZero():
			never = append(never, Text(d.Name))
		case d.Last != nil && !d.Last.State.Good() && d.Last.State != service.Skipped:
			failed = append(failed, Text(d.Name))
		}
		if d.LastGood.After(good) {
			good = d.LastGood
		}
		if !d.Next.IsZero() && (next.IsZero() || d.Next.Before(next)) {
			next = d.Next
		}
	}
	more := times(good, next, st.Now)
	switch {
	case len(st.Definitions) == 0:
		return Sentence{"unknown", "Nothing is protected yet.", "There is no backup that runs by itself. If you have images already, open their folder under Restore points."}
	case len(refused) > 0:
		return Sentence{"fail", "A backup is refused and does not run: " + strings.Join(refused, ", ") + ".", more}
	case len(overdue) > 0:
		return Sentence{"fail", "There has been no good backup for too long: " + strings.Join(overdue, ", ") + ".", more}
	case active == 0:
		return Sentence{"warn", "No backup runs: all are disabled.", more}
	case len(failed) > 0:
		return Sentence{"warn", "The last run did not succeed: " + strings.Join(failed, ", ") + ".", more}
	case len(never) > 0:
		return Sentence{"unknown", "There is no backup yet of " + strings.Join(never, ", ") + ".", more}
	case st.Paused:
		return Sentence{"warn", "The queue is held: no backup begins.", more}
	}
	return Sentence{"ok", "This machine is backed up.", more}
}

// times tells of the last good backup and the next run.
func times(good, next, now time.Time) string {
	var out []string
	if !good.IsZero() {
		out = append(out, "The last good backup is "+Age(now.Sub(good))+" old.")
	}
	if !next.IsZero() {
		out = append(out, "The next one runs "+next.Local().Format("Mon 2 Jan, 15:04")+".")
	} else {
		out = append(out, "None is scheduled.")
	}
	return strings.Join(out, " ")
}

// Age is a time that has passed, in the unit that says most.
func Age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return Count(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return Count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return Count(int(d/time.Hour), "hour")
	}
	return Count(int(d/(24*time.Hour)), "day")
}

// StateMark is the mark of a run's state, and StateWord its word.
func StateMark(s service.State) string {
	switch s {
	case service.Success:
		return "ok"
	case service.Warned:
		return "warn"
	case service.Failed:
		return "fail"
	case service.Running:
		return "run"
	case service.Queued:
		return "unknown"
	}
	return "off"
}

// StateWord says how a run stands.
func StateWord(s service.State) string {
	words := map[service.State]string{
		service.Success: "done", service.Warned: "done, with warnings", service.Failed: "failed", service.Running: "running", service.Queued: "waiting",
		service.Skipped: "skipped", service.Stopped: "cancelled", service.Interrupted: "interrupted", service.Missed: "missed",
	}
	if w, ok := words[s]; ok {
		return w
	}
	return Text(string(s))
}

// Progress is how far a job is.
type Progress struct {
	Percent int    `json:"percent"` // -1: nobody knows
	Say     string `json:"say"`
}

// ProgressOf puts the progress of a job into words.
func ProgressOf(j *service.Job) Progress {
	e := j.Progress
	switch {
	case j.State == service.Queued:
		return Progress{-1, "It waits for its turn."}
	case e == nil && j.Stage == "":
		return Progress{-1, "It begins."}
	case e == nil || e.Total <= 0:
		return Progress{-1, "Stage: " + Text(j.Stage)}
	}
	p := Progress{Percent: int(min(e.Done*100/e.Total, 100)), Say: fmt.Sprintf("%s: %s of %s", Text(e.Stage), Bytes(e.Done), Bytes(e.Total))}
	if e.Rate > 0 {
		p.Say += fmt.Sprintf(", %s a second", Bytes(e.Rate))
	}
	if e.Left > 0 {
		p.Say += ", about " + Age(time.Duration(e.Left)*time.Second) + " left"
	}
	return p
}
