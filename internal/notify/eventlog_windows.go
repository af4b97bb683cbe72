package notify

import (
	"context"
	"fmt"

	"golang.org/x/sys/windows/svc/eventlog"
)

// source is how the event log calls us.
const source = "Ingot"

// eventID is the one id that EventCreate.exe, whose message table shows any
// text as it is, and we use.
const eventID = 1

func (s *System) write(_ context.Context, e Event, text string) error {
	// It is there already but for the first time; without the rights to make
	// it the text is shown with a complaint around it.
	_ = eventlog.InstallAsEventCreate(source, eventlog.Error|eventlog.Warning|eventlog.Info)
	l, err := eventlog.Open(source)
	if err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	defer l.Close()
	switch text = shorten(text, 30000); {
	case e.Has(Failure | Overdue):
		err = l.Error(eventID, text)
	case e.Has(Warning):
		err = l.Warning(eventID, text)
	default:
		err = l.Info(eventID, text)
	}
	if err != nil {
		return fmt.Errorf("write to the event log: %w", err)
	}
	return nil
}
