package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/service"
)

func newHistory(c *console) *cobra.Command {
	var socket, state string
	var limit int
	var before uint64
	cmd := &cobra.Command{
		Use:   "history [NAME]",
		Short: "Show the runs the service has made",
		Long: `Show the runs that the service has made, newest first: when, of what type, why, and
how they ended. 'ingot log RUN' shows one of them in full.`,
		Example: `  ingot history
  ingot history system --state failure
  ingot history --limit 10 --json`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			f := service.Filter{Definition: strings.Join(a, ""), State: service.State(state), Limit: limit, Before: before}
			return c.history(cmd.Context(), socket, f)
		},
	}
	f := cmd.Flags()
	addSocket(f, &socket)
	f.StringVar(&state, "state", "", "only those that are so: success, warning, failure, skipped, stopped, interrupted, missed")
	f.IntVar(&limit, "limit", 50, "how many, at most 500")
	f.Uint64Var(&before, "before", 0, "only runs with a smaller number")
	return cmd
}

func (c *console) history(ctx context.Context, socket string, f service.Filter) error {
	runs, err := service.NewClient(socket).Runs(ctx, f)
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(map[string]any{"runs": runs})
	}
	tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for i := range runs {
		fmt.Fprintln(tw, runLine(&runs[i]))
	}
	if len(runs) == 0 {
		c.note("nothing has run yet")
	}
	return tw.Flush()
}

// runLine is a run in the columns of the history.
func runLine(r *service.Run) string {
	at, took := r.Queued, ""
	if !r.Began.IsZero() {
		at = r.Began
	}
	if !r.Ended.IsZero() && !r.Began.IsZero() {
		took = r.Ended.Sub(r.Began).Round(time.Second).String()
	}
	typ, stored, first := string(r.Type), "", headLine(r.Error)
	if r.Report != nil {
		if r.Report.Type != "" {
			typ = r.Report.Type
		}
		if n := r.Report.Stored(); n > 0 {
			stored = size(n)
		}
		if len(r.Report.Warnings) > 0 && first == "" {
			first = r.Report.Warnings[0]
		}
	}
	return strings.Join([]string{fmt.Sprint(r.ID), at.Local().Format(timeFormat), r.Title(), typ, string(r.State), string(r.Cause), took, stored, first}, "\t")
}

func headLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
