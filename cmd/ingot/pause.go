package main

import (
	"strings"

	"github.com/spf13/cobra"

	"ingot/internal/service"
)

func newPause(c *console) *cobra.Command {
	return pausing(c, true, &cobra.Command{
		Use:   "pause [NAME]",
		Short: "Hold the queue of the service, or the schedules of a definition",
		Long: `Hold the queue of the service: what comes due waits, what is under way goes on. With
a name, hold the schedules of that definition alone: what comes due meanwhile is not
made up for. It stays so until 'ingot unpause', through restarts too.`,
		Example: `  ingot pause
  ingot pause system`,
	})
}

func newUnpause(c *console) *cobra.Command {
	return pausing(c, false, &cobra.Command{
		Use:   "unpause [NAME]",
		Short: "Let the queue of the service, or a definition, go on",
		Long:  `Let go on what 'ingot pause' held.`,
		Example: `  ingot unpause
  ingot unpause system`,
	})
}

func pausing(c *console, on bool, cmd *cobra.Command) *cobra.Command {
	var socket string
	cmd.Args = args(cobra.MaximumNArgs(1))
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		name := strings.Join(a, "")
		what, state, text := "the queue", "goes on", " goes on"
		if name != "" {
			what = name
		}
		if on {
			state, text = "held", " is held"
		}
		err := service.NewClient(socket).Pause(cmd.Context(), name, on)
		return c.did(err, state, what+text)
	}
	addSocket(cmd.Flags(), &socket)
	return cmd
}
