package main

import (
	"context"

	"ingot/internal/definitions"
	"ingot/internal/notify"
	"ingot/internal/plan"
	"ingot/internal/runner"
	"ingot/internal/trust"
)

// loadTrusted reads a definition file for the service.
func loadTrusted(file string) (*plan.Definition, error) {
	e, err := definitions.Store{}.Load(file)
	if err != nil {
		return nil, err
	}
	return &e.File.Definition, nil
}

// tellOwner gives word of what a run could not say itself.
func tellOwner(ctx context.Context, d *plan.Definition, m *notify.Message) []error {
	return notify.Tell(ctx, runner.Channels(d, trustedFile), m)
}

// trustedFile says why others could have written a file.
func trustedFile(path string) error {
	f, err := trust.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}
