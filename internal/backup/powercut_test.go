package backup

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ingot/internal/dest"
	"ingot/internal/dest/desttest"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/retention"
)

// TestPowerCuts has the machine go down at every single step that changes the
// destination, of an image, a consolidation and a purge: what is kept by then
// must be there and read as it was, and the same done again must end well.
func TestPowerCuts(t *testing.T) {
	stride := 1
	if raceDetector { // which looks for something else, and is slow
		stride = 5
	}
	for name, do := range map[string]func(*history, dest.Store) error{
		"full":         func(h *history, s dest.Store) error { return h.try(s, image.TypeFull) },
		"differential": func(h *history, s dest.Store) error { return h.try(s, image.TypeDiff) },
		"incremental":  func(h *history, s dest.Store) error { return h.try(s, image.TypeInc) },
		"merge":        func(h *history, s dest.Store) error { return h.tryMerge(s, 1, 3) },
		// The last incremental has a full index: it names blocks of the others.
		"merge below a full index":            func(h *history, s dest.Store) error { return h.tryMerge(s, 1, 3) },
		"encrypted, merge below a full index": func(h *history, s dest.Store) error { return h.tryMerge(s, 1, 3) },
		"synthetic full":                      func(h *history, s dest.Store) error { return h.tryMerge(s, 0, 2) },
		"purge": func(h *history, s dest.Store) error {
			return h.tryPurge(s, plan.Retention{Full: plan.Keep{N: 1}, Incremental: plan.Keep{N: 1}})
		},
		"purge of a set": func(h *history, s dest.Store) error { return h.tryPurge(s, plan.Retention{Full: plan.Keep{N: 1}}) },
	} {
		t.Run(name, func(t *testing.T) {
			for step := 0; ; step += stride {
				h := newHistory(t, 7)
				if strings.HasPrefix(name, "encrypted") {
					h.access = secret("correct horse")
				}
				for _, typ := range []string{"full", "inc", "full", "inc", "inc", "inc"} {
					h.write()
					if err := h.try(h.store, typ); err != nil {
						t.Fatal(err)
					}
				}
				if strings.HasSuffix(name, "merge below a full index") {
					h.fullIndex = true
					if err := h.try(h.store, "inc"); err != nil {
						t.Fatal(err)
					}
				}
				h.write()
				err := do(h, desttest.NewCrash(h.store, step))
				if err != nil && !errors.Is(err, desttest.ErrCrash) {
					t.Fatalf("step %d: %v", step, err)
				}
				h.check(true)
				if again := do(h, h.store); again != nil {
					t.Errorf("step %d: done again: %v", step, again)
				}
				if h.check(true); t.Failed() {
					t.Fatalf("power cut at step %d", step)
				}
				if err == nil {
					t.Logf("%d steps", step)
					return
				}
			}
		})
	}
}

// try takes an image of that type.
func (h *history) try(store dest.Store, typ string) error {
	p := h.prepare(Options{Type: typ, Compression: h.level, BlockSize: 4096, FullIndex: h.fullIndex})
	h.clock += 1000
	target, err := p.Target(h.t.Context(), store)
	if err != nil {
		return err
	}
	res, err := p.Run(h.t.Context(), store, target, Naming{Time: time.Unix(h.clock, 0)}, job.NewLog(nil))
	if err := errors.Join(err, target.Close()); err != nil {
		return err
	}
	h.keep(res)
	return nil
}

// tryMerge consolidates two points of the newest set; those before the last of
// them are not kept from the moment on it begins.
func (h *history) tryMerge(store dest.Store, from, into int) error {
	sets := h.sets().Sets
	s := sets[len(sets)-1]
	if err := s.Tidy(h.t.Context(), store); err != nil {
		return err
	}
	points := s.Points()
	if len(points) < 4 {
		return nil // it was done before
	}
	c, err := s.Consolidation(points[from], points[into])
	if err != nil {
		return err
	}
	for _, m := range c.Removed {
		delete(h.points, m.Doc.Header.BackupGUID)
	}
	return c.Run(h.t.Context(), store, image.Options{}, nil)
}

func (h *history) tryPurge(store dest.Store, rules plan.Retention) error {
	sets, _, err := retention.Read(h.t.Context(), store)
	if err != nil {
		return err
	}
	d := retention.Decide(rules, sets, retention.Run{Now: time.Unix(h.clock, 0)})
	kept := make(map[string]bool)
	for _, row := range d.Rows() {
		kept[row.File] = row.Verdict == retention.Keep
	}
	for guid, p := range h.points {
		if !kept[p.name] {
			delete(h.points, guid)
		}
	}
	return d.Apply(h.t.Context(), store, retention.Options{Access: h.access}, job.NewLog(nil))
}
