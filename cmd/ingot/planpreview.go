package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/definitions"
	"ingot/internal/preview"
	"ingot/internal/result"
)

func newPlan(c *console) *cobra.Command {
	s := &definitions.Store{}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "See what the schedules of a definition will do",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	definitionsFlag(cmd, s)
	cmd.AddCommand(newPlanPreview(c, s))
	return cmd
}

func newPlanPreview(c *console, s *definitions.Store) *cobra.Command {
	var days int
	var from string
	cmd := &cobra.Command{
		Use:   "preview NAME|FILE",
		Short: "Show the coming runs, and what retention will hold then",
		Long: `Show the calendar of the coming runs of a definition, and which points in time there
will be at its end: a simulation with the code that schedules and purges. It
begins with an empty folder, takes every run to succeed, and does not know how
large backups will be, so that limits on free space do not show.`,
		Example: `  ingot plan preview office --days 60
  ingot plan preview ./office.xml --days 365 --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			begin := time.Now()
			if from != "" {
				var err error
				if begin, err = time.ParseInLocation(time.DateOnly, from, time.Local); err != nil {
					return usageError{fmt.Errorf("--from is %q: give a date such as 2026-12-31", from)}
				}
			}
			if days < 1 || days > 3660 {
				return usageError{fmt.Errorf("--days is %d: 1 to 3660", days)}
			}
			return c.preview(s, a[0], begin, days)
		},
	}
	cmd.Flags().IntVar(&days, "days", 60, "how many days")
	cmd.Flags().StringVar(&from, "from", "", "first day, such as 2026-12-31 (default: now)")
	return cmd
}

func (c *console) preview(s *definitions.Store, name string, from time.Time, days int) error {
	e, err := s.Load(name)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	cal, err := preview.Simulate(&e.File.Definition, from, days, nil, host)
	if err != nil {
		return err
	}
	v := &result.Preview{Name: e.Name, From: cal.From, To: cal.To, Cut: cal.Cut, Runs: []result.PreviewRun{}, Held: []result.PreviewHeld{}, Events: append([]string{}, cal.Events...)}
	for _, r := range cal.Runs {
		v.Runs = append(v.Runs, result.PreviewRun{
			Time: r.Time, Type: r.Type.String(), Reason: r.Reason, Deleted: r.Deleted, Merged: r.Merged, Points: r.Points,
		})
	}
	for _, p := range cal.Held {
		v.Held = append(v.Held, result.PreviewHeld{Time: p.Time, Type: p.Type.String()})
	}
	if c.json {
		return c.emit(v)
	}
	return c.printPreview(v)
}

func (c *console) printPreview(v *result.Preview) error {
	const form = "Mon 2006-01-02 15:04 MST"
	tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "RUN\tTYPE\tWHY\tDELETED\tMERGED\tPOINTS THEN")
	for _, r := range v.Runs {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\n", r.Time.Format(form), r.Type, r.Reason, r.Deleted, r.Merged, r.Points)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, e := range v.Events {
		c.note("and %s: not in this calendar", e)
	}
	if v.Cut {
		c.note("only the first %d runs are shown", preview.MostRuns)
	}
	c.note("\nOn %s there are %d points in time:", v.To.Format(form), len(v.Held))
	for _, p := range v.Held {
		fmt.Fprintf(tw, "  %s\t%s\n", p.Time.Format(form), p.Type)
	}
	return tw.Flush()
}
