package view

import (
	"strings"
	"time"

	"ingot/internal/service"
)

// Backup is a definition as a page shows it.
type Backup struct {
	Name, Comment, Mark, State, Problem string
	Good, GoodAt                        string // age of the last good backup, and when it was
	Late                                bool
	Next, NextType                      string
	Cells, CellsSay                     string // the last 30 days
	Places                              []string
	Running                             *service.Run
	Last                                *service.Run
}

// BackupOf is how a definition stands at now.
func BackupOf(d *service.DefinitionStatus, now time.Time) Backup {
	b := Backup{Name: d.Name, Comment: d.Comment, Problem: d.Problem, Late: d.Overdue, Places: d.Places, Running: d.Current, Last: d.Last}
	b.Mark, b.State = standing(d, now)
	b.Good = "none yet"
	if !d.LastGood.IsZero() {
		b.Good, b.GoodAt = Age(now.Sub(d.LastGood))+" ago", At(d.LastGood, now)
		if Verified(d) {
			b.GoodAt += ", verified"
		}
	}
	switch {
	case d.Current != nil && d.Current.State == service.Running:
		b.Next = "runs now"
	case d.Current != nil:
		b.Next = "waits for its turn"
	case d.Next.IsZero():
		b.Next = "none planned"
	default:
		b.Next, b.NextType = At(d.Next, now), Kind(string(d.NextType))
	}
	return b
}

// standing is the mark of a definition and the word beside it.
func standing(d *service.DefinitionStatus, now time.Time) (mark, word string) {
	switch {
	case d.State == "refused":
		return "fail", "refused"
	case d.State != "ready":
		return "off", map[string]string{"paused": "paused", "disabled": "switched off"}[d.State]
	case d.Current != nil && d.Current.State == service.Running:
		if d.Overdue {
			return "run", "under way, overdue"
		}
		return "run", "under way"
	}
	if all := alertsOf(d, now); len(all) > 0 {
		switch {
		case d.Overdue:
			return "fail", "overdue"
		case all[0].Mark == "unknown":
			return "unknown", "no backup yet"
		}
		return all[0].Mark, ResultWord(d.Last.State)
	}
	return "ok", "good"
}

// Days is how many a strip shows.
const Days = 30

// Strip is the last 30 days of a definition, a letter for each, the newest last:
// F, D and I for the strongest good backup of the day, X when all runs failed, M
// when all were missed, R for one under way. More says that runs has not all.
func Strip(runs []service.Run, now time.Time, more bool) (cells, say string) {
	days := []byte(strings.Repeat(".", Days))
	today, first := day(now.Local()), Days
	for i := range runs {
		r := &runs[i]
		n := Days - 1 - (today - day(moment(r).Local()))
		first = min(first, n)
		if n < 0 || n >= Days {
			continue
		}
		if c := cell(r); strings.IndexByte(order, c) > strings.IndexByte(order, days[n]) {
			days[n] = c
		}
	}
	if more && first > 0 {
		for i := range first {
			days[i] = ' '
		}
		say = ", earlier ones are not shown"
	}
	count := func(set string) (n int) {
		for _, c := range days {
			if strings.IndexByte(set, c) >= 0 {
				n++
			}
		}
		return n
	}
	return string(days), "Last 30 days: " + Count(count("FDI"), "day") + " with a good backup, " + Count(count("X"), "day") + " with failed runs only, " + Count(count("M"), "day") + " missed" + say
}

// order has the letters of a strip, what counts more later.
const order = ".MXIDFR"

// cell is the letter of a run.
func cell(r *service.Run) byte {
	switch {
	case r.State == service.Running:
		return 'R'
	case r.State == service.Failed, r.State == service.Interrupted:
		return 'X'
	case r.State == service.Missed:
		return 'M'
	case !r.State.Good():
		return '.'
	}
	switch typeOf(r) {
	case "full":
		return 'F'
	case "diff":
		return 'D'
	}
	return 'I'
}

// typeOf is the type a run had, or was asked to have.
func typeOf(r *service.Run) string {
	if r.Report != nil && r.Report.Type != "" {
		return r.Report.Type
	}
	return string(r.Type)
}

// moment is when a run was, as far as it came.
func moment(r *service.Run) time.Time {
	for _, t := range []time.Time{r.Began, r.Due, r.Queued, r.Ended} {
		if !t.IsZero() {
			return t
		}
	}
	return r.Ended
}
