package service

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"ingot/internal/plan"
)

// How much the history keeps when Options does not say.
const (
	DefaultKeepRuns = 2000
	DefaultKeepDays = 400
)

// Standing is what is remembered of a definition beside its runs.
type Standing struct {
	Known time.Time `json:"known"` // when the service first saw it
	// Schedule is up to where its schedules were looked at: what was due before
	// has been queued, or given up.
	Schedule plan.State `json:"schedule"`
	LastGood time.Time  `json:"last_good,omitzero"` // end of its last good run
	Alerted  time.Time  `json:"alerted,omitzero"`   // when it was last said that there is none
	Paused   bool       `json:"paused,omitempty"`
	Gone     time.Time  `json:"gone,omitzero"` // since when its file is missing
}

// change is what goes into the history in one piece: after a crash either all
// of it is there or nothing.
type change struct {
	runs      []Run
	standings map[string]Standing
	forget    []string // definitions that are no more
	paused    *bool    // of the whole queue
}

// memory is all that a new service starts from.
type memory struct {
	unfinished []Run // by number
	standings  map[string]Standing
	paused     bool
	last       uint64 // the highest number of a run
}

// The buckets and keys of the database.
var (
	bucketRuns  = []byte("runs")      // number as 8 bytes big-endian: Run as JSON
	bucketNames = []byte("standings") // name: Standing as JSON
	bucketSelf  = []byte("service")
	keyPaused   = []byte("paused")
	buckets     = [][]byte{bucketRuns, bucketNames, bucketSelf}
)

// history is the database of runs. The engine underneath maps its file into
// memory and trusts it: damage makes it panic or fault, which guard turns into
// an error.
type history struct {
	path string
	db   *bbolt.DB
}

var errHistory = errors.New("the history database is damaged")

// guard calls fn; a panic or a memory fault in it becomes errHistory.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errHistory, p)
		}
	}()
	return fn()
}

// openHistory opens the database at path, or makes it. Only one process has it
// open at a time.
func openHistory(path string) (*history, error) {
	h := &history{path: path}
	err := guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second, PreLoadFreelist: true})
		if err != nil {
			return err
		}
		h.db = db
		if err := sizeFits(db, path); err != nil {
			return err
		}
		return db.Update(func(tx *bbolt.Tx) error {
			for _, b := range buckets {
				if _, err := tx.CreateBucketIfNotExists(b); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		h.abandon()
		return nil, fmt.Errorf("open history %s: %w", path, err)
	}
	return h, nil
}

// sizeFits compares the pages the database says it has with the file.
func sizeFits(db *bbolt.DB, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > st.Size() {
			return fmt.Errorf("%w: it is to have %d bytes and has %d", errHistory, tx.Size(), st.Size())
		}
		return nil
	})
}

// CheckHistory looks at every page of the database at path. It is to be called
// in a process of its own, which ends then: damage of the worst kind ends it
// by itself, and the look at a damaged one is left where it is, since it may
// take very long.
func CheckHistory(path string) error {
	// Pages that name themselves as their own children are followed for ever:
	// that is to end soon.
	debug.SetMaxStack(1 << 20)
	return guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second, PreLoadFreelist: true, ReadOnly: true})
		if err != nil {
			return err
		}
		if err := sizeFits(db, path); err != nil {
			return err
		}
		return db.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				return fmt.Errorf("%w: %w", errHistory, err)
			}
			return readAll(tx)
		})
	})
}

// readAll reads every value as memory does.
func readAll(tx *bbolt.Tx) error {
	_, err := remember(tx)
	if err != nil {
		return err
	}
	return eachRun(tx, func(*Run) (bool, error) { return true, nil })
}

// setAside moves a database that cannot be used out of the way.
func setAside(path string, now time.Time) (string, error) {
	to := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format("20060102-150405"))
	old, _ := filepath.Glob(path + ".damaged-*")
	slices.Sort(old)
	for len(old) > 1 { // two of them are enough to look into
		_ = os.Remove(old[0])
		old = old[1:]
	}
	return to, os.Rename(path, to)
}

// close ends the use of the database.
func (h *history) close() error {
	return guard(func() error { return h.db.Close() })
}

// abandon lets go of a database that may be damaged.
func (h *history) abandon() {
	if h.db != nil {
		_ = guard(h.db.Close)
	}
}

func runKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

// commit stores a change. When it comes back without an error the change
// survives a loss of power.
func (h *history) commit(c change) error {
	return guard(func() error {
		return h.db.Update(func(tx *bbolt.Tx) error { return c.apply(tx) })
	})
}

func (c change) apply(tx *bbolt.Tx) error {
	for i := range c.runs {
		if err := putJSON(tx.Bucket(bucketRuns), runKey(c.runs[i].ID), &c.runs[i]); err != nil {
			return err
		}
	}
	names := tx.Bucket(bucketNames)
	for name, s := range c.standings {
		if err := putJSON(names, []byte(name), s); err != nil {
			return err
		}
	}
	for _, name := range c.forget {
		if err := names.Delete([]byte(name)); err != nil {
			return err
		}
	}
	if c.paused != nil {
		return putJSON(tx.Bucket(bucketSelf), keyPaused, *c.paused)
	}
	return nil
}

func putJSON(b *bbolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}

// load gives what a new service starts from.
func (h *history) load() (m memory, err error) {
	err = guard(func() error {
		return h.db.View(func(tx *bbolt.Tx) error {
			m, err = remember(tx)
			return err
		})
	})
	return m, err
}

func remember(tx *bbolt.Tx) (memory, error) {
	m := memory{standings: map[string]Standing{}}
	err := eachRun(tx, func(r *Run) (bool, error) {
		m.last = max(m.last, r.ID)
		if !r.State.Ended() {
			m.unfinished = append(m.unfinished, *r)
		}
		return true, nil
	})
	if err != nil {
		return m, err
	}
	slices.Reverse(m.unfinished)
	if data := tx.Bucket(bucketSelf).Get(keyPaused); data != nil {
		if err := json.Unmarshal(data, &m.paused); err != nil {
			return m, fmt.Errorf("%w: paused: %w", errHistory, err)
		}
	}
	return m, tx.Bucket(bucketNames).ForEach(func(k, v []byte) error {
		var s Standing
		if err := json.Unmarshal(v, &s); err != nil {
			return fmt.Errorf("%w: standing of %q: %w", errHistory, k, err)
		}
		m.standings[string(k)] = s
		return nil
	})
}

// eachRun calls fn for all runs, newest first, until it gives false.
func eachRun(tx *bbolt.Tx, fn func(*Run) (bool, error)) error {
	return eachRunBefore(tx, 0, fn)
}

// eachRunBefore is eachRun from the newest below id on; 0 is all.
func eachRunBefore(tx *bbolt.Tx, id uint64, fn func(*Run) (bool, error)) error {
	c := tx.Bucket(bucketRuns).Cursor()
	k, v := c.Last()
	if id > 0 {
		if k, v = c.Seek(runKey(id)); k == nil {
			k, v = c.Last()
		}
	}
	for ; k != nil; k, v = c.Prev() {
		var r Run
		if err := json.Unmarshal(v, &r); err != nil {
			return fmt.Errorf("%w: run %x: %w", errHistory, k, err)
		}
		if id > 0 && r.ID >= id {
			continue
		}
		if on, err := fn(&r); err != nil || !on {
			return err
		}
	}
	return nil
}

// Filter says which runs of the history are wanted. Its zero value is the newest
// ones.
type Filter struct {
	Definition string
	State      State
	Before     uint64 // only runs with a smaller number
	Limit      int    // 0 is 50
}

// mostRuns is how many runs are given out at a time.
const mostRuns = 500

// runs gives the runs that f wants, newest first.
func (h *history) runs(f Filter) ([]Run, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, mostRuns)
	out := []Run{}
	err := guard(func() error {
		return h.db.View(func(tx *bbolt.Tx) error {
			return eachRunBefore(tx, f.Before, func(r *Run) (bool, error) {
				if (f.Definition == "" || f.Definition == r.Definition) && (f.State == "" || f.State == r.State) {
					out = append(out, *r)
				}
				return len(out) < f.Limit, nil
			})
		})
	})
	return out, err
}

// run gives one run.
func (h *history) run(id uint64) (r Run, found bool, err error) {
	err = guard(func() error {
		return h.db.View(func(tx *bbolt.Tx) error {
			data := tx.Bucket(bucketRuns).Get(runKey(id))
			if found = data != nil; !found {
				return nil
			}
			return json.Unmarshal(data, &r)
		})
	})
	return r, found, err
}

// trim deletes ended runs beyond the newest keep and those that were queued
// before oldest. It gives the lowest number that is left, for the logs.
func (h *history) trim(keep int, oldest time.Time) (lowest uint64, err error) {
	err = guard(func() error {
		return h.db.Update(func(tx *bbolt.Tx) error {
			var gone []uint64
			n := 0
			err := eachRun(tx, func(r *Run) (bool, error) {
				if n++; r.State.Ended() && (n > keep || r.Queued.Before(oldest)) {
					gone = append(gone, r.ID)
				} else {
					lowest = r.ID
				}
				return true, nil
			})
			for _, id := range gone {
				err = errors.Join(err, tx.Bucket(bucketRuns).Delete(runKey(id)))
			}
			return err
		})
	})
	return lowest, err
}

// busy says whether another process has the database open.
func busy(err error) bool { return errors.Is(err, berrors.ErrTimeout) }
