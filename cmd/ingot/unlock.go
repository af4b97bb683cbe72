package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/service"
)

func newUnlock(c *console) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "unlock CODE",
		Short: "Let a console that shows this code change things for a while",
		Long: `Let the console of a user change things for 15 minutes: its page shows the code and
asks for this command. Only the administrator may say it. The right belongs to that
one process and ends with it; whose it is, is said.`,
		Example: `  sudo ingot unlock K3V9AB2Q`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			g, err := service.NewClient(socket).Unlock(cmd.Context(), a[0])
			if err != nil {
				return fmt.Errorf("unlock: %w", err)
			}
			if c.json {
				return c.emit(g)
			}
			c.note("The console of %s (process %d) may change things until %s.", g.Who, g.PID, g.Until.Local().Format(time.TimeOnly))
			return nil
		},
	}
	addSocket(cmd.Flags(), &socket)
	return cmd
}
