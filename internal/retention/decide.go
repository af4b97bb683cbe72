package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ingot/internal/plan"
)

// Run is the occasion on which rules are applied.
type Run struct {
	// Now is the time that ages are reckoned from; its location says where
	// days, weeks, months and years begin.
	Now time.Time
	// Disk is that of the backup for which this is done. Empty: the rules are
	// applied to each disk of the folder by itself.
	Disk string
	// Coming is the type of the backup of Disk that is about to be made, when
	// the rules are applied before it. Empty: there is none.
	Coming plan.Type
}

// Action is what becomes of a point.
type Action string

// The actions.
const (
	Keep    Action = "keep"
	Removed Action = "delete"
	TakenUp Action = "merge" // its blocks live on in a later point
)

// Verdict says what becomes of a point, and why.
type Verdict struct {
	Set, Disk string
	Point     Point
	Action    Action
	// Into is the Increment of the point that takes this one up, if Action is TakenUp.
	Into   int
	Reason string
}

// Kind is what an operation does.
type Kind string

// The kinds of operations, in the order in which they are carried out: what
// frees space first, and what is based on a full before that full moves.
const (
	DeleteSet Kind = "delete set"
	Delete    Kind = "delete"
	Merge     Kind = "merge"
	Roll      Kind = "roll forward"
)

// Op is one step. When the operations are carried out in their order, then
// after each of them the chain of every point that is still there is whole, if
// it was before. When one fails, no others are carried out on its set: they may
// rely on it.
type Op struct {
	Kind Kind
	Set  string
	// Points are, for DeleteSet and Delete, those that go, the newest first:
	// deleted in this order, what is left is whole even when it ends in the
	// middle.
	//
	// For Merge and Roll they are consecutive, the oldest first. The last takes
	// up all others and keeps its number and time. After a Merge it is an
	// incremental based on what the first was based on; in a Roll the first is
	// the full, and the last becomes the full.
	Points []Point
	Reason string
}

// Decision is what becomes of the points of a folder.
type Decision struct {
	Verdicts []Verdict // for every point, by set (the oldest first) and number
	Ops      []Op
	// Short is how many bytes would still be wanting afterwards; only
	// DecideSpace sets it.
	Short int64

	// What Apply has come to: points merged into others and deleted, and why
	// there were not more.
	Merged, Deleted int
	Undone          error
}

// Decide applies the rules to all sets of a folder. It does not look at free
// space: that is DecideSpace. Rules that Check refuses are taken as if what is
// wrong with them was off.
func Decide(rules plan.Retention, sets []Set, run Run) Decision {
	f := arrange(sets, run.Now)
	ruled := f.ruled(rules.Scope, run)
	ruled.pin(rules, run)
	ruled.condemn(rules, run)
	var ops []Op
	for _, s := range ruled {
		ops = append(ops, s.settle(rules.SyntheticFull)...)
	}
	order := []Kind{DeleteSet, Delete, Merge, Roll}
	slices.SortStableFunc(ops, func(a, b Op) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	return Decision{Verdicts: f.verdicts(), Ops: ops}
}

func (f folder) verdicts() []Verdict {
	var out []Verdict
	for _, s := range f {
		for _, p := range s.points {
			v := Verdict{Set: s.ID, Disk: s.Disk, Point: p.Point, Action: p.action, Reason: p.reason()}
			if p.into != nil {
				v.Into = p.into.Increment
			}
			out = append(out, v)
		}
	}
	return out
}

// reason is why the point's verdict is what it is.
func (p *point) reason() string {
	why := cmp.Or(p.set.alone, p.pin, p.place, "no rule takes it")
	switch {
	case p.action == TakenUp:
		return fmt.Sprintf("%s; merged into %d", cmp.Or(p.doom, "the full is rolled forward"), p.into.Increment)
	case p.action == Removed, p.pin == "" && p.doom != "":
		why = p.doom
	}
	if p.note != "" {
		return why + "; " + p.note
	}
	return why
}

// Row is a verdict as a line of a table.
type Row struct {
	Set     string    `json:"set"`
	Disk    string    `json:"disk"`
	Point   int       `json:"point"` // increment number
	File    string    `json:"file"`  // that holds it
	Type    plan.Type `json:"type"`
	Time    time.Time `json:"time"`
	Size    int64     `json:"size_bytes"`
	Verdict Action    `json:"verdict"`
	Into    int       `json:"into,omitempty"` // the point that takes this one up
	Reason  string    `json:"reason"`
}

// Rows is the decision as a table, a row for every point.
func (d Decision) Rows() []Row {
	rows := make([]Row, 0, len(d.Verdicts))
	for _, v := range d.Verdicts {
		row := Row{
			Set: v.Set, Disk: v.Disk, Point: v.Point.Increment, Type: v.Point.Type, Time: v.Point.Time,
			Size: v.Point.Size, Verdict: v.Action, Into: v.Into, Reason: v.Reason,
		}
		if n := len(v.Point.Names); n > 0 {
			row.File = v.Point.Names[n-1]
		}
		rows = append(rows, row)
	}
	return rows
}
