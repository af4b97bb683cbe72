package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ingot/internal/job"
)

// Event is what a message is about.
type Event uint8

// The events; a set of them is their sum.
const (
	Start Event = 1 << iota // a run begins
	Success
	Warning
	Failure
	Overdue // there was no successful backup for too long
	Test    // somebody wants to see whether the word arrives

	Ends     = Success | Warning | Failure
	Troubles = Warning | Failure | Overdue
)

// Has says whether the set e holds any event of o.
func (e Event) Has(o Event) bool { return e&o != 0 }

// Of is the event that the end of a run is; 0 for a run of which nobody needs to
// hear, since it was not to be or somebody stopped it.
func Of(s job.Status) Event {
	switch s {
	case job.Success:
		return Success
	case job.Warned:
		return Warning
	case job.Failed:
		return Failure
	}
	return 0
}

// Message is what channels are told.
type Message struct {
	Event  Event
	Report job.Report // at Start and Overdue: what is known of it
	// Since is, at Overdue, the end of the last successful backup, or when
	// the definition came to be if there is none.
	Since time.Time
	// Log is the text of the run's log, to be attached.
	Log []byte
}

// Sender is one way to tell somebody. It ends soon after ctx does.
type Sender interface {
	Send(ctx context.Context, m *Message) error
}

// Channel is a way to tell somebody, and when it is taken.
type Channel struct {
	Name   string // for messages: "e-mail to admin@example.org"
	On     Event
	Limit  time.Duration // 0 is DefaultLimit
	Sender Sender
}

// DefaultLimit is how long a channel may take.
const DefaultLimit = time.Minute

// Secret gives a password or a URL that is not to be seen: it is asked for when
// it is needed and not kept.
type Secret func(context.Context) (string, error)

// Plain is a Secret that is none.
func Plain(s string) Secret { return func(context.Context) (string, error) { return s, nil } }

// Tell gives a message to all channels that are for its event, at once, and says
// which could not pass it on. An end of ctx does not keep the word from being
// given: that a run was interrupted is what its owner wants to hear.
func Tell(ctx context.Context, channels []Channel, m *Message) []error {
	ctx = context.WithoutCancel(ctx)
	errs := make([]error, len(channels))
	var wg sync.WaitGroup
	for i := range channels {
		if c := &channels[i]; c.On.Has(m.Event) {
			wg.Go(func() { errs[i] = c.tell(ctx, m) })
		}
	}
	wg.Wait()
	var out []error
	for _, err := range errs {
		if err != nil {
			out = append(out, err)
		}
	}
	return out
}

func (c *Channel) tell(ctx context.Context, m *Message) error {
	limit := c.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := c.Sender.Send(ctx, m)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("notify by %s: it took longer than %s: %w", c.Name, limit, err)
	}
	return fmt.Errorf("notify by %s: %w", c.Name, err)
}
