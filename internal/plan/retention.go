package plan

import (
	"errors"
	"fmt"
)

// Type is the type of a backup, in the words of the image layout.
type Type string

// The types of backups.
const (
	Full         Type = "full" // holds everything
	Differential Type = "diff" // holds what differs from the full of its set
	Incremental  Type = "inc"  // holds what differs from the backup before it in its set
)

// String is the whole word, for sentences.
func (t Type) String() string {
	switch t {
	case Differential:
		return "differential"
	case Incremental:
		return "incremental"
	}
	return string(t)
}

// Scope says to which sets of a folder the rules apply.
type Scope string

// The scopes.
const (
	Matching Scope = ""    // those that hold the same partitions of the same disk
	AllSets  Scope = "all" // every set in the folder
)

const gib = 1 << 30

// Bounds of Retention.MinFree.
const (
	DefaultMinFree = 5 * gib // what templates set, and what is offered to the user
	LeastMinFree   = 1 * gib // less would leave no room for a merge or for the file system itself
)

// Retention says which backups are kept. Its zero value keeps everything: no
// backup goes because nobody thought about rules.
//
// Full, Differential and Incremental are limits: what is beyond them goes. GFS,
// Minimum and protected points are promises: what they name stays, whatever a
// limit says. GFS without any limit is both: what it does not name goes.
type Retention struct {
	// Full limits the fulls. A full that goes takes its set with it.
	Full Keep
	// Differential limits the differentials. One that goes takes the
	// incrementals based on it with it.
	Differential Keep
	// Incremental limits the incrementals. Those beyond it are merged into the
	// next one that stays, or deleted when none follows.
	Incremental Keep

	Scope Scope

	// SyntheticFull has the full of a set rolled forward over its oldest
	// incrementals instead of merging those: incremental for ever. It acts on
	// sets of one full and incrementals only.
	SyntheticFull bool

	// PurgeBefore has the rules applied before a backup, which then counts as
	// if it was there already, rather than after it.
	PurgeBefore bool

	// MinFree in bytes: while less than this is free the oldest sets go. 0 never
	// deletes a set for lack of space. Otherwise it is LeastMinFree or more.
	MinFree int64

	// DropLast allows the last good set of a disk to go when a full is to be
	// made, space is short and nothing else is left to go. A Minimum that is
	// set stands all the same.
	DropLast bool

	// Minimum is how many points in time of each disk stay at least, the newest
	// that can be restored. 0 stands for 1.
	Minimum int

	GFS GFS
}

// GFS are the grandfather-father-son rules: of each of the newest so many
// days, weeks, months and years that have a backup, the newest one is kept. 0
// is off. Weeks are those of ISO 8601, days begin where the clock says so.
type GFS struct{ Daily, Weekly, Monthly, Yearly int }

// Limited says whether there is any limit on a type of backup.
func (r Retention) Limited() bool {
	return r.Full.On() || r.Differential.On() || r.Incremental.On()
}

// Least is the effective Minimum.
func (r Retention) Least() int { return max(1, r.Minimum) }

// Check names the first field that makes no sense.
func (r Retention) Check() error {
	for _, k := range []struct {
		of   Type
		keep Keep
	}{{Full, r.Full}, {Differential, r.Differential}, {Incremental, r.Incremental}} {
		if err := k.keep.check(); err != nil {
			return fmt.Errorf("retention: keep of %s backups: %w", k.of, err)
		}
	}
	if r.Scope != Matching && r.Scope != AllSets {
		return fmt.Errorf("retention: scope %q is unknown", r.Scope)
	}
	if r.MinFree < 0 || r.MinFree > 0 && r.MinFree < LeastMinFree {
		return fmt.Errorf("retention: minimum of free space of %d bytes: 0 is off, the least is %d", r.MinFree, LeastMinFree)
	}
	if r.Minimum < 0 {
		return fmt.Errorf("retention: a minimum of %d points", r.Minimum)
	}
	if min(r.GFS.Daily, r.GFS.Weekly, r.GFS.Monthly, r.GFS.Yearly) < 0 {
		return errors.New("retention: a negative number of days, weeks, months or years to keep")
	}
	return nil
}
