package main

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"ingot/internal/definitions"
	"ingot/internal/notify"
	"ingot/internal/plan"
	"ingot/internal/runner"
	"ingot/internal/service"
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
	ways := runner.Channels(d)
	if m.Event == notify.Test && !slices.ContainsFunc(ways, func(w notify.Channel) bool { return w.On.Has(notify.Test) }) {
		return []error{refuse("the definition %s names nobody who could be told", d.Name)}
	}
	return notify.Tell(ctx, ways, m)
}

// refusedByService says whether the service does not do what it was asked for,
// or does not know it.
func refusedByService(err error) bool {
	var p *service.Problem
	return errors.Is(err, service.ErrForbidden) || errors.As(err, &p) && (p.Status == http.StatusNotFound || p.Status == http.StatusConflict)
}

// serviceHint is what a person can do about an error of the service.
func serviceHint(err error) string {
	var p *service.Problem
	switch {
	case errors.Is(err, service.ErrNotRunning):
		return "'sudo ingot service install' has the system start it; 'ingot service status' says more."
	case errors.Is(err, service.ErrForbidden):
		return "ask as the administrator (sudo), or have the administrator put you into the group of the service."
	case errors.As(err, &p) && p.Fix != "":
		return p.Fix + "."
	case errors.Is(err, service.ErrRunning):
		return "'ingot service status' says whether the system has started it."
	case errors.Is(err, errNoManager):
		return "the service also runs in the foreground: 'sudo ingot service run'."
	}
	return ""
}
