package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/service"
)

const timeFormat = "Mon 2006-01-02 15:04"

func newStatus(c *console) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the backups stand: last, next, under way, refused",
		Long: `Show how each backup definition stands: its last and last good run, the next one,
what is under way, and why one is refused. The service has to run.`,
		Example: `  ingot status
  ingot status --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.status(cmd.Context(), socket) },
	}
	addSocket(cmd.Flags(), &socket)
	return cmd
}

func (c *console) status(ctx context.Context, socket string) error {
	st, err := service.NewClient(socket).Status(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(st)
	}
	c.note("%s", sentence(&st))
	for _, w := range st.Warnings {
		c.note("Warning: %s", w)
	}
	for i := range st.Running {
		c.note("running: %s", jobLine(&st.Running[i]))
	}
	tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for i := range st.Definitions {
		d := &st.Definitions[i]
		fmt.Fprintf(tw, "  %s\t%s\tlast: %s\tgood: %s\tnext: %s\n", d.Name, d.State, lastText(d.Last), ago(d.LastGood, st.Now), nextText(d, st.Now))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for i := range st.Definitions {
		if d := &st.Definitions[i]; d.Problem != "" {
			c.note("%s is refused: %s", d.Name, d.Problem)
		}
	}
	return nil
}

// sentence says how all stands in one sentence.
func sentence(st *service.Status) string {
	var refused, overdue, failed int
	for i := range st.Definitions {
		d := &st.Definitions[i]
		switch {
		case d.State == "refused":
			refused++
		case d.Overdue:
			overdue++
		case d.Last != nil && d.Last.State == service.Failed:
			failed++
		}
	}
	s := fmt.Sprintf("%d definitions", len(st.Definitions))
	switch {
	case len(st.Definitions) == 0:
		return fmt.Sprintf("Nothing is protected yet: there is no definition in %s.", st.Folder)
	case refused+overdue+failed == 0:
		s += ", all in order"
	}
	for _, n := range []struct {
		n    int
		text string
	}{{refused, "refused"}, {overdue, "without a good backup for too long"}, {failed, "failed the last time"}} {
		if n.n > 0 {
			s += fmt.Sprintf(", %d %s", n.n, n.text)
		}
	}
	if st.Paused {
		s += "; the queue is held ('ingot unpause' lets it go on)"
	}
	return s + "."
}

func lastText(r *service.Run) string {
	if r == nil {
		return "never"
	}
	return fmt.Sprintf("%s %s", r.State, r.Ended.Local().Format(timeFormat))
}

func nextText(d *service.DefinitionStatus, now time.Time) string {
	switch {
	case d.Current != nil && d.Current.State == service.Running:
		return "running"
	case d.Current != nil:
		return "waits for its turn"
	case d.Next.IsZero():
		return "-"
	}
	return fmt.Sprintf("%s %s (in %s)", d.NextType, d.Next.Local().Format(timeFormat), roughly(d.Next.Sub(now)))
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return roughly(now.Sub(t)) + " ago"
}

// roughly is a span of time in its largest unit.
func roughly(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= 2*u.of {
			return fmt.Sprintf("%d %s", d/u.of, u.name)
		}
	}
	return fmt.Sprintf("%d s", max(d, 0)/time.Second)
}

// jobLine is a run that waits or is under way.
func jobLine(j *service.Job) string {
	line := fmt.Sprintf("%d  %s", j.ID, j.Title())
	switch {
	case j.Errand != nil:
	case j.Type == "":
		line += "  as planned"
	default:
		line += "  " + j.Type.String()
	}
	line += "  " + string(j.State)
	switch {
	case j.Progress != nil:
		line += "  " + progressLine(*j.Progress)
	case j.Stage != "":
		line += "  " + j.Stage
	case !j.NotBefore.IsZero() && j.State == service.Queued:
		line += "  not before " + j.NotBefore.Local().Format(timeFormat) + ": " + j.Error
	}
	return line
}
