package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"ingot/internal/dest"
)

// mergingSuffix ends the name of a consolidated file that is not in its place
// yet: nobody takes it for a member of the set.
const mergingSuffix = ".merging"

// Consolidation is a run of points in time of a set that become the last of
// them. Make one with Set.Consolidation.
type Consolidation struct {
	// From and Into are the first and the last point. The new file has the name
	// and the numbers of Into, and the type and the parent of From: a run of
	// incrementals becomes an incremental, a full with the incrementals behind
	// it becomes a synthetic full.
	From, Into *Member
	// Removed are the files that go once the new one is in its place.
	Removed []*Member
	// Bytes are those that will be copied, at most.
	Bytes int64

	set   *Set
	chain []*Member // all files Into needs
	run   []*Member // the points from From to Into
}

// Consolidation checks that the points from, of the same lineage, up to into can
// become one, without any other point of the set losing what it needs.
func (s *Set) Consolidation(from, into *Member) (*Consolidation, error) {
	c := &Consolidation{From: from, Into: into, set: s}
	var err error
	if c.chain, err = s.Chain(into); err != nil {
		return nil, err
	}
	points, err := s.lineage(into)
	if err != nil {
		return nil, err
	}
	at := slices.Index(points, from)
	if at < 0 || from == into {
		return nil, fmt.Errorf("consolidate %s into %s: the second is not based on the first", from.Name, into.Name)
	}
	c.run = points[at:]
	for _, m := range c.run[1:] {
		if m.Doc.Header.BackupType != TypeInc {
			return nil, fmt.Errorf("consolidate %s into %s: %s between them is no incremental", from.Name, into.Name, m.Name)
		}
	}
	c.Removed = s.withParts(c.run[:len(c.run)-1])
	for _, m := range c.Removed {
		c.Bytes += m.Size
	}
	c.Bytes += into.Size
	return c, c.safe()
}

// safe refuses a consolidation that would take from another point what it
// needs.
func (c *Consolidation) safe() error {
	for _, p := range c.set.Points() {
		if slices.Contains(c.Removed, p) || p == c.Into {
			continue
		}
		chain, err := c.set.Chain(p)
		if err != nil || slices.Contains(chain, c.Into) {
			continue // broken already, or it finds all in the new file
		}
		for _, m := range chain {
			if slices.Contains(c.Removed, m) {
				return fmt.Errorf("consolidate %s into %s: %s needs %s and would lose it", c.From.Name, c.Into.Name, p.Name, m.Name)
			}
		}
	}
	return nil
}

// Run writes the consolidated file, verifies it, puts it in the place of Into
// and deletes the files it replaces. At any moment before it returns every point
// of the set but those of Removed can be restored, and an error leaves it so.
// progress, which may be nil, is told of bytes as they are copied.
func (c *Consolidation) Run(ctx context.Context, store dest.Store, opts Options, progress func(bytes int64)) error {
	if progress == nil {
		progress = func(int64) {}
	}
	if l, ok := store.(dest.Limiter); ok {
		limit, err := l.MaxFile()
		if err != nil {
			return err
		}
		if limit > 0 && c.Bytes > limit {
			return fmt.Errorf("consolidate %s to %s: %w: the new file could have %d bytes, and the destination holds none of more than %d",
				c.From.Name, c.Into.Name, ErrUnsupported, c.Bytes, limit)
		}
	}
	if err := c.set.Tidy(ctx, store); err != nil {
		return err
	}
	tmp := c.Into.Name + mergingSuffix
	if err := removeOld(ctx, store, tmp); err != nil {
		return err
	}
	if err := c.write(ctx, store, tmp, opts, progress); err != nil {
		return fmt.Errorf("consolidate %s to %s: %w", c.From.Name, c.Into.Name, err)
	}
	gone := func(name string) bool {
		return slices.ContainsFunc(c.Removed, func(m *Member) bool { return m.Name == name })
	}
	if err := compareChains(ctx, store, c.set.access, c.recipe(), c.recipe().without(tmp, gone)); err != nil {
		return errors.Join(fmt.Errorf("consolidate %s to %s: verify the new file: %w", c.From.Name, c.Into.Name, err), store.Remove(ctx, tmp))
	}
	if err := store.Rename(ctx, tmp, c.Into.Name); err != nil {
		return err
	}
	// What is to go is left over from here on.
	again, err := ReadSets(ctx, store, c.set.access)
	if err != nil {
		return err
	}
	set, _ := again.Find(c.Into.Name)
	if set == nil {
		return fmt.Errorf("%s has gone", c.Into.Name)
	}
	return set.Tidy(ctx, store)
}

// removeOld deletes what an earlier run left that was cut short.
func removeOld(ctx context.Context, store dest.Store, tmp string) error {
	b, err := store.Open(ctx, tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(b.Close(), store.Remove(ctx, tmp))
}

func (c *Consolidation) recipe() recipe {
	r := recipe{point: c.Into.Name}
	for _, m := range c.chain {
		r.files = append(r.files, m.Name)
	}
	return r
}
