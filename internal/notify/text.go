package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"ingot/internal/job"
)

// Fields are what a template can show. All are plain values, without methods.
type Fields struct {
	Definition string
	Host       string
	Event      string // started, success, warning, failure, overdue, test
	Type       string // full, differential, incremental
	Began      string // 2026-11-25 02:30
	Ended      string
	Duration   string // 1h2m3s
	Days       int    // overdue: full days without a successful backup
	Since      string // overdue: when the last one ended
	Folder     string
	File       string // of the last image
	Files      []string
	Read       string // 12 GiB
	Stored     string
	Error      string
	Hint       string
	ExitCode   int
	Warnings   []string
	Notes      []string
	Run        string
	Log        string // path
}

// Templates of e-mails where a definition has none of its own.
const (
	DefaultSubject = `{{if eq .Event "overdue"}}No backup for {{.Days}} days{{else}}Backup {{.Event}}{{end}}: {{.Definition}} on {{.Host}}`
	DefaultBody    = `{{if eq .Event "test"}}This is a test: word of the backup "{{.Definition}}" on {{.Host}} arrives. No backup was made.
{{else if eq .Event "overdue"}}There was no successful backup of "{{.Definition}}" on {{.Host}} since {{.Since}}, {{.Days}} days ago.
{{else}}The backup "{{.Definition}}" on {{.Host}} {{if eq .Event "started"}}has begun.{{else}}ended: {{.Event}}.{{end}}
{{if .Error}}
Error: {{.Error}}
{{if .Hint}}What to do: {{.Hint}}
{{end}}{{end}}{{if .Warnings}}
Warnings:
{{range .Warnings}}  - {{.}}
{{end}}{{end}}
Began:    {{.Began}}
{{if .Ended}}Ended:    {{.Ended}} (after {{.Duration}})
{{end}}{{if .Type}}Type:     {{.Type}}
{{end}}{{if .Folder}}Folder:   {{.Folder}}
{{end}}{{range .Files}}File:     {{.}}
{{end}}{{if .Files}}Read:     {{.Read}}
Stored:   {{.Stored}}
{{end}}{{if .Notes}}
Notes:
{{range .Notes}}  - {{.}}
{{end}}{{end}}{{if .Log}}
Log:      {{.Log}}
{{end}}{{end}}`
	// summary is what goes where there is room for a few lines.
	summary = `{{if eq .Event "test"}}Test: word of the backup "{{.Definition}}" on {{.Host}} arrives{{else if eq .Event "overdue"}}No successful backup of "{{.Definition}}" on {{.Host}} for {{.Days}} days{{else}}Backup "{{.Definition}}" on {{.Host}}: {{.Event}}{{end}}` +
		`{{if .Files}}, {{.Type}}, {{.Stored}} stored in {{.Duration}}{{end}}{{if .Error}}
{{.Error}}{{end}}{{range .Warnings}}
Warning: {{.}}{{end}}`
)

var words = map[Event]string{Start: "started", Success: "success", Warning: "warning", Failure: "failure", Overdue: "overdue", Test: "test"}

var types = map[string]string{"diff": "differential", "inc": "incremental"}

const minute = "2006-01-02 15:04"

// fields are those of a message at the time now.
func fields(m *Message, now time.Time) *Fields {
	r := &m.Report
	f := &Fields{
		Definition: r.Definition, Host: r.Host, Event: words[m.Event], Type: r.Type, Folder: r.Folder, Error: r.Error, Hint: r.Hint,
		ExitCode: r.ExitCode, Warnings: r.Warnings, Notes: r.Notes, Run: r.Run, Log: r.Log, Began: stamp(r.Began), Ended: stamp(r.Ended),
		Read: size(r.Read()), Stored: size(r.Stored()), Since: stamp(m.Since),
	}
	if t, ok := types[r.Type]; ok {
		f.Type = t
	}
	if !r.Ended.IsZero() {
		f.Duration = r.Took().Round(time.Second).String()
	}
	if !m.Since.IsZero() {
		f.Days = int(now.Sub(m.Since) / (24 * time.Hour))
	}
	for i := range r.Images {
		f.File = r.Images[i].File
		f.Files = append(f.Files, f.File)
	}
	return f
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(minute)
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// CheckTemplate says what of a template is wrong.
func CheckTemplate(text string) error {
	_, err := render(text, &Message{Report: job.Report{Images: []job.Image{{}}, Warnings: []string{""}, Notes: []string{""}}}, time.Time{})
	return err
}

// maxText is how long what a template gives may be.
const maxText = 1 << 20

func render(text string, m *Message, now time.Time) (string, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	if len(t.Templates()) > 1 {
		return "", errors.New("template: define and block have no place in it")
	}
	if t.Tree != nil {
		if err := allowed(t.Root); err != nil {
			return "", fmt.Errorf("template: %w", err)
		}
	}
	out := &bounded{left: maxText}
	if err := t.Execute(out, fields(m, now)); err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	return out.String(), nil
}

// bounded is a text that cannot grow without end.
type bounded struct {
	strings.Builder
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("the text is too long")
	}
	return b.Builder.Write(p)
}

// functions are those that cost no more than their arguments are long.
var functions = []string{"eq", "ne", "and", "or", "not", "len", "lt", "le", "gt", "ge"}

// allowed finds what of a template is not one of texts, fields, conditions and
// walks along a field: everything else might never end.
func allowed(n parse.Node) error {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, c := range n.Nodes {
			if err := allowed(c); err != nil {
				return err
			}
		}
		return nil
	case *parse.TextNode, *parse.CommentNode:
		return nil
	case *parse.ActionNode:
		return allowedPipe(n.Pipe)
	case *parse.IfNode:
		return errors.Join(allowedPipe(n.Pipe), allowed(n.List), allowed(n.ElseList))
	case *parse.RangeNode:
		if !isField(n.Pipe) {
			return fmt.Errorf("%s: only a field can be walked along, such as range .Warnings", n.Pipe)
		}
		return errors.Join(allowed(n.List), allowed(n.ElseList))
	}
	return fmt.Errorf("%s has no place in it", n)
}

func isField(p *parse.PipeNode) bool {
	if len(p.Decl) > 0 || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	_, ok := p.Cmds[0].Args[0].(*parse.FieldNode)
	return ok
}

func allowedPipe(p *parse.PipeNode) error {
	if len(p.Decl) > 0 {
		return fmt.Errorf("%s: variables have no place in it", p)
	}
	for _, c := range p.Cmds {
		for _, a := range c.Args {
			if err := allowedArg(a); err != nil {
				return err
			}
		}
	}
	return nil
}

func allowedArg(a parse.Node) error {
	switch a := a.(type) {
	case *parse.FieldNode, *parse.DotNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
		return nil
	case *parse.PipeNode:
		return allowedPipe(a)
	case *parse.IdentifierNode:
		if slices.Contains(functions, a.Ident) {
			return nil
		}
	}
	return fmt.Errorf("%s has no place in it", a)
}

// oneLine makes a text fit for a header or a title: no control characters, no
// more than n characters.
func oneLine(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }), " ")
	return shorten(s, n)
}

// shorten cuts a text to n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
