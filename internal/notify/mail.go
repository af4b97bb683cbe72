package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
)

// Security is how the way to a mail server is protected.
type Security string

// The ways. With both of the first the certificate of the server must be valid
// for its name.
const (
	STARTTLS Security = "starttls" // in the clear until the server agrees; a server that does not is an error
	TLS      Security = "tls"      // from the first byte
	NoTLS    Security = "none"     // for a server on this machine; a password is sent only by methods that hide it
)

// Mail sends an e-mail by a mail server (SMTP, RFC 5321).
type Mail struct {
	Server   string
	Port     int      // 0 is 587 for STARTTLS, 465 for TLS, 25 for none
	Security Security // "" is STARTTLS
	User     string   // "" does not authenticate
	Password Secret
	From     string // an address, "Backups <backup@example.org>"
	To       []string
	// Subject and Body are templates of Fields; "" are the defaults.
	Subject, Body string
	// Attach has the log of the run attached.
	Attach bool
	// Roots are the authorities that certificates must come from; nil are
	// those of the system.
	Roots *x509.CertPool
}

// maxLog is how much of a log is attached: its end is what tells most.
const maxLog = 4 << 20

// Check says what of the settings makes no sense.
func (s *Mail) Check() error {
	if s.Server == "" || strings.ContainsFunc(s.Server, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return fmt.Errorf("mail server %q: give a name or an address", s.Server)
	}
	if s.Port < 0 || s.Port > 65535 {
		return fmt.Errorf("mail server %s: port %d is not within 1 and 65535", s.Server, s.Port)
	}
	switch s.Security {
	case "", STARTTLS, TLS, NoTLS:
	default:
		return fmt.Errorf("mail server %s: security %q is none of starttls, tls, none", s.Server, s.Security)
	}
	if len(s.To) == 0 {
		return errors.New("mail: nobody is to get it")
	}
	for _, a := range append([]string{s.From}, s.To...) {
		if err := checkAddress(a); err != nil {
			return err
		}
	}
	return errors.Join(CheckTemplate(s.Subject), CheckTemplate(s.Body))
}

// checkAddress takes one address, and nothing that could become a second header.
func checkAddress(a string) error {
	if strings.ContainsFunc(a, unicode.IsControl) {
		return fmt.Errorf("mail address %q has control characters in it", a)
	}
	if _, err := mail.ParseAddress(a); err != nil {
		return fmt.Errorf("mail address %q: %w", a, err)
	}
	return nil
}

// Send implements Sender.
func (s *Mail) Send(ctx context.Context, m *Message) error {
	if err := s.Check(); err != nil {
		return err
	}
	msg, err := s.message(m)
	if err != nil {
		return err
	}
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, msg)
}

func (s *Mail) message(m *Message) (*gomail.Msg, error) {
	now := time.Now()
	subject, err := render(or(s.Subject, DefaultSubject), m, now)
	if err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	body, err := render(or(s.Body, DefaultBody), m, now)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	msg := gomail.NewMsg()
	if err := errors.Join(msg.From(s.From), msg.To(s.To...)); err != nil {
		return nil, err
	}
	msg.Subject(oneLine(subject, 200))
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers of absence
	msg.SetUserAgent("Ingot")
	msg.SetBodyString(gomail.TypeTextPlain, body)
	if s.Attach && len(m.Log) > 0 {
		log := m.Log[max(0, len(m.Log)-maxLog):]
		if err := msg.AttachReader("backup-log.txt", strings.NewReader(string(log)), gomail.WithFileContentType("text/plain")); err != nil {
			return nil, err
		}
	}
	return msg, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// client makes a client whose connection ends with ctx, whatever it is at.
func (s *Mail) client(ctx context.Context) (*gomail.Client, error) {
	conf := &tls.Config{ServerName: s.Server, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	opts := []gomail.Option{
		gomail.WithTLSConfig(conf), gomail.WithPort(s.port()),
		gomail.WithDialContextFunc(func(dial context.Context, network, addr string) (net.Conn, error) {
			return s.dial(ctx, dial, network, addr, conf)
		}),
	}
	if deadline, ok := ctx.Deadline(); ok {
		opts = append(opts, gomail.WithTimeout(max(time.Until(deadline), 0)+time.Second)) // it is ctx that ends it
	}
	if s.Security == "" || s.Security == STARTTLS {
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	} else {
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS)) // what dial gives is used as it is
	}
	if s.User != "" {
		password, err := s.password(ctx)
		if err != nil {
			return nil, err
		}
		opts = append(opts, gomail.WithOpportunisticSMTPAuth(s.methods()...), gomail.WithUsername(s.User), gomail.WithPassword(password))
	}
	return gomail.NewClient(s.Server, opts...)
}

// methods are those of authentication, the best first. Without TLS only those are
// taken that do not show the password.
func (s *Mail) methods() []gomail.SMTPAuthType {
	if s.Security == NoTLS {
		return []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5}
	}
	return []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5}
}

func (s *Mail) password(ctx context.Context) (string, error) {
	if s.Password == nil {
		return "", fmt.Errorf("mail server %s: there is no password for %s", s.Server, s.User)
	}
	p, err := s.Password(ctx)
	if err != nil {
		return "", fmt.Errorf("password of %s at mail server %s: %w", s.User, s.Server, err)
	}
	return p, nil
}

func (s *Mail) port() int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.Security == TLS:
		return 465
	case s.Security == NoTLS:
		return 25
	}
	return 587
}

// dial opens a connection that is closed when ctx, that of the whole mail, ends.
func (s *Mail) dial(ctx, dial context.Context, network, addr string, conf *tls.Config) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(dial, network, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to mail server %s port %s: %w", s.Server, strconv.Itoa(s.port()), err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	if s.Security != TLS {
		return conn, nil
	}
	t := tls.Client(conn, conf)
	if err := t.HandshakeContext(dial); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS with mail server %s: %w", s.Server, err), conn.Close())
	}
	return t, nil
}
