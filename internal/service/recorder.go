package service

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// recorder keeps the history whatever happens to its database: a damaged one is
// set aside and a new one begun, and what could not be stored is tried again
// with the next change. Backups never wait for it to be well.
type recorder struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu        sync.Mutex
	h         *history // nil while there is none
	backlog   change   // not stored yet
	standings map[string]Standing
	open      map[uint64]Run // the unfinished ones, for a history that begins anew
	paused    bool
	problem   string // what is wrong with the history, for the status
	unwritten bool   // problem is that it cannot be written
}

// newRecorder opens the history at path and gives what it remembers. check
// looks at the database in a process of its own; nil leaves that out.
func newRecorder(path string, check func(path string) error, log *slog.Logger, now func() time.Time) (*recorder, memory, error) {
	r := &recorder{path: path, log: log, now: now, open: map[uint64]Run{}, standings: map[string]Standing{}}
	if _, err := os.Stat(path); err == nil && check != nil {
		if err := check(path); err != nil {
			r.replace(err)
		}
	}
	m, err := r.begin()
	if errors.Is(err, errHistory) || err != nil && !busy(err) {
		r.replace(err)
		m, err = r.begin()
	}
	if err != nil && busy(err) {
		return nil, m, fmt.Errorf("%w: %w", ErrRunning, err)
	}
	if err != nil {
		// Without a history there are still backups.
		r.trouble("the history cannot be kept", err)
		r.unwritten = true
		m = memory{standings: map[string]Standing{}}
	}
	for i := range m.unfinished {
		r.open[m.unfinished[i].ID] = m.unfinished[i]
	}
	maps.Copy(r.standings, m.standings)
	r.paused = m.paused
	return r, m, nil
}

// begin opens the database and reads what a service starts from.
func (r *recorder) begin() (memory, error) {
	h, err := openHistory(r.path)
	if err != nil {
		return memory{}, err
	}
	m, err := h.load()
	if err != nil {
		h.abandon()
		return memory{}, err
	}
	r.h = h
	return m, nil
}

func (r *recorder) trouble(what string, err error) {
	r.problem = what + ": " + err.Error()
	r.log.Error(what, "error", err, "file", r.path)
}

// replace sets the database aside.
func (r *recorder) replace(why error) {
	if r.h != nil {
		r.h.abandon()
		r.h = nil
	}
	to, err := setAside(r.path, time.Now())
	if err != nil {
		r.trouble("the damaged history cannot be set aside", errors.Join(why, err))
		return
	}
	r.trouble("the history was damaged and begins anew; the old one is "+to, why)
}

// store keeps a change.
func (r *recorder) store(c change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mirror(c)
	r.backlog.add(c)
	if r.h == nil && !r.renew() {
		return
	}
	err := r.h.commit(r.backlog)
	if errors.Is(err, errHistory) {
		r.replace(err)
		if !r.renew() {
			return
		}
		err = r.h.commit(r.backlog)
	}
	if err != nil {
		r.trouble("the history cannot be written; it is tried again", err)
		r.unwritten = true
		return
	}
	r.backlog = change{}
	if r.unwritten {
		r.problem, r.unwritten = "", false
	}
}

// renew begins a new database with all that is known.
func (r *recorder) renew() bool {
	h, err := openHistory(r.path)
	if err != nil {
		return false
	}
	r.h = h
	r.backlog.add(change{runs: slices.Collect(maps.Values(r.open)), standings: maps.Clone(r.standings), paused: &r.paused})
	return true
}

// mirror keeps in memory what a new database is to begin with.
func (r *recorder) mirror(c change) {
	for i := range c.runs {
		if run := &c.runs[i]; run.State.Ended() {
			delete(r.open, run.ID)
		} else {
			r.open[run.ID] = *run
		}
	}
	maps.Copy(r.standings, c.standings)
	for _, name := range c.forget {
		delete(r.standings, name)
	}
	if c.paused != nil {
		r.paused = *c.paused
	}
}

// maxBacklog is how many runs that could not be stored are kept in memory.
const maxBacklog = 1000

// add appends what d changes.
func (c *change) add(d change) {
	c.runs = append(c.runs, d.runs...)
	c.runs = c.runs[max(len(c.runs)-maxBacklog, 0):]
	if c.standings == nil {
		c.standings = map[string]Standing{}
	}
	for _, name := range d.forget {
		delete(c.standings, name)
	}
	maps.Copy(c.standings, d.standings)
	c.forget = slices.DeleteFunc(append(c.forget, d.forget...), func(name string) bool {
		_, again := c.standings[name]
		return again
	})
	if d.paused != nil {
		c.paused = d.paused
	}
}

// with calls fn with the database.
func (r *recorder) with(fn func(*history) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.h == nil {
		return errors.New(r.problem)
	}
	return fn(r.h)
}

// warning is what is wrong with the history.
func (r *recorder) warning() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.problem
}

func (r *recorder) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.h == nil {
		return nil
	}
	return r.h.close()
}
