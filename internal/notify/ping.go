package notify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// Ping tells a service that watches over jobs, and says so when one does not
// come (https://healthchecks.io/docs/http_api/): URL/start at the start, URL at
// a success, URL/fail at a failure. It is told of all of these, whatever the
// channel is for besides.
type Ping struct {
	URL Secret
	// Log sends the text of the log with the end; else a summary goes with it.
	Log   bool
	Limit time.Duration // of one attempt; 0 is that of the channel
	pause pause
}

// PingEvents are what a Channel of a Ping is for.
const PingEvents = Start | Ends

// maxPing is how much such a service keeps of a message.
const maxPing = 100_000

// Send implements Sender.
func (p *Ping) Send(ctx context.Context, m *Message) error {
	u, err := target(ctx, p.URL)
	if err != nil {
		return err
	}
	switch m.Event {
	case Start:
		u = u.JoinPath("start")
	case Failure:
		u = u.JoinPath("fail")
	case Success, Warning:
	default:
		return nil
	}
	q := u.Query()
	q.Set("rid", runID(m.Report.Run))
	u.RawQuery = q.Encode()
	body, err := p.body(m)
	if err != nil {
		return err
	}
	out := poster{limit: p.Limit, pause: p.pause}
	return out.post(ctx, u, "text/plain; charset=utf-8", body)
}

func (p *Ping) body(m *Message) ([]byte, error) {
	if p.Log && len(m.Log) > 0 {
		return m.Log[max(0, len(m.Log)-maxPing):], nil
	}
	text, err := render(summary, m, time.Now())
	return []byte(shorten(text, maxPing/4)), err
}

// runID is the name of a run as a UUID, by which start and end are known to
// belong together (RFC 9562, version 8).
func runID(run string) string {
	b := sha256.Sum256([]byte(run))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
