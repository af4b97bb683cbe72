package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ingot/internal/service"
)

func newCancel(c *console) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run of the service, or take it out of the queue",
		Long: `Stop a run of the service, by its number ('ingot queue' lists them), or take it out of
the queue. A run that is under way is asked to stop, and killed when it does not stop
in time. What it has stored so far is kept where the place allows it, under no name of
an image, and the next run goes on from there.`,
		Example: `  ingot cancel 42`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			id, err := runNumber(a[0])
			if err != nil {
				return err
			}
			err = service.NewClient(socket).Cancel(cmd.Context(), id)
			return c.did(err, "cancelled", fmt.Sprintf("run %d is cancelled", id))
		},
	}
	addSocket(cmd.Flags(), &socket)
	return cmd
}
