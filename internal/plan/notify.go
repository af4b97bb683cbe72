package plan

import "time"

// Notify is who hears of a run, and how.
type Notify struct {
	Mail     []Mail
	Webhooks []Webhook
	Pings    []Ping
	// Desktop shows a message to who is logged in.
	Desktop bool
	// NoEventLog keeps a run out of the system's log (the event log of
	// Windows, the journal), where it is written else.
	NoEventLog bool
	// Metrics is a file for the text collector of Prometheus, rewritten after
	// each run; "" is none.
	Metrics string
	// AlertAfter is the number of days without a successful backup after which
	// that itself is told, as a failure; 0 is never.
	AlertAfter int
}

// Mail is a mail server, and which mails go through it.
type Mail struct {
	Host     string       // of the server
	Port     int          // 0 is 587, and 465 with MailTLS
	Security MailSecurity // how the connection is encrypted
	User     string       // "" sends without logging in
	Password PasswordRef
	From     string
	// Each is sent when the run ended so and it has recipients.
	Success, Warning, Failure Message
}

// MailSecurity is how the connection to a mail server is encrypted.
type MailSecurity string

// The ways. None of them falls back to another.
const (
	MailSTARTTLS MailSecurity = ""     // TLS is asked for, and required
	MailTLS      MailSecurity = "tls"  // from the first byte
	MailPlain    MailSecurity = "none" // only for a server on this machine: no password goes over it
)

// Message is one kind of mail.
type Message struct {
	To []string
	// Subject and Body are templates in the syntax of Go's text/template; ""
	// is a text that names machine, definition, outcome, sizes and warnings.
	Subject, Body string
	AttachLog     bool
}

// On says whether it is sent at all.
func (m *Message) On() bool { return len(m.To) > 0 }

// Outcomes says after which runs something is told.
type Outcomes struct{ Start, Success, Warning, Failure bool }

// Webhook is an address that gets a POST with what happened.
type Webhook struct {
	URL    string // https, or http
	Preset WebhookPreset
	// Token is sent as "Authorization: Bearer ...".
	Token PasswordRef
	// On is after which runs; none set means warnings and failures.
	On      Outcomes
	Timeout time.Duration // of a try; 0 is DefaultWebTimeout
}

// WebhookPreset is what the body of the POST looks like.
type WebhookPreset string

// The presets.
const (
	WebhookJSON    WebhookPreset = "" // the report of the run
	WebhookSlack   WebhookPreset = "slack"
	WebhookDiscord WebhookPreset = "discord"
	WebhookNtfy    WebhookPreset = "ntfy"
)

// Ping is an address of a watch such as healthchecks.io, which raises the
// alarm when it hears nothing: URL/start, URL and URL/fail are called.
type Ping struct {
	URL     string
	Timeout time.Duration // 0 is DefaultWebTimeout
}

// DefaultWebTimeout is what 0 is for the Timeout of a Webhook and a Ping.
const DefaultWebTimeout = 30 * time.Second
