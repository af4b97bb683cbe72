package service

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ingot/internal/job"
)

// Limits of the logs of runs.
const (
	maxLogFile     = 8 << 20   // bytes of one file; what comes then is counted, not kept
	maxLogFolder   = 256 << 20 // bytes of all of them; the oldest go
	maxLine        = 1 << 20   // bytes of one line of a run's output
	reservedForEnd = 64 << 10  // of one file, for the words at the end
)

// Line is one line of the log of a run: what its process told, what it printed
// beside that, or what the service has to say.
type Line struct {
	Time   time.Time       `json:"time"`
	Kind   string          `json:"kind"` // stage, note, warning; output, error, service, report
	Stage  string          `json:"stage,omitempty"`
	Object string          `json:"object,omitempty"`
	Text   string          `json:"text,omitempty"`
	Report json.RawMessage `json:"report,omitempty"`
}

// logs is the folder with one file of JSON lines for each run.
type logs struct{ dir string }

func (l logs) path(id uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("run-%08d.jsonl", id))
}

// number reads the number of a run from the name of its log.
func (l logs) number(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, "run-")
	if digits, ok2 := strings.CutSuffix(digits, ".jsonl"); ok && ok2 {
		n, err := strconv.ParseUint(digits, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// all gives the logs there are, oldest first.
func (l logs) all() ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var out []fs.FileInfo
	for _, e := range entries {
		if _, ok := l.number(e.Name()); !ok || !e.Type().IsRegular() {
			continue
		}
		if st, err := e.Info(); err == nil {
			out = append(out, st)
		}
	}
	return out, nil
}

// last is the highest number a log has. A history that begins anew goes on from
// there.
func (l logs) last() (n uint64) {
	all, _ := l.all()
	for _, st := range all {
		id, _ := l.number(st.Name())
		n = max(n, id)
	}
	return n
}

// trim deletes the logs of runs below lowest, and the oldest ones while all
// together are larger than limit bytes. The newest one stays.
func (l logs) trim(lowest uint64, limit int64) error {
	all, err := l.all()
	if err != nil {
		return err
	}
	var total int64
	for _, st := range all {
		total += st.Size()
	}
	var errs error
	for _, st := range all[:max(len(all)-1, 0)] {
		if id, _ := l.number(st.Name()); id >= lowest && total <= limit {
			continue
		}
		total -= st.Size()
		errs = errors.Join(errs, os.Remove(filepath.Join(l.dir, st.Name())))
	}
	return errs
}

// read gives the lines of a run's log from line number from on, at most limit,
// and the number of the next one.
func (l logs) read(id uint64, from, limit int) (lines []Line, next int, err error) {
	f, err := os.Open(l.path(id))
	if err != nil {
		return nil, from, err
	}
	defer f.Close()
	lines, n := []Line{}, 0
	s := bufio.NewScanner(io.LimitReader(f, maxLogFile+maxLine))
	s.Buffer(nil, 2*maxLine)
	for ; s.Scan() && len(lines) < limit; n++ {
		var line Line
		// The last line of a log may be cut short by a loss of power.
		if n >= from && json.Unmarshal(s.Bytes(), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines, max(n, from), s.Err()
}

// runLog is the log of a run that is under way. Several goroutines may add to
// it.
type runLog struct {
	f   *os.File
	now func() time.Time

	mu   sync.Mutex
	size int64
	lost int
	err  error // the first one; the run goes on without its log
}

// create begins the log of a run.
func (l logs) create(id uint64, now func() time.Time) *runLog {
	f, err := os.OpenFile(l.path(id), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &runLog{f: f, now: now, err: err}
}

// add appends a line.
func (r *runLog) add(line Line) { r.append(line, maxLogFile-reservedForEnd) }

// say appends a line of the service's own.
func (r *runLog) say(format string, args ...any) {
	r.add(Line{Kind: "service", Text: fmt.Sprintf(format, args...)})
}

func (r *runLog) append(line Line, limit int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if line.Time.IsZero() {
		line.Time = r.now()
	}
	line.Text = strings.ToValidUTF8(line.Text, "\uFFFD")
	b, err := json.Marshal(line)
	switch {
	case r.err != nil:
		return
	case err != nil:
		r.err = err
		return
	case r.size+int64(len(b)) >= limit:
		r.lost++
		return
	}
	n, err := r.f.Write(append(b, '\n'))
	r.size += int64(n)
	r.err = err
}

// end writes how the run ended and closes the file.
func (r *runLog) end(o *Outcome) error {
	if r.lost > 0 {
		r.append(Line{Kind: "service", Text: fmt.Sprintf("%d lines are not kept: the log of a run holds %d MiB", r.lost, maxLogFile>>20)}, maxLogFile)
	}
	text := "ended: " + string(o.State)
	if o.Error != "" {
		text += ": " + cut(o.Error)
	}
	line := Line{Kind: "report", Text: text}
	if o.Report != nil {
		line.Report, _ = json.Marshal(kept(o.Report))
	}
	r.append(line, maxLogFile)
	if r.f == nil {
		return r.err
	}
	return errors.Join(r.err, r.f.Sync(), r.f.Close())
}

// event turns a line of a run's JSON output into an event or the report of the
// run; both are nil when it is neither.
func event(data []byte) (*job.Event, *job.Report) {
	var probe struct {
		Kind       job.Kind   `json:"kind"`
		Status     job.Status `json:"status"`
		Definition string     `json:"definition"`
	}
	if json.Unmarshal(data, &probe) != nil {
		return nil, nil
	}
	switch {
	case slices.Contains([]job.Kind{job.Stage, job.Progress, job.Note, job.Warning}, probe.Kind):
		var e job.Event
		if json.Unmarshal(data, &e) == nil {
			return &e, nil
		}
	case probe.Status != "":
		var r job.Report
		if json.Unmarshal(data, &r) == nil {
			return nil, &r
		}
	}
	return nil, nil
}
