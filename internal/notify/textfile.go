package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// TextFile keeps a file for the textfile collector of the Prometheus node
// exporter, replaced as a whole. Two definitions cannot share one.
type TextFile struct {
	// Path is the file, which ends with .prom, or the folder of the collector,
	// where each definition gets a file of its own.
	Path string
}

// metric is one line of the file.
type metric struct {
	name, help string
	value      func(m *Message) float64
}

const lastSuccess = "ingot_last_success_timestamp_seconds"

var metrics = []metric{
	{"ingot_last_run_timestamp_seconds", "When the last run of the backup ended.", func(m *Message) float64 { return seconds(m.Report.Ended) }},
	{"ingot_last_run_duration_seconds", "How long the last run took.", func(m *Message) float64 { return m.Report.Took().Seconds() }},
	{"ingot_last_run_exit_code", "Exit code of the last run, 0 when it was done.", func(m *Message) float64 { return float64(m.Report.ExitCode) }},
	{"ingot_last_run_success", "1 when the last run made a backup, 0 when not.", func(m *Message) float64 { return one(m.Report.Status.Good()) }},
	{"ingot_last_run_warnings", "Number of warnings of the last run.", func(m *Message) float64 { return float64(len(m.Report.Warnings)) }},
	{"ingot_last_run_read_bytes", "Bytes the last run read of its sources.", func(m *Message) float64 { return float64(m.Report.Read()) }},
	{"ingot_last_run_stored_bytes", "Bytes of the image files of the last run.", func(m *Message) float64 { return float64(m.Report.Stored()) }},
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Send implements Sender. It is for the ends of runs.
func (f *TextFile) Send(_ context.Context, m *Message) error {
	if !m.Event.Has(Ends) {
		return nil
	}
	path := f.Path
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, "ingot_"+fileName(m.Report.Definition)+".prom")
	}
	success := seconds(m.Report.Ended)
	if !m.Report.Status.Good() {
		success = earlier(path)
	}
	if err := replace(path, exposition(m, success)); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// exposition is the text format of Prometheus, version 0.0.4.
func exposition(m *Message, success float64) []byte {
	var b bytes.Buffer
	label := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(m.Report.Definition)
	line := func(name, help string, v float64) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s{definition=\"%s\"} %s\n", name, help, name, name, label, strconv.FormatFloat(v, 'f', -1, 64))
	}
	for _, me := range metrics {
		line(me.name, me.help, me.value(m))
	}
	if success > 0 {
		line(lastSuccess, "When the last run that made a backup ended.", success)
	}
	return b.Bytes()
}

// earlier is the time of the last success that the file at path holds, 0 when
// it tells of none.
func earlier(path string) float64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, lastSuccess+"{") {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, '}')+1:]), 64); err == nil {
			return v
		}
	}
	return 0
}

// fileName makes a part of a file name of any text, another one for another text.
func fileName(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// replace writes a file that is seen whole or not at all.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close()) // the exporter is another user
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
