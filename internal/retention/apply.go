package retention

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ingot/internal/dest"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/plan"
)

// Read gives the sets of a store as Decide takes them. The newest set of each
// disk is the current one. broken is an error that names the files that cannot be
// read, if there are any: what is in them is in the reach of no rule, and points
// that need them are not whole.
func Read(ctx context.Context, store dest.Store) (out []Set, broken, err error) {
	found, err := image.ReadSets(ctx, store, nil)
	if err != nil {
		return nil, nil, err
	}
	protected, err := image.Protected(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range found.Broken {
		broken = errors.Join(broken, fmt.Errorf("%w: %s cannot be read: %w", image.ErrDamaged, b.Name, b.Err))
	}
	current := make(map[string]bool)
	for i := len(found.Sets) - 1; i >= 0; i-- {
		s := toSet(found.Sets[i], protected)
		if len(s.Points) == 0 {
			continue // parts of a split backup whose end is missing
		}
		s.Current = !current[s.Disk]
		current[s.Disk] = true
		out = append(out, s)
	}
	return out, broken, nil
}

func toSet(s *image.Set, protected map[string]bool) Set {
	out := Set{ID: s.ID}
	for _, m := range s.Points() {
		h := &m.Doc.Header
		out.Disk = m.Shape()
		if h.BackupsetTime > 0 {
			out.Begun = time.Unix(h.BackupsetTime, 0)
		}
		p := Point{
			Type: plan.Type(h.BackupType), Increment: int(h.IncrementNumber), Time: time.Unix(h.BackupTime, 0),
			Protected: protected[strings.ToLower(h.BackupGUID)],
		}
		for _, f := range s.FilesOf(m) {
			p.Files = append(p.Files, int(f.Number()))
			p.Names = append(p.Names, f.Name)
			p.Size += f.Size
		}
		_, err := s.Chain(m)
		p.Whole = err == nil
		out.Points = append(out.Points, p)
	}
	return out
}

// Tidy ends what housekeeping that was cut short has left in a store.
func Tidy(ctx context.Context, store dest.Store, opts Options, log *job.Log) error {
	found, err := image.ReadSets(ctx, store, opts.Access)
	if err != nil {
		return err
	}
	for _, s := range found.Sets {
		if len(s.Leftover) == 0 {
			continue
		}
		err := s.Tidy(ctx, store)
		switch {
		case err == nil:
			log.Note("set %s: what a consolidation that was cut short had left was removed", s.ID)
		case errors.Is(err, image.ErrLocked) || errors.Is(err, image.ErrPassword) || errors.Is(err, image.ErrDamaged):
			log.Warn("set %s: what a consolidation that was cut short has left stays: %v", s.ID, err)
		default:
			return err
		}
	}
	return nil
}

// Options say how Apply works.
type Options struct {
	// TempDir is where the index of a large disk waits; "" is the system's.
	TempDir string
	// Access has the password of encrypted sets, whose points cannot be merged
	// without; deleting needs none.
	Access *image.Access
}

// Apply carries the operations of a decision out, in their order. Each one looks
// at the store anew and refuses what would leave a point without what it needs,
// so that a decision that has grown old does no harm. An operation that cannot
// be done is a warning in the log and holds up none but later ones of its set.
func (d *Decision) Apply(ctx context.Context, store dest.Store, opts Options, log *job.Log) error {
	stuck := make(map[string]bool)
	for i := range d.Ops {
		op := &d.Ops[i]
		if stuck[op.Set] {
			continue
		}
		err := op.apply(ctx, store, opts, log)
		switch {
		case err == nil:
			d.count(op)
		case errors.Is(err, image.ErrUnsupported) || errors.Is(err, image.ErrDamaged) || errors.Is(err, image.ErrMissing) ||
			errors.Is(err, image.ErrLocked) || errors.Is(err, image.ErrPassword):
			stuck[op.Set] = true
			d.Undone = errors.Join(d.Undone, fmt.Errorf("%s in set %s was not done: %w", op.Kind, op.Set, err))
			log.Warn("set %s: %s was not done, all of it stays: %v", op.Set, op.Kind, err)
		default:
			return fmt.Errorf("%s in set %s: %w", op.Kind, op.Set, err)
		}
	}
	return nil
}

// count adds an operation to what was done.
func (d *Decision) count(op *Op) {
	if op.Kind == Merge || op.Kind == Roll {
		d.Merged += len(op.Points) - 1
		return
	}
	d.Deleted += len(op.Points)
}

func (op *Op) apply(ctx context.Context, store dest.Store, opts Options, log *job.Log) error {
	sets, err := image.ReadSets(ctx, store, opts.Access)
	if err != nil {
		return err
	}
	protected, err := image.Protected(ctx, store)
	if err != nil {
		return err
	}
	var set *image.Set
	var points []*image.Member
	for _, p := range op.Points {
		s, m := sets.Find(p.Names[len(p.Names)-1])
		if m == nil {
			return fmt.Errorf("%w: %s has gone", image.ErrMissing, p.Names[len(p.Names)-1])
		}
		set = s
		points = append(points, m)
	}
	if set == nil {
		return nil
	}
	gone := points
	if op.Kind == Merge || op.Kind == Roll {
		gone = points[:len(points)-1]
	}
	for _, m := range gone {
		if protected[strings.ToLower(m.Doc.Header.BackupGUID)] {
			return fmt.Errorf("%w: %s has been protected since", image.ErrUnsupported, m.Name)
		}
	}
	if err := set.Tidy(ctx, store); err != nil {
		return err
	}
	if op.Kind == DeleteSet || op.Kind == Delete {
		log.Note("delete %s: %s", names(points), op.Reason)
		return set.Delete(ctx, store, points)
	}
	return merge(ctx, store, set, points, op, opts, log)
}

func merge(ctx context.Context, store dest.Store, set *image.Set, points []*image.Member, op *Op, opts Options, log *job.Log) error {
	last := points[len(points)-1]
	c, err := set.Consolidation(points[0], last)
	if err != nil {
		return err
	}
	log.Note("merge %s into %s: %s", names(points[:len(points)-1]), last.Name, op.Reason)
	meter := log.Stage("consolidate", c.Bytes)
	defer meter.End()
	return c.Run(ctx, store, image.Options{TempDir: opts.TempDir}, meter.Add)
}

func names(points []*image.Member) string {
	switch n := len(points); n {
	case 1:
		return points[0].Name
	default:
		return fmt.Sprintf("%s to %s (%d points)", points[0].Name, points[n-1].Name, n)
	}
}
