package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/internal/dest/folder"
	"ingot/internal/image"
)

// pointHelp explains how verbs are told which point in time is meant.
const pointHelp = `IMAGE is an image file, or a folder, which stands for its newest point in time.
@TIME behind it chooses another one of the set: the newest that is not younger
than @2026-11-24, @2026-11-24T18:30 or @2026-11-24T18:30:00+01:00, or @oldest, or
@newest.`

// point is a point in time that was opened.
type point struct {
	*image.Chain
	Folder string
	Set    *image.Set // nil for a file that was named without a time
}

// Path is where the file that holds it lies.
func (p *point) Path() string { return filepath.Join(p.Folder, p.Name) }

// openPoint opens the point in time that PATH or PATH@TIME names. Close it.
func (c *console) openPoint(ctx context.Context, ref string) (*point, error) {
	path, when := cutTime(ref)
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	p := &point{Folder: path}
	name := ""
	if !st.IsDir() {
		p.Folder, name = filepath.Split(path)
		p.Folder = filepath.Clean(p.Folder)
	}
	store, err := folder.New(p.Folder)
	if err != nil {
		return nil, err
	}
	if when == "" && name != "" {
		p.Chain, err = image.Open(ctx, store, name, c.access(ctx, false))
		return p, err
	}
	sets, err := image.ReadSets(ctx, store, c.access(ctx, false))
	if err != nil {
		return nil, err
	}
	m, err := p.choose(sets, name, when)
	if err != nil {
		return nil, err
	}
	p.Chain, err = p.Set.Open(ctx, store, m)
	return p, err
}

// cutTime takes the time off a reference; a file whose name has an @ is that
// file.
func cutTime(ref string) (path, when string) {
	if _, err := os.Stat(ref); err == nil {
		return ref, ""
	}
	if i := strings.LastIndexByte(ref, '@'); i > 0 {
		return ref[:i], ref[i+1:]
	}
	return ref, ""
}

// choose finds the set that is meant and its point in time; name is "" for the
// only set of a folder, or the newest of several of one disk.
func (p *point) choose(sets *image.Sets, name, when string) (*image.Member, error) {
	var among []*image.Set
	if name != "" {
		s, _ := sets.Find(name)
		if s == nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(p.Folder, name), image.ErrNotImage)
		}
		among = []*image.Set{s}
	} else {
		among = sets.Sets
	}
	if err := oneShape(p.Folder, among); err != nil {
		return nil, err
	}
	pick, err := parseWhen(when)
	if err != nil {
		return nil, usageError{err}
	}
	var best *image.Member
	for _, s := range among {
		for _, m := range s.Points() {
			if pick(m, best) {
				p.Set, best = s, m
			}
		}
	}
	if best == nil {
		return nil, refuse("%s holds no point in time as old as %s; 'ingot sets %s' lists them", p.Folder, when, p.Folder)
	}
	return best, nil
}

// oneShape refuses a folder of which nobody can say which disk is meant.
func oneShape(path string, sets []*image.Set) error {
	shapes := make(map[string]string)
	for _, s := range sets {
		if m := s.Newest(); m != nil {
			shapes[m.Shape()] = m.Name
		}
	}
	switch len(shapes) {
	case 0:
		return fmt.Errorf("open image: %s: %w", path, errors.New("the folder holds no images"))
	case 1:
		return nil
	}
	var names []string
	for _, n := range shapes {
		names = append(names, n)
	}
	return refuse("%s holds images of %d disks: name one of the files (%s)", path, len(shapes), strings.Join(names, ", "))
}

// parseWhen gives what says that a point in time is meant rather than the best
// one so far, which may be nil.
func parseWhen(when string) (func(m, best *image.Member) bool, error) {
	at := func(m *image.Member) int64 { return m.Doc.Header.BackupTime }
	switch strings.ToLower(when) {
	case "", "newest", "latest":
		return func(m, best *image.Member) bool { return best == nil || at(m) >= at(best) }, nil
	case "oldest":
		return func(m, best *image.Member) bool { return best == nil || at(m) < at(best) }, nil
	}
	limit, err := parseLimit(when)
	if err != nil {
		return nil, err
	}
	return func(m, best *image.Member) bool {
		return at(m) <= limit && (best == nil || at(m) >= at(best))
	}, nil
}

// parseLimit is the last second that a time as people write it means.
func parseLimit(text string) (int64, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Unix(), nil
	}
	for _, f := range []struct {
		layout string
		length time.Duration
	}{
		{"2006-01-02T15:04:05", time.Second}, {"2006-01-02 15:04:05", time.Second},
		{"2006-01-02T15:04", time.Minute}, {"2006-01-02 15:04", time.Minute},
	} {
		if t, err := time.ParseInLocation(f.layout, text, time.Local); err == nil {
			return t.Add(f.length).Unix() - 1, nil
		}
	}
	t, err := time.ParseInLocation(time.DateOnly, text, time.Local)
	if err != nil {
		return 0, fmt.Errorf("%q is no point in time: write @2026-11-24, @2026-11-24T18:30, @newest or @oldest", text)
	}
	return t.AddDate(0, 0, 1).Unix() - 1, nil // the day may have 23 or 25 hours
}
