package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/definitions"
	"ingot/internal/job"
	"ingot/internal/notify"
)

func newDefinitionTest(c *console, s *definitions.Store) *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME|FILE",
		Short: "Send a test message to those who are told of a backup",
		Long: `Send a test message by every mail, webhook and log that a definition names, to see
that it arrives. Pings and metrics are left out: machines would take them for a
backup. Nothing is backed up.`,
		Example: `  sudo ingot definition test office`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			e, err := s.Load(a[0])
			if err != nil {
				return err
			}
			host, _ := os.Hostname()
			now := time.Now()
			m := &notify.Message{Event: notify.Test, Report: job.Report{Definition: e.Name, Host: host, Began: now, Ended: now}}
			errs := tellOwner(cmd.Context(), &e.File.Definition, m)
			if err := errors.Join(errs...); err != nil {
				return fmt.Errorf("the test message of %s did not arrive everywhere: %w", e.Name, err)
			}
			return c.did(nil, "sent", "the test message of "+e.Name+" is sent: see whether it has arrived")
		},
	}
}
