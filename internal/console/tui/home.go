package tui

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/job"
	"ingot/internal/result"
	"ingot/internal/service"
)

func emptyHome() *Screen {
	return &Screen{Title: "Ingot", Say: []string{"Looking at what there is ..."}}
}

// loadHome looks at the disks and the service.
func loadHome(ctx context.Context, w World, _ func(job.Event)) Step {
	disks, derr := readDisks(ctx, w)
	st, serr := w.Status(ctx)
	return replace(home(disks, derr, &st, serr, time.Now()))
}

// home is the first screen.
func home(disks []result.Disk, derr error, st *service.Status, serr error, now time.Time) *Screen {
	s := &Screen{Title: "Ingot: what do you want to do?", Again: func() Step { return work(loadHome) }}
	if serr != nil {
		s.Say = append(s.Say, warn+" "+serviceAway(serr))
	} else {
		s.Say = append(s.Say, serviceText(st))
		for i := range st.Definitions {
			s.Facts = append(s.Facts, Row{Text: definitionText(&st.Definitions[i], now)})
		}
	}
	if derr != nil {
		s.Facts = append(s.Facts, Row{Text: bad + " The disks cannot be listed: " + derr.Error()})
	}
	for i := range disks {
		s.Facts = append(s.Facts, Row{Text: diskMark(&disks[i]) + " " + diskName(&disks[i])})
	}
	s.Choices = []Choice{
		{Label: "Image a disk", Do: func() Step { return work(loadSources) }},
		{Label: "Restore a disk", Do: func() Step { return open(askFolder("Restore", restorePoint)) }},
		{Label: "Copy files out of an image", Do: func() Step { return open(askFolder("Copy files out", browsePoint)) }},
		{Label: "Verify an image", Do: func() Step { return open(askFolder("Verify", verifyPoint)) }},
		{Label: "Look at the images in a folder", Do: func() Step { return open(askFolder("Images", showPoint)) }},
		{Label: "Disks of this machine", Do: func() Step { return work(loadDisks) }},
		{Label: "History of the backups", Do: func() Step { return work(loadHistory) }},
		{Label: "Leave", Do: func() Step { return Step{Quit: true} }},
	}
	return s
}

func serviceAway(err error) string {
	if errors.Is(err, service.ErrNotRunning) {
		return "The Ingot service does not answer: scheduled backups are not running."
	}
	return "The Ingot service: " + err.Error()
}

// serviceText says how the service stands in one sentence.
func serviceText(st *service.Status) string {
	paused := ""
	if st.Paused {
		paused = " The queue is held."
	}
	switch {
	case len(st.Definitions) == 0:
		return warn + " Nothing is protected yet: there is no backup definition." + paused
	case len(st.Running) > 0:
		return fmt.Sprintf("[..] The service is at work on %s.%s", st.Running[0].Definition, paused)
	}
	return fmt.Sprintf("%s The service runs and has %s.%s", good, view.Count(len(st.Definitions), "definition"), paused)
}

// definitionText says how a definition stands: its last good run, its next one.
func definitionText(d *service.DefinitionStatus, now time.Time) string {
	if d.Problem != "" {
		return fmt.Sprintf("%s %s is refused: %s", bad, d.Name, d.Problem)
	}
	mark, last := good, "the last good backup was made "+view.Age(now.Sub(d.LastGood))+" ago"
	switch {
	case d.LastGood.IsZero():
		mark, last = unknown, "there is no good backup yet"
	case d.Overdue:
		mark = warn
	}
	if d.Last != nil && d.Last.State == service.Failed {
		mark, last = bad, "the last run failed; "+last
	}
	next := "no run is planned"
	switch {
	case d.Current != nil && d.Current.State == service.Running:
		next = "it runs now"
	case d.Current != nil:
		next = "it waits for its turn"
	case d.State != "ready":
		next = "it is " + d.State
	case !d.Next.IsZero():
		next = "the next run is on " + moment(d.Next)
	}
	return fmt.Sprintf("%s %s: %s, %s.", mark, d.Name, last, next)
}

// trouble says what went wrong, and what to do about it.
func trouble(doing string, err error) *Screen {
	s := &Screen{Title: doing + ": not done", Say: []string{bad + " " + err.Error()}}
	var f *Failure
	if errors.As(err, &f) && f.Hint != "" {
		s.Say = append(s.Say, "What to do: "+f.Hint)
	}
	if errors.As(err, &f) && f.Code == 5 {
		s.Say = append(s.Say, "Start 'ingot tui' with --password-file or --password-command to open encrypted images.")
	}
	s.Choices = endChoices()
	return s
}

// endChoices are what there is to do when something has ended.
func endChoices() []Choice {
	return []Choice{
		{Label: "Back", Do: func() Step { return Step{Back: true} }},
		{Label: "To the first screen", Do: func() Step { return Step{Home: true} }},
	}
}
