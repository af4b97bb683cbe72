package runner

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"ingot/internal/notify"
	"ingot/internal/plan"
	"ingot/internal/secret"
)

// Channels are the ways to the owner that a definition names. All but pings and
// metrics, which machines read as word of a backup, pass on a test.
func Channels(d *plan.Definition) []notify.Channel {
	n := &d.Notify
	var out []notify.Channel
	for i := range n.Mail {
		out = append(out, mails(&n.Mail[i])...)
	}
	for i := range n.Webhooks {
		out = append(out, webhook(&n.Webhooks[i]))
	}
	for i := range n.Pings {
		p := &n.Pings[i]
		limit := webLimit(p.Timeout)
		out = append(out, notify.Channel{Name: "ping of " + host(p.URL), On: notify.PingEvents, Limit: 3 * limit,
			Sender: &notify.Ping{URL: notify.Plain(p.URL), Log: true, Limit: limit}})
	}
	if n.Desktop {
		out = append(out, notify.Channel{Name: "message on the desktop", On: notify.Ends | notify.Overdue | notify.Test, Limit: webLimit(0), Sender: notify.Desktop{}})
	}
	if !n.NoEventLog {
		out = append(out, notify.Channel{Name: "the log of the system", On: notify.Start | notify.Ends | notify.Overdue | notify.Test, Limit: webLimit(0), Sender: &notify.System{}})
	}
	if n.Metrics != "" {
		out = append(out, notify.Channel{Name: "the file of metrics", On: notify.Ends, Limit: webLimit(0), Sender: &notify.TextFile{Path: n.Metrics}})
	}
	return out
}

func webLimit(d time.Duration) time.Duration {
	if d <= 0 {
		return plan.DefaultWebTimeout
	}
	return d
}

// host is what of a URL may be seen.
func host(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "a URL that is none"
	}
	return u.Host
}

// mails are a channel for each kind of mail. That a backup is overdue is told as
// a failure is.
func mails(m *plan.Mail) (out []notify.Channel) {
	for _, k := range []struct {
		on  notify.Event
		msg *plan.Message
	}{{notify.Success, &m.Success}, {notify.Warning, &m.Warning}, {notify.Failure | notify.Overdue, &m.Failure}} {
		if !k.msg.On() {
			continue
		}
		s := &notify.Mail{
			Server: m.Host, Port: m.Port, Security: mailSecurity[m.Security], User: m.User, Password: reference(m.Password),
			From: m.From, To: k.msg.To, Subject: k.msg.Subject, Body: k.msg.Body, Attach: k.msg.AttachLog,
		}
		out = append(out, notify.Channel{Name: fmt.Sprintf("e-mail by %s", m.Host), On: k.on | notify.Test, Sender: s})
	}
	return out
}

var mailSecurity = map[plan.MailSecurity]notify.Security{plan.MailSTARTTLS: notify.STARTTLS, plan.MailTLS: notify.TLS, plan.MailPlain: notify.NoTLS}

func webhook(w *plan.Webhook) notify.Channel {
	limit := webLimit(w.Timeout)
	s := &notify.Webhook{Preset: notify.Preset(w.Preset), URL: notify.Plain(w.URL), Limit: limit}
	if w.Token.Given() {
		s.Token = reference(w.Token)
	}
	return notify.Channel{Name: "webhook at " + host(w.URL), On: outcomes(w.On) | notify.Test, Limit: 3 * limit, Sender: s}
}

func outcomes(o plan.Outcomes) (e notify.Event) {
	if o == (plan.Outcomes{}) {
		return notify.Troubles
	}
	for _, k := range []struct {
		on bool
		e  notify.Event
	}{{o.Start, notify.Start}, {o.Success, notify.Success}, {o.Warning, notify.Warning}, {o.Failure, notify.Failure | notify.Overdue}} {
		if k.on {
			e |= k.e
		}
	}
	return e
}

func reference(ref plan.PasswordRef) notify.Secret {
	return func(ctx context.Context) (string, error) {
		b, err := secret.Resolve(ctx, ref)
		return string(b), err
	}
}
