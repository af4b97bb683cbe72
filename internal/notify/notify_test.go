package notify

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
)

type senderFunc func(m *Message) error

func (f senderFunc) Send(_ context.Context, m *Message) error { return f(m) }

func TestTellAsksThoseOfTheEvent(t *testing.T) {
	told := make(chan string, 10)
	channel := func(name string, on Event, err error) Channel {
		return Channel{Name: name, On: on, Sender: senderFunc(func(*Message) error { told <- name; return err })}
	}
	errs := Tell(t.Context(), []Channel{
		channel("a", Success, nil), channel("b", Failure, nil), channel("c", Troubles, errors.New("broken")), channel("d", Start, nil),
	}, &Message{Event: Failure})
	close(told)
	n := 0
	for name := range told {
		n++
		if name != "b" && name != "c" {
			t.Errorf("%s was told", name)
		}
	}
	if n != 2 || len(errs) != 1 || errs[0].Error() != "notify by c: broken" {
		t.Errorf("%d told, %v", n, errs)
	}
}

func TestOf(t *testing.T) {
	for s, want := range map[job.Status]Event{job.Success: Success, job.Warned: Warning, job.Failed: Failure, job.Skipped: 0, job.Stopped: 0} {
		if Of(s) != want {
			t.Errorf("%s: %d", s, Of(s))
		}
	}
}

func TestTemplates(t *testing.T) {
	for _, good := range []string{"", DefaultSubject, DefaultBody, summary, "{{.Definition}}", "{{if and .Error (ne .Type \"full\")}}{{.Error}}{{else if .Warnings}}w{{end}}",
		"{{range .Warnings}}{{.}}{{else}}none{{end}}", "{{len .Warnings}}", "{{/* a comment */}}"} {
		if err := CheckTemplate(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"{{", "{{.Nothing}}", "{{range 1000000000}}{{end}}", "{{range $i := .Warnings}}{{end}}", "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}",
		"{{template \"\"}}", "{{printf \"%99999999d\" 1}}", "{{call .Error}}", "{{$x := .Error}}", "{{with .Error}}{{end}}", "{{break}}", "{{if .Error}}{{html .Error}}{{end}}", "{{block \"a\" .}}{{end}}"} {
		if err := CheckTemplate(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(DefaultBody)
	f.Add("{{range .Files}}{{range .Files}}{{end}}{{end}}")
	f.Fuzz(func(_ *testing.T, text string) { _ = CheckTemplate(text) })
}

func TestOverdueText(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	m := &Message{Event: Overdue, Report: job.Report{Definition: "system", Host: "pc1"}, Since: now.Add(-8*24*time.Hour - time.Minute)}
	subject, err := render(DefaultSubject, m, now)
	if err != nil || subject != "No backup for 8 days: system on pc1" {
		t.Errorf("%q, %v", subject, err)
	}
}

func TestTextFile(t *testing.T) {
	dir := t.TempDir()
	f := &TextFile{Path: dir}
	r := report(job.Success)
	r.Definition = "a \"b\"\\\n/../c"
	send := func(s job.Status, later time.Duration) string {
		r.Status = s
		r.Ended = r.Ended.Add(later)
		if err := f.Send(t.Context(), &Message{Event: Of(s), Report: r}); err != nil {
			t.Fatal(err)
		}
		names, err := os.ReadDir(dir)
		if err != nil || len(names) != 1 {
			t.Fatalf("%v, %v", names, err)
		}
		b, err := os.ReadFile(filepath.Join(dir, names[0].Name()))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const label = `{definition="a \"b\"\\\n/../c"}`
	if got := send(job.Success, 0); !strings.Contains(got, lastSuccess+label+" 1795574554") {
		t.Error(got)
	}
	got := send(job.Failed, 24*time.Hour)
	if !strings.Contains(got, "ingot_last_run_success"+label+" 0") || !strings.Contains(got, lastSuccess+label+" 1795574554") {
		t.Errorf("the last success is forgotten:\n%s", got)
	}
	if !strings.Contains(got, "ingot_last_run_timestamp_seconds"+label+" 1795660954") {
		t.Error(got)
	}
}

func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := report(job.Failed)
	r.Error = "full\n<0>kernel: forged"
	if err := (&System{Socket: path}).Send(t.Context(), &Message{Event: Failure, Report: r}); err != nil {
		t.Fatal(err)
	}
	var lines []string
	b := make([]byte, 2000)
	for range 4 {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b[:n]))
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "<27>") || !strings.Contains(l, "ingot[") || strings.Contains(l, "\n") {
			t.Errorf("%q", l)
		}
	}
	if !strings.Contains(lines[2], "]: <0>kernel: forged") {
		t.Errorf("%q", lines)
	}
	if err := (&System{Socket: path + "-absent"}).Send(t.Context(), &Message{Event: Failure, Report: r}); err != nil {
		t.Error(err)
	}
}

// Each sample has a HELP and a TYPE before it, as the format wants it.
func TestExposition(t *testing.T) {
	text := exposition(&Message{Event: Success, Report: report(job.Success)}, 1)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i < len(lines); i += 3 {
		name, _, _ := strings.Cut(lines[i+2], "{")
		if !strings.HasPrefix(lines[i], "# HELP "+name+" ") || lines[i+1] != "# TYPE "+name+" gauge" {
			t.Errorf("%q", lines[i:i+3])
		}
	}
}
