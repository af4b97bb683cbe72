package service

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
)

func openTest(t *testing.T, path string) *history {
	t.Helper()
	h, err := openHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.close() })
	return h
}

func moment(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

// someRuns are n ended runs of two definitions, and one that waits.
func someRuns(n int) (c change) {
	for i := range n {
		r := Run{ID: uint64(i + 1), Definition: "ab"[i%2 : i%2+1], State: Success, Queued: moment(i), Ended: moment(i)}
		if i%5 == 0 {
			r.State, r.Error = Failed, "because"
		}
		c.runs = append(c.runs, r)
	}
	c.runs = append(c.runs, Run{ID: uint64(n + 1), Definition: "a", State: Queued, Queued: moment(n)})
	c.standings = map[string]Standing{"a": {Known: moment(0), LastGood: moment(3)}, "b": {Paused: true}}
	return c
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	h := openTest(t, path)
	on := true
	c := someRuns(100)
	c.paused = &on
	if err := errors.Join(h.commit(c), h.close()); err != nil {
		t.Fatal(err)
	}
	h = openTest(t, path)
	m, err := h.load()
	if err != nil || len(m.unfinished) != 1 || m.last != 101 || !m.paused || !m.standings["b"].Paused || !m.standings["a"].LastGood.Equal(moment(3)) {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{Limit: 3}, "101 100 99"},
		{Filter{Limit: 3, Before: 100}, "99 98 97"},
		{Filter{Limit: 2, Definition: "a"}, "101 99"},
		{Filter{Limit: 3, State: Failed}, "96 91 86"},
		{Filter{Limit: 3, State: Failed, Definition: "a", Before: 12}, "11 1"},
		{Filter{Before: 1}, ""},
		{Filter{Limit: 2, Before: 1 << 62}, "101 100"},
	} {
		runs, err := h.runs(c.filter)
		var ids []string
		for _, r := range runs {
			ids = append(ids, fmt.Sprint(r.ID))
		}
		if got := strings.Join(ids, " "); err != nil || got != c.want {
			t.Errorf("%+v: %s, %v", c.filter, got, err)
		}
	}
	if r, found, err := h.run(96); err != nil || !found || r.Error != "because" {
		t.Errorf("%+v, %v, %v", r, found, err)
	}
	if _, found, err := h.run(1000); err != nil || found {
		t.Errorf("run 1000: %v, %v", found, err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := openTest(t, filepath.Join(t.TempDir(), "history.db"))
	if err := h.commit(someRuns(100)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keep   int
		oldest time.Time
		lowest uint64
		left   int
	}{{1000, moment(0), 1, 101}, {1000, moment(10), 11, 91}, {20, moment(0), 82, 20}, {0, moment(0), 101, 1}} {
		lowest, err := h.trim(c.keep, c.oldest)
		runs, err2 := h.runs(Filter{Limit: 500})
		if err != nil || err2 != nil || lowest != c.lowest || len(runs) != c.left {
			t.Errorf("trim(%d, %s): lowest %d, %d left, %v %v", c.keep, c.oldest, lowest, len(runs), err, err2)
		}
	}
	report := &job.Report{Error: strings.Repeat("e", 1<<20), Images: make([]job.Image, 5000)}
	for range 5000 {
		report.Warnings = append(report.Warnings, strings.Repeat("w", 10000))
	}
	if k := kept(report); len(k.Warnings) != keptLines || len(k.Images) != keptLines || len(k.Warnings[0])+len(k.Error) > 3*keptBytes || len(report.Warnings) != 5000 {
		t.Error("a report is not cut down")
	}
}

func TestTwoServicesOneHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	openTest(t, path)
	if _, _, err := newRecorder(path, nil, slog.New(slog.DiscardHandler), time.Now); !errors.Is(err, ErrRunning) {
		t.Errorf("a second service: %v", err)
	}
	if left, _ := filepath.Glob(path + ".damaged*"); len(left) > 0 {
		t.Error("the history of the first one was set aside")
	}
}

// damaged writes a database, changed by fn, and gives the recorder that is made
// of it.
func damaged(t *testing.T, whole []byte, check func(string) error, fn func([]byte) []byte) (*recorder, memory) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.db")
	if err := os.WriteFile(path, fn(append([]byte{}, whole...)), 0o600); err != nil {
		t.Fatal(err)
	}
	r, m, err := newRecorder(path, check, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.close() })
	return r, m
}

func wholeHistory(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.db")
	h := openTest(t, path)
	for i := range 20 {
		c := someRuns(100)
		c.runs = c.runs[i*5:]
		if err := h.commit(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A history cut short anywhere, or of something else altogether, is set aside
// and a new one kept.
func TestDamagedHistory(t *testing.T) {
	whole := wholeHistory(t)
	if r, m := damaged(t, whole, checkApart, func(b []byte) []byte { return b }); r.problem != "" || m.last != 101 {
		t.Fatalf("the whole one: %s, last %d", r.problem, m.last)
	}
	cases := map[string]func([]byte) []byte{
		"empty page": func(b []byte) []byte { return b[:4096] },
		"garbage":    func(b []byte) []byte { return []byte(strings.Repeat("no database ", 2000)) },
		"zeros":      func(b []byte) []byte { clear(b); return b },
		"json": func(b []byte) []byte {
			return []byte(strings.ReplaceAll(string(b), `"definition"`, `"definition'`))
		},
	}
	for n := 4097; n < len(whole); n += len(whole)/12 + 1 {
		cases[fmt.Sprintf("cut to %d", n)] = func(b []byte) []byte { return b[:n] }
	}
	for name, fn := range cases {
		r, m := damaged(t, whole, checkApart, fn)
		usable(t, name, r)
		if m.last > 0 && r.problem == "" && m.last != 101 {
			t.Errorf("%s: taken for whole with last %d", name, m.last)
		}
	}
}

// usable stores a run and reads it back.
func usable(t *testing.T, name string, r *recorder) {
	t.Helper()
	r.store(change{runs: []Run{{ID: 5000, Definition: "new", State: Success}}})
	err := r.with(func(h *history) error {
		got, found, err := h.run(5000)
		if err == nil && (!found || got.Definition != "new") {
			err = fmt.Errorf("found %v: %+v", found, got)
		}
		return err
	})
	if err != nil {
		t.Errorf("%s: %v (%s)", name, err, r.problem)
	}
}

// Single bits anywhere: the check, in a process of its own, may end however it
// will. Whatever passes it can be used.
func TestBitFlipsOfHistory(t *testing.T) {
	whole := wholeHistory(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	aside := 0
	for range 40 {
		at, bit := rnd.IntN(len(whole)), byte(1)<<rnd.IntN(8)
		if rnd.IntN(2) == 0 {
			at = rnd.IntN(len(whole)/4096)*4096 + rnd.IntN(64) // headers and elements of pages
		}
		r, _ := damaged(t, whole, checkApart, func(b []byte) []byte { b[at] ^= bit; return b })
		usable(t, fmt.Sprintf("bit %d of byte %d", bit, at), r)
		if r.problem != "" {
			aside++
		}
	}
	if aside == 0 {
		t.Error("no damage was found")
	}
}

// The disk is full, or the folder gone: changes wait, and are stored when it is
// well again.
func TestHistoryThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	r, _, err := newRecorder(filepath.Join(dir, "history.db"), nil, slog.New(slog.DiscardHandler), time.Now)
	if err != nil || r.problem == "" {
		t.Fatalf("a history in a folder that is not there: %v", err)
	}
	r.store(change{runs: []Run{{ID: 7, Definition: "a", State: Running}}, standings: map[string]Standing{"a": {Paused: true}}})
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r.store(change{runs: []Run{{ID: 8, Definition: "b", State: Success}}})
	err = r.with(func(h *history) error {
		m, err := h.load()
		if len(m.unfinished) != 1 || m.last != 8 || !m.standings["a"].Paused {
			t.Errorf("%+v", m)
		}
		return err
	})
	if err = errors.Join(err, r.close()); err != nil {
		t.Error(err)
	}
	if r.warning() != "" {
		t.Errorf("it is well again, but: %s", r.warning())
	}
}

func TestLogsAreBounded(t *testing.T) {
	l := logs{t.TempDir()}
	for id := uint64(1); id <= 20; id++ {
		log := l.create(id, time.Now)
		log.say("%s", strings.Repeat("x", 1000))
		if err := log.end(&Outcome{State: Success}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(l.dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lowest uint64
		limit  int64
		left   int
	}{{1, 1 << 20, 20}, {6, 1 << 20, 15}, {6, 6000, 5}, {100, 0, 1}} {
		if err := l.trim(c.lowest, c.limit); err != nil {
			t.Fatal(err)
		}
		all, err := l.all()
		if err != nil || len(all) != c.left || l.last() != 20 {
			t.Errorf("trim(%d, %d): %d left, last %d, %v", c.lowest, c.limit, len(all), l.last(), err)
		}
	}
	if !exists(l.path(20)) {
		t.Error("the newest log is gone")
	}
}

// A log that was cut short by a loss of power is read up to there.
func TestTornLog(t *testing.T) {
	l := logs{t.TempDir()}
	log := l.create(3, time.Now)
	for i := range 10 {
		log.say("line %d", i)
	}
	b, err := os.ReadFile(l.path(3))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.path(3), b[:len(b)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	lines, next, err := l.read(3, 4, 3)
	if err != nil || len(lines) != 3 || lines[0].Text != "line 4" || next != 7 {
		t.Errorf("%+v, %d, %v", lines, next, err)
	}
	if lines, next, err = l.read(3, next, 100); err != nil || len(lines) != 2 {
		t.Errorf("%+v, %d, %v", lines, next, err)
	}
	if lines, _, err = l.read(3, 1000, 100); err != nil || len(lines) != 0 {
		t.Errorf("beyond its end: %+v, %v", lines, err)
	}
}
