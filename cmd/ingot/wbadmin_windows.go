package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
)

// runWbadmin runs wbadmin, which must be started elevated.
func runWbadmin(ctx context.Context, args []string, out io.Writer) error {
	path, err := exec.LookPath("wbadmin.exe")
	if err != nil {
		return fmt.Errorf("this Windows has no wbadmin: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("wbadmin: %w (what it said stands above; it must be run as an administrator)", err)
	}
	return nil
}
