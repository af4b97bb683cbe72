package tui

import (
	"context"
	"fmt"
	"time"

	"ingot/internal/job"
	"ingot/internal/service"
)

func loadHistory(ctx context.Context, w World, _ func(job.Event)) Step {
	runs, err := w.Runs(ctx)
	if err != nil {
		return open(trouble("Read the history", err))
	}
	return open(historyScreen(runs))
}

// historyScreen lists the runs of the service, the newest first.
func historyScreen(runs []service.Run) *Screen {
	s := &Screen{Title: "History of the backups", Again: func() Step {
		return work(func(ctx context.Context, w World, tell func(job.Event)) Step { return again(loadHistory(ctx, w, tell)) })
	}}
	if len(runs) == 0 {
		s.Say = []string{"Nothing has run yet."}
	}
	for i := range runs {
		r := &runs[i]
		s.Choices = append(s.Choices, Choice{Label: runName(r), Do: func() Step { return work(loadRun(r)) }})
	}
	return s
}

func runMark(s service.State) string {
	switch s {
	case service.Success:
		return good
	case service.Queued, service.Running:
		return "[..]"
	case service.Failed, service.Interrupted:
		return bad
	}
	return warn
}

func runName(r *service.Run) string {
	at := r.Began
	if at.IsZero() {
		at = r.Queued
	}
	return words(runMark(r.State), moment(at), r.Definition, string(r.State), r.Error)
}

func loadRun(r *service.Run) Work {
	return func(ctx context.Context, w World, _ func(job.Event)) Step {
		lines, err := w.Log(ctx, r.ID)
		return open(runScreen(r, lines, err))
	}
}

// runScreen shows a run and its log.
func runScreen(r *service.Run, lines []service.Line, err error) *Screen {
	s := &Screen{Title: fmt.Sprintf("Run %d of %s", r.ID, r.Definition)}
	s.Say = append(s.Say, words(runMark(r.State), string(r.State), "because of: "+string(r.Cause), r.Why, r.By))
	if !r.Ended.IsZero() && !r.Began.IsZero() {
		s.Say = append(s.Say, fmt.Sprintf("Began %s, took %s.", moment(r.Began), r.Ended.Sub(r.Began).Round(time.Second)))
	}
	if r.Error != "" {
		s.Say = append(s.Say, bad+" "+r.Error)
	}
	if r.Hint != "" {
		s.Say = append(s.Say, "What to do: "+r.Hint)
	}
	if err != nil {
		s.Say = append(s.Say, unknown+" The log cannot be read: "+err.Error())
	}
	for _, l := range lines {
		s.Facts = append(s.Facts, Row{Text: words(l.Time.Local().Format("15:04:05"), l.Kind, l.Stage, l.Object, l.Text)})
	}
	s.Choices = []Choice{{Label: "Back", Do: func() Step { return Step{Back: true} }}}
	return s
}
