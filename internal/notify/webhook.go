package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"ingot/internal/job"
)

// Preset is what a webhook expects.
type Preset string

// The presets.
const (
	Generic Preset = ""        // a hook of JSON: event, text, report
	Slack   Preset = "slack"   // an incoming webhook of Slack or Mattermost
	Discord Preset = "discord" // a webhook of a Discord channel
	Ntfy    Preset = "ntfy"    // a topic of an ntfy server: https://ntfy.sh/mytopic
)

// Webhook posts JSON to a URL.
type Webhook struct {
	Preset Preset
	URL    Secret
	Token  Secret        // of a bearer; nil is none
	Limit  time.Duration // of one attempt; 0 is that of the channel
	pause  pause
}

// hook is what a generic webhook gets.
type hook struct {
	Event  string     `json:"event"` // started, success, warning, failure, overdue, test
	Text   string     `json:"text"`
	Days   int        `json:"days_without_backup,omitempty"`
	Report job.Report `json:"report"`
}

// CheckPreset says whether there is such a preset.
func CheckPreset(p Preset) error {
	switch p {
	case Generic, Slack, Discord, Ntfy:
		return nil
	}
	return fmt.Errorf("webhook preset %q is none of slack, discord, ntfy", p)
}

// Send implements Sender.
func (w *Webhook) Send(ctx context.Context, m *Message) error {
	if err := CheckPreset(w.Preset); err != nil {
		return err
	}
	u, err := target(ctx, w.URL)
	if err != nil {
		return err
	}
	body, err := w.body(m, u)
	if err != nil {
		return err
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	p := poster{limit: w.Limit, token: w.Token, pause: w.pause}
	return p.post(ctx, u, "application/json", b)
}

// body is what is posted; for ntfy u becomes the server's own address, which
// takes JSON that names the topic.
func (w *Webhook) body(m *Message, u *url.URL) (any, error) {
	now := time.Now()
	text, err := render(summary, m, now)
	if err != nil {
		return nil, err
	}
	switch w.Preset {
	case Slack:
		// https://api.slack.com/reference/surfaces/formatting#escaping: these three
		// make mentions and links.
		return map[string]string{"text": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(shorten(text, 3000))}, nil
	case Discord:
		// No word in a message is to call somebody: no mentions are parsed.
		return map[string]any{"content": shorten(text, 2000), "allowed_mentions": map[string][]string{"parse": {}}}, nil
	case Ntfy:
		return ntfyBody(m, text, u)
	}
	return hook{Event: words[m.Event], Text: text, Days: fields(m, now).Days, Report: m.Report}, nil
}

func ntfyBody(m *Message, text string, u *url.URL) (any, error) {
	topic := path.Base(u.Path)
	if topic == "/" || topic == "." {
		return nil, fmt.Errorf("%s: the URL of ntfy has no topic", u.Host)
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, topic), ""
	title, rest, _ := strings.Cut(text, "\n")
	// https://docs.ntfy.sh/publish/#publish-as-json: 3 is the usual priority, 4 is high.
	priority, tag := 3, "white_check_mark"
	if m.Event.Has(Troubles) {
		priority, tag = 4, "warning"
	}
	return map[string]any{"topic": topic, "title": oneLine(title, 200), "message": shorten(or(rest, title), 3000), "priority": priority, "tags": []string{tag}}, nil
}
