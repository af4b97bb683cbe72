package notify

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
	"ingot/internal/notify/notifytest"
)

func report(s job.Status) job.Report {
	began := time.Date(2026, 11, 25, 2, 30, 0, 0, time.UTC)
	return job.Report{
		Run: "20261125T023000-system", Definition: "system", Host: "pc1", Status: s, Type: "inc", Began: began, Ended: began.Add(754 * time.Second),
		Folder: "/mnt/backup", Images: []job.Image{{Disk: "/dev/sda", File: "A-00-01.mrimgx", Type: "inc", Read: 3 << 30, Stored: 200 << 20}},
		Warnings: []string{"sector 7 is bad"}, Notes: []string{}, Log: "/var/log/ingot/run.jsonl",
	}
}

func sender(s *notifytest.Server, sec Security) *Mail {
	return &Mail{
		Server: "127.0.0.1", Port: s.Port, Security: sec, User: s.User, Password: Plain(s.Password), Roots: s.Roots,
		From: "Ingot <backup@example.org>", To: []string{"admin@example.org", "Second <second@example.org>"},
	}
}

func TestMailSecurityAndMethods(t *testing.T) {
	for _, c := range []struct {
		name    string
		server  notifytest.Options
		sec     Security
		method  string
		failure string
	}{
		{"STARTTLS, PLAIN", notifytest.Options{Auth: []string{"PLAIN"}, Required: true}, STARTTLS, "PLAIN", ""},
		{"the default is STARTTLS", notifytest.Options{Auth: []string{"PLAIN"}, Required: true}, "", "PLAIN", ""},
		{"STARTTLS, LOGIN", notifytest.Options{Auth: []string{"LOGIN"}, Required: true}, STARTTLS, "LOGIN", ""},
		{"STARTTLS, CRAM-MD5", notifytest.Options{Auth: []string{"CRAM-MD5"}, Required: true}, STARTTLS, "CRAM-MD5", ""},
		{"TLS, PLAIN", notifytest.Options{TLS: true, Auth: []string{"LOGIN", "PLAIN"}, Required: true}, TLS, "PLAIN", ""},
		{"TLS, LOGIN", notifytest.Options{TLS: true, Auth: []string{"LOGIN"}, Required: true}, TLS, "LOGIN", ""},
		{"in the clear, CRAM-MD5", notifytest.Options{NoTLS: true, Auth: []string{"PLAIN", "CRAM-MD5"}, Required: true}, NoTLS, "CRAM-MD5", ""},
		{"in the clear no password is shown", notifytest.Options{NoTLS: true, Auth: []string{"PLAIN", "LOGIN"}}, NoTLS, "", "auth"},
		{"a server without STARTTLS is not trusted", notifytest.Options{NoTLS: true}, STARTTLS, "", "STARTTLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := notifytest.Start(t, c.server)
			err := (&Channel{Name: "e-mail", Sender: sender(s, c.sec)}).tell(t.Context(), &Message{Event: Warning, Report: report(job.Warned)})
			got := s.Mails()
			if c.failure != "" {
				if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.failure)) || len(got) > 0 {
					t.Fatalf("%d mails, %v; want none, and an error with %q", len(got), err, c.failure)
				}
				return
			}
			if err != nil || len(got) != 1 {
				t.Fatalf("%d mails, %v", len(got), err)
			}
			if got[0].Method != c.method || got[0].From != "backup@example.org" || len(got[0].To) != 2 {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

func TestMailChecksCertificates(t *testing.T) {
	for _, sec := range []Security{STARTTLS, TLS} {
		s := notifytest.Start(t, notifytest.Options{TLS: sec == TLS, Auth: []string{"PLAIN"}})
		m := sender(s, sec)
		m.Roots = nil // of the system: it does not know the server's
		err := m.Send(t.Context(), &Message{Event: Success, Report: report(job.Success)})
		if err == nil || !strings.Contains(err.Error(), "certificate") || len(s.Mails()) > 0 {
			t.Errorf("%s: %v", sec, err)
		}
	}
}

func TestMailWrongPassword(t *testing.T) {
	s := notifytest.Start(t, notifytest.Options{Auth: []string{"PLAIN"}, Required: true})
	m := sender(s, STARTTLS)
	m.Password = Plain("tr0ub4dor")
	err := m.Send(t.Context(), &Message{Event: Success, Report: report(job.Success)})
	if err == nil || !strings.Contains(err.Error(), "535") || strings.Contains(err.Error(), "tr0ub4dor") {
		t.Error(err)
	}
}

func TestMailContent(t *testing.T) {
	s := notifytest.Start(t, notifytest.Options{})
	m := sender(s, STARTTLS)
	m.User, m.Attach = "", true
	r := report(job.Failed)
	r.Definition, r.Error, r.Hint = "büro", "the destination is full", "make room"
	if err := m.Send(t.Context(), &Message{Event: Failure, Report: r, Log: []byte("line of the log\n")}); err != nil {
		t.Fatal(err)
	}
	msg, err := mail.ReadMessage(strings.NewReader(s.Mails()[0].Text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != "Backup failure: büro on pc1" {
		t.Errorf("subject %q, %v", subject, err)
	}
	body, log := parts(t, msg)
	for _, want := range []string{"ended: failure", "Error: the destination is full", "What to do: make room", "  - sector 7 is bad", "after 12m34s", "incremental", "A-00-01.mrimgx", "200 MiB"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if log != "line of the log\n" {
		t.Errorf("log %q", log)
	}
}

// parts gives the text and the attachment of a mail.
func parts(t *testing.T, msg *mail.Message) (body, log string) {
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(msg.Body, params["boundary"])
	p, err := r.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(quotedprintable.NewReader(p))
	if err != nil {
		t.Fatal(err)
	}
	p, err = r.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	l, err := io.ReadAll(base64Reader(p))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n"), string(l)
}

// What comes from outside never becomes a header or a recipient.
func TestMailHeaderInjection(t *testing.T) {
	s := notifytest.Start(t, notifytest.Options{})
	m := sender(s, STARTTLS)
	m.User, m.Subject = "", "{{.Definition}}: {{.Error}}"
	r := report(job.Failed)
	r.Definition, r.Error = "x\r\nBcc: evil@example.org", "y\nX-Evil: 1\r\n\r\nbody\u2028z"
	if err := m.Send(t.Context(), &Message{Event: Failure, Report: r}); err != nil {
		t.Fatal(err)
	}
	got := s.Mails()[0]
	msg, err := mail.ReadMessage(strings.NewReader(got.Text))
	if err != nil || len(got.To) != 2 || msg.Header.Get("Bcc") != "" || msg.Header.Get("X-Evil") != "" {
		t.Errorf("%v %v %v", got.To, msg.Header, err)
	}
	for _, bad := range []string{"a@example.org\r\nBcc: evil@example.org", "a@example.org, b@example.org", "", "a@example.org\n"} {
		m.To = []string{bad}
		if err := m.Send(t.Context(), &Message{Event: Failure, Report: r}); err == nil {
			t.Errorf("sent to %q", bad)
		}
		m.To, m.From = []string{"a@example.org"}, bad
		if err := m.Send(t.Context(), &Message{Event: Failure, Report: r}); err == nil {
			t.Errorf("sent from %q", bad)
		}
		m.From = "a@example.org"
	}
	if len(s.Mails()) != 1 {
		t.Errorf("%d mails", len(s.Mails()))
	}
}

// A server that takes the connection and says nothing costs no more than the limit.
func TestMailLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, sec := range []Security{STARTTLS, TLS, NoTLS} {
		m := &Mail{Server: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: sec, From: "a@example.org", To: []string{"b@example.org"}}
		done := make(chan error, 1)
		go func() {
			errs := Tell(context.Background(), []Channel{{Name: "e-mail", On: Ends, Limit: 200 * time.Millisecond, Sender: m}}, &Message{Event: Success, Report: report(job.Success)})
			done <- errs[0]
		}()
		select {
		case err := <-done:
			if !strings.Contains(err.Error(), "longer than 200ms") {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: the limit does not hold", sec)
		}
	}
}
