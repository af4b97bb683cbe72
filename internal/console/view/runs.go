package view

import (
	"strings"
	"time"

	"ingot/internal/service"
)

// RunRow is a run as a page shows it.
type RunRow struct {
	ID                uint64
	Mark, Result      string
	Title, Definition string
	Type              string
	When, RFC         string
	Took              string
	Stored            int64
	Has               bool   // images, of which Stored is the size
	Line              string // the error or the first warning
	Ended             bool
}

// RunRowOf is a run at now.
func RunRowOf(r *service.Run, now time.Time) RunRow {
	at := moment(r)
	row := RunRow{ID: r.ID, Mark: ResultMark(r.State), Result: ResultWord(r.State), Title: r.Title(), Definition: r.Definition, Type: RunType(r),
		When: At(at, now), RFC: at.Format(time.RFC3339), Took: Took(r.Began, r.Ended), Ended: r.State.Ended(), Line: r.Error}
	if row.Line == "" {
		row.Line = firstWarning(r)
	}
	if r.Report != nil && len(r.Report.Images) > 0 {
		row.Has, row.Stored = true, r.Report.Stored()
	}
	return row
}

// RunType says what a run makes.
func RunType(r *service.Run) string {
	if r.Errand != nil {
		return Text(r.Errand.Verb)
	}
	if t := typeOf(r); t != "" {
		return Kind(t)
	}
	return "as the plan decides"
}

// ResultMark is the mark of a state.
func ResultMark(s service.State) string {
	switch s {
	case service.Success:
		return "ok"
	case service.Warned, service.Interrupted, service.Missed:
		return "warn"
	case service.Failed:
		return "fail"
	case service.Running:
		return "run"
	case service.Skipped, service.Stopped:
		return "off"
	}
	return "unknown"
}

// ResultWord is the word beside it.
func ResultWord(s service.State) string {
	switch s {
	case service.Success:
		return "good"
	case service.Warned:
		return "good, with warnings"
	case service.Failed:
		return "failed"
	case service.Stopped:
		return "cancelled"
	case service.Running:
		return "under way"
	case service.Queued:
		return "waits"
	}
	return Text(string(s))
}

// Why says how a run came to be.
func Why(r *service.Run) string {
	say := map[service.Cause]string{service.BySchedule: "by its schedule", service.ByMissed: "to make up for a missed one", service.ByUser: "because somebody asked for it",
		service.ByResume: "to go on with an interrupted one", service.ByRetry: "because an earlier one failed"}[r.Cause]
	if r.Cause == service.ByUser && r.By != "" {
		say = "asked for by " + Text(r.By)
	}
	if r.Why != "" {
		say += " (" + Text(r.Why) + ")"
	}
	return say
}

// RunLead is what the page of an ended run begins with.
func RunLead(r *service.Run, now time.Time) Lead {
	l := Lead{Mark: ResultMark(r.State), Say: Text(r.Title()) + ": " + ResultWord(r.State)}
	var s []string
	if !r.Began.IsZero() {
		s = append(s, "Began "+At(r.Began, now))
	}
	if t := Took(r.Began, r.Ended); t != "" {
		s = append(s, "took "+t)
	}
	if w := Why(r); w != "" {
		s = append(s, w)
	}
	if len(s) > 0 {
		l.Sub = strings.Join(s, ", ") + "."
	}
	return l
}

// Kept is what cancelling a run leaves.
func Kept(r *service.Run) string {
	if r.Errand != nil && r.Errand.Verb == service.Restore {
		return "The target is written only in part: it will not start until a restore completes."
	}
	if r.Errand != nil {
		return "Nothing is changed by it."
	}
	return "Finished backups are not touched. What was copied for this one is kept where the place allows it, and the next run goes on from there."
}
