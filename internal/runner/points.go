package runner

import (
	"context"
	"fmt"
	"time"

	"ingot/internal/dest/folder"
	"ingot/internal/image"
	"ingot/internal/plan"
)

// Point is a backup that is there already.
type Point struct {
	Type plan.Type
	Time time.Time
	Size int64
}

// points are the backups of a disk in a folder.
func points(ctx context.Context, path, diskID string) ([]Point, error) {
	store, err := folder.New(path)
	if err != nil {
		return nil, err
	}
	sets, err := image.ReadSets(ctx, store, nil)
	if err != nil {
		return nil, fmt.Errorf("look for backup sets in %s: %w", path, err)
	}
	var out []Point
	for _, s := range sets.Sets {
		for _, m := range s.Points() {
			if len(m.Doc.Disks) == 0 || !equal(m.Doc.Disks[0].Header.Signature, diskID) {
				continue
			}
			h := &m.Doc.Header
			out = append(out, Point{plan.Type(h.BackupType), time.Unix(h.BackupTime, 0), m.Size})
		}
	}
	return out, nil
}

// newest is the time of the newest of points, the zero time when there is none.
func newest(all []Point) (t time.Time) {
	for _, p := range all {
		if p.Time.After(t) {
			t = p.Time
		}
	}
	return t
}

// rank is how much a type holds.
var rank = map[plan.Type]int{plan.Incremental: 1, plan.Differential: 2, plan.Full: 3}

// typeDue is the type of a backup that is made now: the one that holds most of
// those schedules whose last occurrence was not followed by a backup that holds
// as much. Without any it is "", which continues the newest set.
func typeDue(d *plan.Definition, have []Point, now time.Time) plan.Type {
	loc, err := d.Location(nil)
	if err != nil {
		loc = time.Local // the definition was checked
	}
	due := plan.Type("")
	for i := range d.Schedules {
		s := &d.Schedules[i]
		if s.Event() || rank[s.Type] <= rank[due] {
			continue
		}
		at := s.Prev(now, loc)
		if at.IsZero() || since(have, s.Type, at) {
			continue
		}
		due = s.Type
	}
	return due
}

// since says whether there is a backup since t that holds as much as typ.
func since(have []Point, typ plan.Type, t time.Time) bool {
	for _, p := range have {
		if rank[p.Type] >= rank[typ] && !p.Time.Before(t) {
			return true
		}
	}
	return false
}

// clockWarnings say what is odd about the time now.
func clockWarnings(now, built time.Time, have []Point) (out []string) {
	const slack = time.Hour
	if now.Add(slack).Before(built) {
		out = append(out, fmt.Sprintf("the clock of this machine is wrong: it says %s, and this program was built on %s", now.Format(time.DateTime), built.Format(time.DateTime)))
	}
	if last := newest(have); now.Add(slack).Before(last) {
		out = append(out, fmt.Sprintf("the clock of this machine is wrong, or was when the last backup was made: it says %s, and the newest backup is of %s", now.Format(time.DateTime), last.Format(time.DateTime)))
	}
	return out
}

// need is about how many bytes an image of typ that reads n bytes comes to:
// what the last one of its type came to and a quarter more, else what disks of
// PCs come to.
func need(typ plan.Type, n int64, compressed bool, have []Point) int64 {
	var last Point
	for _, p := range have {
		if p.Type == typ && !p.Time.Before(last.Time) {
			last = p
		}
	}
	switch {
	case last.Size > 0:
		return min(last.Size+last.Size/4, n)
	case typ != plan.Full:
		return n / 10
	case compressed:
		return n / 10 * 6
	}
	return n
}
