package runner

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/internal/job"
)

const (
	// keptLogs is how many logs of a definition are kept.
	keptLogs = 200
	// maxEvents bounds what a log holds; what is beyond it is counted.
	maxEvents = 20_000
	// maxText bounds the text for mails, in bytes.
	maxText = 1 << 20
	// progressEvery is how often a log tells of progress.
	progressEvery = time.Minute
)

// transcript keeps what a run tells: in a file, one JSON object a line, of which
// the last is the report; and as text, for the mail to the owner.
type transcript struct {
	path string

	mu       sync.Mutex
	file     *os.File // nil when none is kept
	err      error    // the first of writing
	events   int
	progress time.Time // of the last event that told of progress
	lines    strings.Builder
	notes    []string
}

// newTranscript begins the log of a run in dir/DEFINITION/RUN.jsonl; with dir ""
// there is no file. The transcript can be used after an error too.
func newTranscript(dir, definition, run string) (*transcript, error) {
	t := &transcript{}
	if dir == "" {
		return t, nil
	}
	dir = filepath.Join(dir, cmp.Or(plainName(definition), "_"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return t, err
	}
	tidy(dir)
	path := filepath.Join(dir, cmp.Or(plainName(run), "_")+".jsonl")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return t, err
	}
	t.file, t.path = f, path
	return t, nil
}

// plainName leaves nothing in a name that means something in a path.
func plainName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, s)
	return strings.TrimLeft(s, ".")
}

// tidy deletes the oldest logs. Their names begin with their time.
func tidy(dir string) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(names) < keptLogs {
		return
	}
	slices.Sort(names)
	for _, n := range names[:len(names)-keptLogs+1] {
		_ = os.Remove(n)
	}
}

func (t *transcript) add(e job.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Kind == job.Progress {
		if e.Time.Sub(t.progress) < progressEvery {
			return
		}
		t.progress = e.Time
	}
	if e.Kind == job.Note && len(t.notes) < 1000 {
		t.notes = append(t.notes, e.Text)
	}
	if t.events++; t.events > maxEvents {
		return
	}
	t.put(e)
	if line := textOf(&e); line != "" && t.lines.Len() < maxText {
		fmt.Fprintf(&t.lines, "%s %s\n", e.Time.Format(time.TimeOnly), line)
	}
}

func textOf(e *job.Event) string {
	switch e.Kind {
	case job.Note:
		return e.Text
	case job.Warning:
		return "Warning: " + e.Text
	case job.Stage:
		return fmt.Sprintf("%s: %d MiB", e.Stage, e.Total>>20)
	case job.Progress:
		return fmt.Sprintf("%s: %d of %d MiB %s", e.Stage, e.Done>>20, e.Total>>20, e.Object)
	}
	return ""
}

// put writes a line of the file.
func (t *transcript) put(v any) {
	if t.file == nil || t.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = t.file.Write(append(b, '\n'))
	}
	t.err = err
}

func (t *transcript) text() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []byte(t.lines.String())
}

// close ends the file with the report.
func (t *transcript) close(r *job.Report) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		return nil
	}
	if lost := t.events - maxEvents; lost > 0 {
		t.put(job.Event{Time: r.Ended, Kind: job.Note, Text: fmt.Sprintf("%d more events were left out of this log", lost)})
	}
	t.put(r)
	err := errors.Join(t.err, t.file.Sync(), t.file.Close())
	t.file = nil
	if err != nil {
		return fmt.Errorf("write the log of the run: %w", err)
	}
	return nil
}
