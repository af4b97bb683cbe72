package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"ingot/internal/plan"
	"ingot/internal/service"
)

func newQueue(c *console) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Show what the service runs now and what waits",
		Long: `Show the runs under way, with their progress, and those that wait for their turn.
One run at a time is made, unless the service was told otherwise.`,
		Example: `  ingot queue
  ingot queue add system --full`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.queue(cmd.Context(), socket) },
	}
	addSocket(cmd.Flags(), &socket)
	cmd.AddCommand(newQueueAdd(c))
	return cmd
}

func (c *console) queue(ctx context.Context, socket string) error {
	q, err := service.NewClient(socket).Queue(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(q)
	}
	for i := range q.Jobs {
		c.note("%s", jobLine(&q.Jobs[i]))
	}
	switch {
	case q.Paused:
		c.note("the queue is held: 'ingot unpause' lets it go on")
	case len(q.Jobs) == 0:
		c.note("nothing runs and nothing waits")
	}
	return nil
}

func newQueueAdd(c *console) *cobra.Command {
	var socket string
	types := map[plan.Type]*bool{}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Have the service run a definition",
		Long: `Have the service run a definition as soon as it is its turn; 'ingot run' runs it here
and now instead. Without a type the plan decides.`,
		Example: `  ingot queue add system
  ingot queue add system --full`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			t, err := oneOf(types)
			if err != nil {
				return err
			}
			return c.queueAdd(cmd.Context(), socket, a[0], t)
		},
	}
	f := cmd.Flags()
	addSocket(f, &socket)
	types[plan.Full] = f.Bool("full", false, "make a full")
	types[plan.Differential] = f.Bool("diff", false, "make a differential")
	types[plan.Incremental] = f.Bool("inc", false, "make an incremental")
	return cmd
}

// oneOf is the type that was asked for; "" for none.
func oneOf(types map[plan.Type]*bool) (asked plan.Type, err error) {
	for t, on := range types {
		if *on && asked != "" {
			return "", usageError{errors.New("only one of --full, --diff and --inc can be asked for")}
		}
		if *on {
			asked = t
		}
	}
	return asked, nil
}

func (c *console) queueAdd(ctx context.Context, socket, name string, t plan.Type) error {
	r, err := service.NewClient(socket).Start(ctx, name, t)
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(r)
	}
	c.note("run %d of %s is queued", r.ID, r.Definition)
	return nil
}
