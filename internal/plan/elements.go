package plan

import (
	"strconv"
	"time"
)

// The elements of a definition, in their order. Each function says what is in
// one of them, for reading, writing and the schema alike.

const (
	namePattern  = `[A-Za-z0-9][A-Za-z0-9._ \-]{0,63}`
	zonePattern  = `[A-Za-z0-9_+\-]{1,40}(/[A-Za-z0-9_+\-]{1,40}){0,2}`
	wordPattern  = `[a-z0-9][a-z0-9\-]{0,63}`
	guidPattern  = `[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}`
	splitPattern = `auto|none|` + sizePattern
	webPattern   = `https?://[!-~]+`
)

// isZero says whether a struct has its defaults only, so that it needs no
// element. For those with slices see their callers.
func isZero[T comparable](v T) bool {
	var zero T
	return v == zero
}

func (d *Definition) visit(c *codec) {
	c.like("name", &d.Name, namePattern, true)
	c.flag("disabled", &d.Disabled)
	c.child("comment", d.Comment != "", func(c *codec) { c.text(&d.Comment, longText(0)) })
	c.child2("sources", func(c *codec) {
		alternatives(c, &d.Sources, 1, 0, func(s *Source) string { return sourceName(s.Kind) }, []string{"disk", "windows", "all"}, visitSource)
	})
	c.child2("destinations", d.visitDestinations)
	c.child2("plan", d.visitPlan)
	c.child("options", d.Options.on(), d.Options.visit)
	c.child("conditions", !isZero(d.Conditions), d.Conditions.visit)
	c.child("limits", !isZero(d.Limits), d.Limits.visit)
	list(c, "hook", &d.Hooks, 0, func(c *codec, h *Hook) { h.visit(c) })
	c.child("notify", d.Notify.on(), d.Notify.visit)
	c.child("after", !isZero(d.After), d.After.visit)
}

// child2 takes an element that must be there.
func (c *codec) child2(name string, v visit) { c.one(name, choice{name, v}) }

// longText is the type of texts of several lines.
func longText(least int64) simpleType {
	return simpleType{base: "xs:string", min: least, max: 1 << 16}
}

func sourceName(k SourceKind) string {
	if k == SourceDisk {
		return "disk"
	}
	return string(k)
}

func visitSource(c *codec, name string, s *Source) {
	if name != "disk" {
		s.Kind = SourceKind(name)
	}
	enum(c, "gone", &s.Gone, "fail", string(GoneWarn))
	if name == "all" {
		return
	}
	c.guid("id", &s.Disk.ID, guidPattern+`|[0-9A-Fa-f]{8}`)
	c.str("serial", &s.Disk.Serial, false)
	c.str("model", &s.Disk.Model, false)
	c.str("path", &s.Disk.Path, false)
	if name == "disk" {
		list(c, "partition", &s.Partitions, 0, func(c *codec, p *PartitionID) { p.visit(c) })
	}
}

func (p *PartitionID) visit(c *codec) {
	c.guid("guid", &p.GUID, guidPattern)
	c.size("offset", &p.Off)
	c.num("number", &p.Number, 1, 1<<16)
	c.str("label", &p.Label, false)
}

func (d *Definition) visitDestinations(c *codec) {
	order := ""
	if d.Rotate {
		order = "rotate"
	}
	enum(c, "choose", &order, "in-order", "rotate")
	d.Rotate = order == "rotate"
	c.str("file-name", &d.FileName, false)
	list(c, "destination", &d.Destinations, 1, func(c *codec, p *Destination) {
		c.str("path", &p.Path, true)
		c.str("volume", &p.Volume, false)
		c.flag("mounted", &p.Mounted)
	})
}

func (d *Definition) visitPlan(c *codec) {
	c.like("template", &d.Template, wordPattern, false)
	c.like("time-zone", &d.TimeZone, zonePattern, false)
	list(c, "schedule", &d.Schedules, 0, func(c *codec, s *Schedule) { s.visit(c) })
	c.child("retention", !isZero(d.Retention), d.Retention.visit)
}

func (s *Schedule) visit(c *codec) {
	enum(c, "type", &s.Type, string(Incremental), string(Differential), string(Full))
	c.span("delay", &s.Delay)
	missed := ""
	if s.Missed.Skip {
		missed = "skip"
	}
	enum(c, "missed", &missed, "make-up", "skip")
	s.Missed.Skip = missed == "skip"
	c.span("within", &s.Missed.Within)
	event := func(kind Kind) choice {
		return choice{string(kind), func(c *codec) {
			s.Kind = kind
			if kind == OnIdle {
				c.span("for", &s.IdleFor)
			}
			c.span("gap", &s.Gap)
		}}
	}
	c.one(s.element(), choice{"daily", s.visitDaily}, choice{"monthly", s.visitMonthly}, choice{"monthly-weekday", s.visitNth},
		choice{"interval", s.visitInterval}, choice{"once", s.visitOnce}, event(AtStart), event(OnIdle), event(OnPlugged))
}

// element is the name of the element that has the schedule.
func (s *Schedule) element() string {
	switch {
	case s.Kind == Daily:
		return "daily"
	case s.Kind == Monthly && s.Nth != 0:
		return "monthly-weekday"
	}
	return string(s.Kind)
}

func (s *Schedule) visitDaily(c *codec) {
	s.Kind = Daily
	c.clock("at", &s.At, true)
	c.days("days", &s.Days)
}

func (s *Schedule) visitMonths(c *codec) {
	s.Kind = Monthly
	c.clock("at", &s.At, true)
	scalar(c, "months", &s.Months, false, monthPattern+`( `+monthPattern+`)*`, MonthSet.String, ParseMonths)
}

// ordinalValue is a number that may be the last.
func ordinalValue(c *codec, name string, n *int, pattern string) {
	format := func(n int) string {
		if n < 0 {
			return "last"
		}
		return strconv.Itoa(n)
	}
	parse := func(text string) (int, error) {
		if text == "last" {
			return Last, nil
		}
		return strconv.Atoi(text)
	}
	scalar(c, name, n, true, pattern, format, parse)
}

func (s *Schedule) visitMonthly(c *codec) {
	s.visitMonths(c)
	ordinalValue(c, "day", &s.Day, `[1-9]|[12][0-9]|3[01]|last`)
}

func (s *Schedule) visitNth(c *codec) {
	s.visitMonths(c)
	ordinalValue(c, "nth", &s.Nth, `[1-4]|last`)
	scalar(c, "weekday", &s.Weekday, true, dayPattern, func(d time.Weekday) string { return dayWords[d] }, ParseWeekday)
}

func (s *Schedule) visitInterval(c *codec) {
	s.Kind = Interval
	scalar(c, "every", &s.Every, true, spanPattern, FormatSpan, ParseSpan)
	c.clock("from", &s.From, false)
	c.clock("to", &s.To, false)
	c.days("days", &s.Days)
}

func (s *Schedule) visitOnce(c *codec) {
	s.Kind = Once
	scalar(c, "date", &s.Date, true, datePattern, Date.String, ParseDate)
	c.clock("at", &s.At, true)
}

func (r *Retention) visit(c *codec) {
	c.keep("full", &r.Full)
	c.keep("differential", &r.Differential)
	c.keep("incremental", &r.Incremental)
	enum(c, "scope", &r.Scope, "matching", string(AllSets))
	c.flag("synthetic-full", &r.SyntheticFull)
	c.flag("purge-before", &r.PurgeBefore)
	c.size("min-free", &r.MinFree)
	c.flag("drop-last", &r.DropLast)
	c.num("minimum", &r.Minimum, 0, mostKeep)
	c.num("daily", &r.GFS.Daily, 0, mostKeep)
	c.num("weekly", &r.GFS.Weekly, 0, mostKeep)
	c.num("monthly", &r.GFS.Monthly, 0, mostKeep)
	c.num("yearly", &r.GFS.Yearly, 0, mostKeep)
}

// on says whether any option is set.
func (o *Options) on() bool {
	zero := *o
	zero.Exclude, zero.Password.Command = nil, nil
	return len(o.Exclude) > 0 || o.Password.Given() ||
		zero.Compression+zero.Encrypt+zero.Changes+zero.OnReadError+zero.TempDir+string(zero.CPU)+string(zero.IO) != "" ||
		zero.Conceal || zero.Verify || zero.AllSectors || zero.FullIndex || zero.AllowMounted || zero.AllowSleep ||
		zero.Split != 0 || zero.FullReadEvery != 0 || zero.BlockSize != 0 || zero.Workers != 0 || zero.Rate != 0
}

func (o *Options) visit(c *codec) {
	enum(c, "compression", &o.Compression, "medium", "none", "high")
	enum(c, "encrypt", &o.Encrypt, "default", "aes-128", "aes-192", "aes-256")
	c.flag("conceal", &o.Conceal)
	scalar(c, "split", &o.Split, false, splitPattern, formatSplit, parseSplit)
	c.flag("verify", &o.Verify)
	c.flag("all-sectors", &o.AllSectors)
	enum(c, "changes", &o.Changes, "all", "mft")
	c.num("full-read-every", &o.FullReadEvery, 0, mostKeep)
	c.flag("full-index", &o.FullIndex)
	enum(c, "on-read-error", &o.OnReadError, "zero", "stop")
	c.size("block-size", &o.BlockSize)
	c.flag("allow-mounted", &o.AllowMounted)
	c.str("temp-dir", &o.TempDir, false)
	c.num("workers", &o.Workers, 0, 1024)
	enum(c, "cpu", &o.CPU, "low", string(PriorityIdle), string(PriorityNormal), string(PriorityHigh))
	enum(c, "io", &o.IO, "low", string(PriorityIdle), string(PriorityNormal), string(PriorityHigh))
	c.size("rate", &o.Rate)
	c.flag("allow-sleep", &o.AllowSleep)
	o.Password.child(c, "password")
	list(c, "exclude", &o.Exclude, 0, func(c *codec, s *string) { c.text(s, lineText(1)) })
}

func formatSplit(n int64) string {
	if n == NoSplit {
		return "none"
	}
	return FormatSize(n)
}

func parseSplit(text string) (int64, error) {
	switch text {
	case "auto":
		return 0, nil
	case "none":
		return NoSplit, nil
	}
	return ParseSize(text)
}

// lineText is the type of texts in elements that are one line.
func lineText(least int64) simpleType {
	return simpleType{base: "xs:string", min: least, max: maxText}
}

// child takes a reference to a password as an element of that name.
func (p *PasswordRef) child(c *codec, name string) {
	c.child(name, p.Given(), func(c *codec) {
		c.str("file", &p.File, false)
		c.str("protected", &p.Protected, false)
		command(c, &p.Command, 0)
	})
}

// command takes a program and its arguments.
func command(c *codec, argv *[]string, least int) {
	var program string
	var arguments []string
	if len(*argv) > 0 {
		program, arguments = (*argv)[0], (*argv)[1:]
	}
	c.some([]choice{{"command", func(c *codec) { c.text(&program, lineText(1)) }}}, least, 1, min(1, len(*argv)),
		func(int) choice { return choice{"command", func(c *codec) { c.text(&program, lineText(1)) }} },
		func(string) visit { return func(c *codec) { c.text(&program, lineText(1)) } })
	list(c, "argument", &arguments, 0, func(c *codec, s *string) { c.text(s, lineText(0)) })
	if c.mode == reading && (program != "" || len(arguments) > 0) {
		*argv = append([]string{program}, arguments...)
	}
}

func (x *Conditions) visit(c *codec) {
	c.flag("skip-on-battery", &x.SkipOnBattery)
	c.num("min-battery", &x.MinBattery, 0, 100)
	c.flag("skip-on-metered", &x.SkipOnMetered)
}

func (l *Limits) visit(c *codec) {
	c.span("duration", &l.Duration)
	c.num("retries", &l.Retries, 0, 100)
	c.span("retry-after", &l.RetryAfter)
}

func (h *Hook) visit(c *codec) {
	at := simpleType{base: "xs:string", enum: []string{string(BeforeSnapshot), string(AfterSnapshot), string(AfterSuccess), string(AfterWarning), string(AfterFailure)}}
	c.attr(value{"at", at, true, func() string { return string(h.At) }, func(text string) error { h.At = HookPoint(text); return nil }, nil})
	c.str("dir", &h.Dir, false)
	c.span("timeout", &h.Timeout)
	c.flag("stop", &h.Stop)
	command(c, &h.Command, 1)
}

func (a *After) visit(c *codec) {
	c.flag("detach", &a.Detach)
	enum(c, "power", &a.Power, "nothing", string(PowerShutDown), string(PowerHibernate), string(PowerSuspend), string(PowerReboot))
	c.flag("even-if-failed", &a.EvenIfFailed)
	c.span("delay", &a.Delay)
}

// on says whether anything is to be told.
func (x *Notify) on() bool {
	return len(x.Mail)+len(x.Webhooks)+len(x.Pings) > 0 || x.Desktop || x.NoEventLog || x.Metrics != "" || x.AlertAfter != 0
}

func (x *Notify) visit(c *codec) {
	c.flag("desktop", &x.Desktop)
	c.flag("no-event-log", &x.NoEventLog)
	c.str("metrics", &x.Metrics, false)
	c.num("alert-after-days", &x.AlertAfter, 0, 9999)
	list(c, "mail", &x.Mail, 0, func(c *codec, m *Mail) { m.visit(c) })
	list(c, "webhook", &x.Webhooks, 0, func(c *codec, w *Webhook) { w.visit(c) })
	list(c, "ping", &x.Pings, 0, func(c *codec, p *Ping) {
		c.like("url", &p.URL, webPattern, true)
		c.span("timeout", &p.Timeout)
	})
}

func (m *Mail) visit(c *codec) {
	c.str("host", &m.Host, true)
	c.num("port", &m.Port, 1, 65535)
	enum(c, "security", &m.Security, "starttls", string(MailTLS), string(MailPlain))
	c.str("user", &m.User, false)
	c.str("from", &m.From, true)
	m.Password.child(c, "password")
	for _, part := range []struct {
		name string
		of   *Message
	}{{"success", &m.Success}, {"warning", &m.Warning}, {"failure", &m.Failure}} {
		c.child(part.name, part.of.set(), part.of.visit)
	}
}

func (m *Message) set() bool {
	return m.On() || m.AttachLog || m.Subject != "" || m.Body != ""
}

func (m *Message) visit(c *codec) {
	c.flag("attach-log", &m.AttachLog)
	list(c, "to", &m.To, 0, func(c *codec, s *string) { c.text(s, lineText(1)) })
	c.child("subject", m.Subject != "", func(c *codec) { c.text(&m.Subject, lineText(0)) })
	c.child("body", m.Body != "", func(c *codec) { c.text(&m.Body, longText(0)) })
}

func (w *Webhook) visit(c *codec) {
	c.like("url", &w.URL, webPattern, true)
	enum(c, "preset", &w.Preset, "json", string(WebhookSlack), string(WebhookDiscord), string(WebhookNtfy))
	c.flag("on-start", &w.On.Start)
	c.flag("on-success", &w.On.Success)
	c.flag("on-warning", &w.On.Warning)
	c.flag("on-failure", &w.On.Failure)
	c.span("timeout", &w.Timeout)
	w.Token.child(c, "token")
}
