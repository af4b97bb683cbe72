package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ingot/internal/console/tui"
	"ingot/internal/service"
)

func newTUI(c *console) *cobra.Command {
	var plain bool
	var socket string
	cmd := &cobra.Command{
		Use:   "tui",
		Short: "Image, verify, browse and restore on a text screen",
		Long: `Do by choosing what the other commands do by typing: see the disks and how the
backups stand, image a disk, look into images and copy files out, verify, restore,
and read the history of the service. A text screen of 80 by 25 characters will do,
also on a serial line. F1 lists the keys.

With --plain it asks numbered questions line by line: for screen readers, to help
somebody over the telephone, or with a script as input. So it does, too, when
input or output is no terminal.

Before a disk is overwritten the last four characters of its serial number are
asked for, so that it cannot be another one. The password of encrypted images
comes from --password-file or --password-command.`,
		Example: `  sudo ingot tui
  sudo ingot tui --plain
  sudo ingot tui --password-file /root/backup.password
  printf '6\nq\n' | sudo ingot tui --plain`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.tui(cmd.Context(), socket, plain) },
	}
	addSocket(cmd.Flags(), &socket)
	cmd.Flags().BoolVar(&plain, "plain", false, "numbered questions, line by line")
	return cmd
}

func (c *console) tui(ctx context.Context, socket string, plain bool) error {
	if c.json {
		return usageError{fmt.Errorf("ingot tui talks to people: --json goes with the other commands")}
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program itself: %w", err)
	}
	w := &tui.Program{Path: path, Before: c.passwords.args(), Client: service.NewClient(socket)}
	dumb, mono, ascii := tui.Terminal(os.Getenv)
	if plain || dumb || !terminal(c.in) || !terminal(c.out) {
		return tui.Plain(ctx, w, c.in, c.out)
	}
	return tui.Full(ctx, w, tui.Options{In: c.in, Out: c.out, Mono: mono, ASCII: ascii})
}

// args are the flags with which a child finds the password, too.
func (p *passwordFlags) args() (out []string) {
	if p.file != "" {
		out = append(out, "--password-file="+p.file)
	}
	if p.command != "" {
		out = append(out, "--password-command="+p.command)
	}
	return out
}
