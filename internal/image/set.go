package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"ingot/internal/dest"
)

// Member is one file of a backup set.
type Member struct {
	Name string
	Size int64
	Doc  *Document
}

// Number is the file's number in its set.
func (m *Member) Number() int64 { return m.Doc.Header.FileNumber }

// Point says whether the file holds a point in time, and not only blocks of
// one whose index is in another file.
func (m *Member) Point() bool { return !m.Doc.Header.SplitFile }

// Set is a backup set: the files of one image id in one store, ascending by
// file number.
type Set struct {
	ID      string
	Members []*Member
	// Leftover are files whose contents a consolidation, cut short before its
	// end, has moved elsewhere. Tidy deletes them.
	Leftover []*Member
	// Orphans are parts of a split backup that has no index: it was cut short
	// while its files got their names, or its last file is missing.
	Orphans []*Member

	broken []Broken
	access *Access
}

// Broken is a file that looks like an image and cannot be read as one.
type Broken struct {
	Name string
	Err  error
}

// Sets are the backup sets of a store.
type Sets struct {
	Sets   []*Set // by the time of their newest point, the newest last
	Broken []Broken
}

// ReadSets finds the backup sets of a store. Image files are known by their
// content, whatever they are called; other files are passed over. access, which
// may be nil, is for opening their points: what ReadSets itself reads is not
// encrypted, and not authenticated either.
func ReadSets(ctx context.Context, store dest.Store, access *Access) (*Sets, error) {
	list, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	out := new(Sets)
	byID := make(map[string]*Set)
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if strings.HasSuffix(e.Name, mergingSuffix) {
			continue
		}
		m, err := readMember(ctx, store, e.Name)
		switch {
		case errors.Is(err, ErrNotImage):
			continue
		case err != nil:
			out.Broken = append(out.Broken, Broken{e.Name, err})
			continue
		}
		id := strings.ToUpper(m.Doc.Header.ImageID)
		s := byID[id]
		if s == nil {
			s = &Set{ID: id, access: access}
			byID[id] = s
			out.Sets = append(out.Sets, s)
		}
		s.Members = append(s.Members, m)
	}
	for _, s := range out.Sets {
		slices.SortStableFunc(s.Members, func(a, b *Member) int { return cmp.Compare(a.Number(), b.Number()) })
		s.broken = out.Broken
		s.setApart()
	}
	slices.SortStableFunc(out.Sets, byAge)
	return out, nil
}

// setApart moves members that a newer one has taken in to the leftovers.
func (s *Set) setApart() {
	taken := make(map[int64]bool)
	for _, m := range s.Members {
		for _, n := range m.Doc.Header.MergedFiles {
			taken[n] = taken[n] || n < m.Number()
		}
	}
	s.Members = slices.DeleteFunc(s.Members, func(m *Member) bool {
		if taken[m.Number()] {
			s.Leftover = append(s.Leftover, m)
		}
		return taken[m.Number()]
	})
	ended := make(map[int64]bool) // increments
	for _, m := range s.Members {
		if m.Point() {
			ended[m.Doc.Header.IncrementNumber] = true
		}
	}
	s.Members = slices.DeleteFunc(s.Members, func(m *Member) bool {
		orphan := !ended[m.Doc.Header.IncrementNumber]
		if orphan {
			s.Orphans = append(s.Orphans, m)
		}
		return orphan
	})
}

// Tidy ends what a consolidation that was cut short has left: files behind the
// new one that still name blocks of the leftovers name those of the new one, and
// the leftovers are deleted.
func (s *Set) Tidy(ctx context.Context, store dest.Store) error {
	for len(s.Leftover) > 0 {
		m := s.Leftover[len(s.Leftover)-1]
		into := s.takenBy(m)
		var gone []*Member
		for _, l := range s.Leftover {
			if s.takenBy(l) == into {
				gone = append(gone, l)
			}
		}
		if err := s.repoint(ctx, store, into, gone); err != nil {
			return err
		}
		for _, l := range gone {
			if err := store.Remove(ctx, l.Name); err != nil {
				return err
			}
		}
		s.Leftover = slices.DeleteFunc(s.Leftover, func(l *Member) bool { return slices.Contains(gone, l) })
	}
	return nil
}

// TakenIn says whether the file of that name, of a set or gone already, has been
// taken in by a member: its number, by which its name ends, is among the merged
// ones.
func (s *Set) TakenIn(name string, into *Member) bool {
	for _, l := range s.Leftover {
		if l.Name == name {
			return s.takenBy(l) == into
		}
	}
	base := strings.TrimSuffix(name, path.Ext(name))
	number, err := strconv.ParseInt(base[strings.LastIndexByte(base, '-')+1:], 10, 64)
	return err == nil && slices.Contains(into.Doc.Header.MergedFiles, number)
}

// takenBy is the oldest member that has taken a leftover in.
func (s *Set) takenBy(l *Member) *Member {
	for _, m := range s.Members {
		if m.Number() > l.Number() && slices.Contains(m.Doc.Header.MergedFiles, l.Number()) {
			return m
		}
	}
	return nil
}

// readMember reads what a file says of itself.
func readMember(ctx context.Context, store dest.Store, name string) (*Member, error) {
	b, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	doc, _, _, err := readHead(b)
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, err
	}
	return &Member{Name: name, Size: b.Size(), Doc: doc}, nil
}

// find looks for the file of that name.
func find(sets []*Set, name string) (*Set, *Member) {
	for _, s := range sets {
		for _, m := range s.Members {
			if m.Name == name {
				return s, m
			}
		}
	}
	return nil, nil
}

// Find gives the set and member of a file name, nil when there is none.
func (s *Sets) Find(name string) (*Set, *Member) { return find(s.Sets, name) }

// Points are the members that hold a point in time.
func (s *Set) Points() []*Member {
	var out []*Member
	for _, m := range s.Members {
		if m.Point() {
			out = append(out, m)
		}
	}
	return out
}

// FilesOf are the files of one point in time itself: one, or more when it is
// split, the one with the index last.
func (s *Set) FilesOf(m *Member) []*Member { return s.withParts([]*Member{m}) }

// Newest is the newest point in time, nil when the set has none. It goes by
// the numbers of the files: clocks may have been set back.
func (s *Set) Newest() *Member {
	if p := s.Points(); len(p) > 0 {
		return p[len(p)-1]
	}
	return nil
}

// byAge orders sets by their newest point, the newest last. Files have seconds: two
// sets may have a point of the same one, and then that which began later is the
// newer one.
func byAge(a, b *Set) int {
	times := func(s *Set) (newest, begun int64) {
		if m := s.Newest(); m != nil {
			return m.Doc.Header.BackupTime, m.Doc.Header.BackupsetTime
		}
		return 0, 0
	}
	newestA, begunA := times(a)
	newestB, begunB := times(b)
	return cmp.Or(cmp.Compare(newestA, newestB), cmp.Compare(begunA, begunB))
}

// Open opens a point in time of the set.
func (s *Set) Open(ctx context.Context, store dest.Store, m *Member) (*Chain, error) {
	r, err := s.recipe(m)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", m.Name, err)
	}
	return r.open(ctx, store, s.access)
}

// recipe says which files are to be opened for a point in time.
func (s *Set) recipe(m *Member) (recipe, error) {
	chain, err := s.Chain(m)
	if err != nil {
		return recipe{}, err
	}
	r := recipe{point: m.Name}
	for _, c := range chain {
		r.files = append(r.files, c.Name)
	}
	for _, c := range s.Leftover {
		if c.Number() < m.Number() {
			r.extra = append(r.extra, c.Name)
		}
	}
	return r, nil
}

// Delete deletes points, which must be all that depend on one another, newest
// first: whenever it is cut short, what is left can be restored. It refuses when
// another point of the set would lose what it needs.
func (s *Set) Delete(ctx context.Context, store dest.Store, points []*Member) error {
	gone := s.withParts(points)
	for _, p := range s.Points() {
		if slices.Contains(gone, p) {
			continue
		}
		chain, err := s.Chain(p)
		if err != nil {
			continue
		}
		for _, m := range chain {
			if slices.Contains(gone, m) {
				return fmt.Errorf("delete %s: %s needs it", m.Name, p.Name)
			}
		}
	}
	for i := len(gone) - 1; i >= 0; i-- {
		if err := store.Remove(ctx, gone[i].Name); err != nil {
			return err
		}
	}
	s.Members = slices.DeleteFunc(s.Members, func(m *Member) bool { return slices.Contains(gone, m) })
	return nil
}
