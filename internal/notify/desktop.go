package notify

import (
	"context"
	"strings"
	"time"
)

// Desktop shows a message to those who are logged in. Where nobody is, or
// nothing shows messages, it does nothing.
type Desktop struct{}

// Send implements Sender.
func (Desktop) Send(ctx context.Context, m *Message) error {
	text, err := render(summary, m, time.Now())
	if err != nil {
		return err
	}
	title, rest, _ := strings.Cut(text, "\n")
	return show(ctx, oneLine(title, 200), shorten(rest, 1000), m.Event.Has(Troubles))
}
