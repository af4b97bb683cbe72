package plan

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"
	"unicode"
)

// FieldError is what is wrong with one part of a Definition.
type FieldError struct {
	at  []step
	Msg string
}

// step is one element on the way to a field: the index-th of its name; "*" is
// any name.
type step struct {
	name  string
	index int
}

func (e *FieldError) Error() string {
	var path []string
	for _, s := range e.at {
		name := s.name
		if name == "*" {
			name = "source"
		}
		if s.index > 0 {
			name = fmt.Sprintf("%s %d", name, s.index+1)
		}
		path = append(path, name)
	}
	if len(path) == 0 {
		return e.Msg
	}
	return strings.Join(path, ", ") + ": " + e.Msg
}

// checker gathers what is wrong.
type checker struct {
	errs []error
	at   []step
}

func (c *checker) bad(format string, args ...any) {
	c.errs = append(c.errs, &FieldError{slices.Clone(c.at), fmt.Sprintf(format, args...)})
}

// in checks within an element.
func (c *checker) in(name string, index int, f func()) {
	c.at = append(c.at, step{name, index})
	f()
	c.at = c.at[:len(c.at)-1]
}

// Check says what makes no sense about a definition, all of it joined; each error
// is a *FieldError. It looks at the definition only: whether a disk or a folder
// is there is for others to see.
func (d *Definition) Check() error {
	c := &checker{}
	if name := (&simpleType{base: "xs:string", pattern: namePattern, max: maxText}); name.check(d.Name, patterns{}) != nil || strings.HasSuffix(d.Name, ".xml") {
		c.bad("the name %q: 1 to 64 letters, digits, '.', '_', '-' or blanks, a letter or digit first, no .xml", d.Name)
	}
	if len(d.Sources) == 0 {
		c.bad("it names no source")
	}
	c.in("sources", 0, func() { d.checkSources(c) })
	c.in("destinations", 0, func() { d.checkDestinations(c) })
	c.in("plan", 0, func() { d.checkPlan(c) })
	c.in("options", 0, func() { d.Options.check(c) })
	c.in("conditions", 0, func() { d.Conditions.check(c) })
	c.in("limits", 0, func() { d.Limits.check(c) })
	for i := range d.Hooks {
		c.in("hook", i, func() { d.Hooks[i].check(c) })
	}
	c.in("notify", 0, func() { d.Notify.check(c) })
	c.in("after", 0, func() { d.After.check(c) })
	return errors.Join(c.errs...)
}

func (d *Definition) checkSources(c *checker) {
	disks := map[DiskID]bool{}
	for i := range d.Sources {
		s := &d.Sources[i]
		c.in("*", i, func() {
			s.check(c)
			if s.Kind == SourceAll && len(d.Sources) > 1 {
				c.bad("all disks are a source already, others cannot stand beside")
			}
			id := DiskID{ID: s.Disk.ID, Serial: s.Disk.Serial}
			if id == (DiskID{}) {
				id.Path = s.Disk.Path
			}
			if disks[id] && s.Kind == SourceDisk {
				c.bad("the same disk is a source already")
			}
			disks[id] = true
		})
	}
}

func (s *Source) check(c *checker) {
	if s.Kind != SourceDisk && s.Kind != SourceWindows && s.Kind != SourceAll {
		c.bad("a source of the unknown kind %q", s.Kind)
	}
	if s.Gone != GoneFail && s.Gone != GoneWarn {
		c.bad("gone is %q: fail or warn", s.Gone)
	}
	if s.Kind == SourceDisk && s.Disk.ID+s.Disk.Serial+s.Disk.Path == "" {
		c.bad("name the disk by its id (see 'ingot disks'), its serial or its path")
	}
	if s.Kind != SourceDisk && len(s.Partitions) > 0 {
		c.bad("single partitions go with a disk only")
	}
	c.path("path", s.Disk.Path)
	for i, p := range s.Partitions {
		c.in("partition", i, func() {
			if p.Off < 0 || p.Number < 0 || p.GUID == "" && p.Off == 0 && p.Number == 0 {
				c.bad("name the partition by its guid, its offset in bytes or its number")
			}
		})
	}
}

// path checks a path that may be missing.
func (c *checker) path(what, path string) {
	if path != "" && !Absolute(path) {
		c.bad("%s %q is not absolute: definitions have no current folder", what, path)
	}
}

// Absolute says whether a path is absolute on Linux or on Windows: a definition
// may be checked on another machine than it runs on.
func Absolute(path string) bool {
	if strings.ContainsFunc(path, strange) {
		return false
	}
	drive := len(path) > 2 && unicode.IsLetter(rune(path[0])) && path[1] == ':' && (path[2] == '\\' || path[2] == '/')
	return drive || strings.HasPrefix(path, "/") || strings.HasPrefix(path, `\\`)
}

// strange says whether a character has no place in names: it controls, or XML
// cannot hold it, or it is what stands for bytes that are no text.
func strange(r rune) bool {
	return unicode.IsControl(r) || r == 0xFFFD || r == 0xFFFE || r == 0xFFFF
}

func (d *Definition) checkDestinations(c *checker) {
	if len(d.Destinations) == 0 {
		c.bad("it names no destination")
	}
	seen := map[string]bool{}
	for i, p := range d.Destinations {
		c.in("destination", i, func() {
			if p.Path == "" {
				c.bad("the path is missing")
			}
			c.path("the path", p.Path)
			// Drives that are exchanged for each other have one mount point.
			if key := p.Volume + "\x00" + p.Path; seen[key] {
				c.bad("%s is a destination already", p.Path)
			} else {
				seen[key] = true
			}
		})
	}
	d.checkFileName(c)
}

func (d *Definition) checkFileName(c *checker) {
	rest := strings.NewReplacer("{IMAGEID}", "", "{DATE}", "", "{TIME}", "", "{HOST}", "", "{DISK}", "").Replace(d.FileName)
	if strings.ContainsAny(rest, `{}/\`) || strings.ContainsFunc(rest, strange) || len(d.FileName) > 200 {
		c.bad("file-name %q: a name of text and {IMAGEID}, {DATE}, {TIME}, {HOST}, {DISK}", d.FileName)
	}
}

func (d *Definition) checkPlan(c *checker) {
	if _, err := d.Location(time.UTC); err != nil {
		c.bad("%s", err)
	}
	for i := range d.Schedules {
		c.in("schedule", i, func() { d.Schedules[i].check(c) })
	}
	if err := d.Retention.Check(); err != nil {
		c.in("retention", 0, func() { c.bad("%s", strings.TrimPrefix(err.Error(), "retention: ")) })
	}
}

func (s *Schedule) check(c *checker) {
	if !slices.Contains([]Type{"", Full, Differential, Incremental}, s.Type) {
		c.bad("type %q is none of full, diff, inc", s.Type)
	}
	if s.Delay >= 24*time.Hour || s.Kind == Interval && s.Delay >= s.Every && s.Delay > 0 {
		c.bad("a delay of %s reaches the next run", FormatSpan(s.Delay))
	}
	if s.Missed.Skip && s.Missed.Within > 0 {
		c.bad("a missed run is either skipped or made up within a time")
	}
	for _, d := range []time.Duration{s.Delay, s.Missed.Within, s.IdleFor, s.Gap, s.Every} {
		c.span(d)
	}
	for _, at := range []Clock{s.At, s.From, s.To} {
		if at < 0 || at >= 24*60 {
			c.bad("minute %d is not of a day", at)
		}
	}
	if msg := s.badKind(); msg != "" {
		c.bad("%s", msg)
	}
}

// badKind is what is wrong about the fields of the kind.
func (s *Schedule) badKind() string {
	switch s.Kind {
	case Daily, AtStart, OnIdle, OnPlugged:
	case Monthly:
		if s.Nth == 0 && (s.Day == 0 || s.Day < LastDay || s.Day > 31) {
			return "the day is 1 to 31, or last"
		}
		if s.Nth < Last || s.Nth > 4 || s.Weekday < 0 || s.Weekday > 6 {
			return "nth is 1 to 4, or last, of a day of the week"
		}
	case Interval:
		if s.Every < time.Minute || s.Every > 24*time.Hour || s.Every%time.Minute != 0 {
			return fmt.Sprintf("every %s: whole minutes, from 1m to 24h", FormatSpan(s.Every))
		}
	case Once:
		if _, err := ParseDate(s.Date.String()); err != nil {
			return err.Error()
		}
	default:
		return fmt.Sprintf("kind %q is unknown", s.Kind)
	}
	if s.Days > 1<<7-1 || s.Months > 1<<13-1 || s.Months&1 != 0 {
		return "days or months that there are not"
	}
	return ""
}

func (c *checker) span(d time.Duration) {
	if d < 0 || d > mostSpan || d%time.Second != 0 {
		c.bad("a time of %s: whole seconds, and at most %s", d, FormatSpan(mostSpan))
	}
}

// word checks a value that is "" or one of some.
func (c *checker) word(what, v string, words ...string) {
	if v != "" && !slices.Contains(words, v) {
		c.bad("%s %q is none of %s", what, v, strings.Join(words, ", "))
	}
}

func (o *Options) check(c *checker) {
	c.word("compression", o.Compression, "none", "medium", "high")
	c.word("encrypt", o.Encrypt, "aes-128", "aes-192", "aes-256")
	c.word("changes", o.Changes, "all", "mft")
	c.word("on-read-error", o.OnReadError, "zero", "stop")
	for _, p := range []Priority{o.CPU, o.IO} {
		c.word("priority", string(p), "low", string(PriorityIdle), string(PriorityNormal), string(PriorityHigh))
	}
	if (o.Encrypt != "" || o.Conceal) && !o.Password.Given() {
		c.bad("encryption needs a password")
	}
	c.in("password", 0, func() { o.Password.check(c) })
	if o.AllSectors && len(o.Exclude) > 0 {
		c.bad("all sectors are to be copied, and files to be left out")
	}
	if b := o.BlockSize; b != 0 && (b < 4096 || b > 4<<20 || b&(b-1) != 0) {
		c.bad("block-size %s: a power of two from 4K to 4M", FormatSize(b))
	}
	if o.Split < NoSplit || o.Rate < 0 || o.Workers < 0 || o.FullReadEvery < 0 {
		c.bad("a negative number")
	}
	if o.Rate > 0 && o.Rate < 1<<16 {
		c.bad("a rate of %s a second: at least 64K", FormatSize(o.Rate))
	}
	c.path("temp-dir", o.TempDir)
}

func (p *PasswordRef) check(c *checker) {
	n := 0
	for _, given := range []bool{p.File != "", len(p.Command) > 0, p.Protected != ""} {
		if given {
			n++
		}
	}
	if n > 1 {
		c.bad("a file, a protected file or a command: one of them")
	}
	c.path("file", p.File)
	c.path("protected", p.Protected)
	if len(p.Command) > 0 {
		c.command(p.Command)
	}
}

func (c *checker) command(argv []string) {
	if len(argv) == 0 || !Absolute(argv[0]) {
		c.bad("a command is a program by its absolute path, each argument in an element of its own")
	}
}

func (x *Conditions) check(c *checker) {
	if x.MinBattery < 0 || x.MinBattery > 100 || x.MinBattery > 0 && !x.SkipOnBattery {
		c.bad("min-battery is 1 to 100 percent, and goes with skip-on-battery")
	}
}

func (l *Limits) check(c *checker) {
	c.span(l.Duration)
	c.span(l.RetryAfter)
	if l.Retries < 0 || l.Retries > 100 {
		c.bad("%d retries: at most 100", l.Retries)
	}
}

func (h *Hook) check(c *checker) {
	if !slices.Contains([]HookPoint{BeforeSnapshot, AfterSnapshot, AfterSuccess, AfterWarning, AfterFailure}, h.At) {
		c.bad("at %q is no point of a run", h.At)
	}
	if h.Stop && h.At != BeforeSnapshot && h.At != AfterSnapshot {
		c.bad("the run is over then: stop is for before-snapshot and after-snapshot")
	}
	c.command(h.Command)
	c.path("dir", h.Dir)
	c.span(h.Timeout)
}

func (x *Notify) check(c *checker) {
	for i := range x.Mail {
		c.in("mail", i, func() { x.Mail[i].check(c) })
	}
	for i := range x.Webhooks {
		w := &x.Webhooks[i]
		c.in("webhook", i, func() {
			c.web(w.URL)
			c.word("preset", string(w.Preset), "json", string(WebhookSlack), string(WebhookDiscord), string(WebhookNtfy))
			c.span(w.Timeout)
			c.in("token", 0, func() { w.Token.check(c) })
		})
	}
	for i, p := range x.Pings {
		c.in("ping", i, func() { c.web(p.URL); c.span(p.Timeout) })
	}
	if c.path("metrics", x.Metrics); x.Metrics != "" && !strings.HasSuffix(x.Metrics, ".prom") {
		c.bad("metrics %q: the collector reads files whose names end in .prom", x.Metrics)
	}
	if x.AlertAfter < 0 || x.AlertAfter > 9999 {
		c.bad("an alert after %d days", x.AlertAfter)
	}
}

func (c *checker) web(address string) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		c.bad("%q is no address that begins with https:// or http://", address)
	}
}

func (m *Mail) check(c *checker) {
	if m.Host == "" || strings.ContainsAny(m.Host, " /@") {
		c.bad("host %q: the name or address of the mail server", m.Host)
	}
	if m.Port < 0 || m.Port > 65535 {
		c.bad("port %d", m.Port)
	}
	c.word("security", string(m.Security), "starttls", string(MailTLS), string(MailPlain))
	if m.Security == MailPlain && m.User != "" {
		c.bad("without encryption everybody on the way could read the password of %s", m.User)
	}
	if (m.User != "") != m.Password.Given() {
		c.bad("a user goes with a password, and a password with a user")
	}
	c.address("from", m.From)
	c.in("password", 0, func() { m.Password.check(c) })
	c.in("success", 0, func() { m.Success.check(c) })
	c.in("warning", 0, func() { m.Warning.check(c) })
	c.in("failure", 0, func() { m.Failure.check(c) })
}

func (c *checker) address(what, text string) {
	if _, err := mail.ParseAddress(text); err != nil {
		c.bad("%s %q is no mail address", what, text)
	}
}

func (m *Message) check(c *checker) {
	for _, to := range m.To {
		c.address("to", to)
	}
	for _, text := range []string{m.Subject, m.Body} {
		if _, err := template.New("message").Parse(text); err != nil {
			c.bad("%s", err)
		}
	}
	if strings.ContainsAny(m.Subject, "\r\n") {
		c.bad("a subject has one line")
	}
}

func (a *After) check(c *checker) {
	c.word("power", string(a.Power), "nothing", string(PowerShutDown), string(PowerHibernate), string(PowerSuspend), string(PowerReboot))
	c.span(a.Delay)
	if a.Power == PowerNothing && a.EvenIfFailed {
		c.bad("even-if-failed goes with power")
	}
}
