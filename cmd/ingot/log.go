package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/service"
)

func newLog(c *console) *cobra.Command {
	var socket string
	var follow bool
	cmd := &cobra.Command{
		Use:   "log RUN",
		Short: "Show the log of a run of the service",
		Long: `Show what a run of the service told, by its number ('ingot history' lists them).
With --json each line is one object.`,
		Example: `  ingot log 42
  ingot log 42 --follow`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			id, err := runNumber(a[0])
			if err != nil {
				return err
			}
			return c.showLog(cmd.Context(), service.NewClient(socket), id, follow)
		},
	}
	addSocket(cmd.Flags(), &socket)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run has ended")
	return cmd
}

func runNumber(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, usageError{fmt.Errorf("%q is no number of a run", s)}
	}
	return id, nil
}

func (c *console) showLog(ctx context.Context, client *service.Client, id uint64, follow bool) error {
	for from := 0; ; {
		part, err := client.Log(ctx, id, from)
		if err != nil {
			return err
		}
		for i := range part.Lines {
			if err := c.logLine(&part.Lines[i]); err != nil {
				return err
			}
		}
		full := part.Next > from && part.More
		from = part.Next
		switch {
		case !part.More, !full && !follow:
			return nil
		case full:
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second / 2):
		}
	}
}

func (c *console) logLine(l *service.Line) error {
	if c.json {
		return c.emit(l)
	}
	text := l.Text
	if l.Kind == "stage" {
		text = l.Stage
	}
	c.note("%s  %-8s %s", l.Time.Local().Format("15:04:05"), l.Kind, text)
	return nil
}
