package notify

import (
	"context"
	"time"
)

// System writes to the log of the system: the event log on Windows, syslog
// (which the journal of systemd is too) elsewhere. Where there is none it does
// nothing.
type System struct {
	// Socket is where syslog listens; "" is /dev/log.
	Socket string
}

// Send implements Sender.
func (s *System) Send(ctx context.Context, m *Message) error {
	text, err := render(summary, m, time.Now())
	if err != nil {
		return err
	}
	return s.write(ctx, m.Event, text)
}
