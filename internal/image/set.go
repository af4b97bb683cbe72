package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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
	slices.SortStableFunc(out.Sets, func(a, b *Set) int { return cmp.Compare(a.newestTime(), b.newestTime()) })
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

func (s *Set) newestTime() int64 {
	if m := s.Newest(); m != nil {
		return m.Doc.Header.BackupTime
	}
	return 0
}

// Full is the full that a point in time goes back to.
func (s *Set) Full(m *Member) (*Member, error) {
	chain, err := s.Chain(m)
	if err != nil {
		return nil, err
	}
	for _, c := range chain {
		if c.Point() && c.Doc.Header.BackupType == TypeFull {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %s goes back to a full that is not there", ErrMissing, m.Name)
}

// Chain gives the files that a point in time needs, oldest first, itself last.
// An error that wraps ErrMissing names what is not there.
func (s *Set) Chain(m *Member) ([]*Member, error) {
	points, err := s.lineage(m)
	if err != nil {
		return nil, err
	}
	var out []*Member
	have := make(map[int64]bool)
	for _, c := range s.withParts(points) {
		out = append(out, c)
		have[c.Number()] = true
		for _, n := range c.Doc.Header.MergedFiles {
			have[n] = true
		}
	}
	return out, s.complete(m, have)
}

// lineage gives the points whose indexes m is made of, oldest first. Where
// Ingot noted what a file is based on, it follows that; else it is all that
// stands before it, as for the published reader.
func (s *Set) lineage(m *Member) ([]*Member, error) {
	out := []*Member{m}
	for {
		ref := m.Doc.Auxiliary.Parent
		if ref == nil {
			break
		}
		parent := s.byGUID(ref.GUID)
		if parent == nil {
			return nil, s.missing(out[0], ref.FileNumber)
		}
		if parent.Number() >= m.Number() {
			return nil, damaged("%s says it is based on %s, which is not older", m.Name, parent.Name)
		}
		out = append(out, parent)
		m = parent
	}
	if m.Doc.Header.BackupType != TypeFull || m.Doc.Header.DeltaIndex {
		last := m
		for i := len(s.Members) - 1; i >= 0; i-- {
			c := s.Members[i]
			if c.Point() && c.Number() < last.Number() && c.Doc.Header.IncrementNumber <= m.Doc.Header.IncrementNumber {
				out = append(out, c)
				last = c
			}
		}
		if first := last.Doc.Header; first.BackupType != TypeFull {
			return nil, fmt.Errorf("%w: the full that %s goes back to (the oldest file there is %s)", ErrMissing, out[0].Name, last.Name)
		}
	}
	slices.Reverse(out)
	return out, nil
}

func (s *Set) byGUID(guid string) *Member {
	for _, m := range s.Members {
		if m.Point() && m.Doc.Header.BackupGUID == guid {
			return m
		}
	}
	return nil
}

// complete checks that the files a point in time says it has blocks in are
// there.
func (s *Set) complete(m *Member, have map[int64]bool) error {
	for i := range m.Doc.Disks {
		for k := range m.Doc.Disks[i].Partitions {
			for _, h := range m.Doc.Disks[i].Partitions[k].Header.History {
				if !have[h.Number] {
					return s.missing(m, h.Number)
				}
			}
		}
	}
	return nil
}

// missing is the error for file number n, which m needs.
func (s *Set) missing(m *Member, n int64) error {
	name := fmt.Sprintf("file number %d", n)
	for i := range m.Doc.Disks {
		for k := range m.Doc.Disks[i].Partitions {
			for _, h := range m.Doc.Disks[i].Partitions[k].Header.History {
				if h.Number == n && h.Name != "" {
					name = fmt.Sprintf("%s (file number %d)", h.Name, n)
				}
			}
		}
	}
	for _, b := range s.broken {
		if strings.HasPrefix(name, b.Name+" ") {
			return fmt.Errorf("%w: %s needs %s, which cannot be read: %w", ErrMissing, m.Name, name, b.Err)
		}
	}
	return fmt.Errorf("%w: %s needs %s", ErrMissing, m.Name, name)
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

// sameShape says how the disks and partitions of two documents differ, as far
// as the places of their blocks depend on it; nil when they do not.
func sameShape(a, b *Document) error {
	if len(a.Disks) != len(b.Disks) {
		return fmt.Errorf("one holds %d disks, the other %d", len(a.Disks), len(b.Disks))
	}
	for i := range a.Disks {
		pa, pb := a.Disks[i].Partitions, b.Disks[i].Partitions
		if len(pa) != len(pb) {
			return fmt.Errorf("there were %d partitions, and there are %d", len(pa), len(pb))
		}
		for k := range pa {
			if why := pa[k].differs(&pb[k]); why != "" {
				return fmt.Errorf("partition %d %s", pb[k].Header.Number, why)
			}
		}
	}
	return nil
}

// differs says in words how a partition b is not what a was; "" when its
// blocks are in the same places.
func (a *Partition) differs(b *Partition) string {
	lcnA, lcnB := a.FileSystem.LCN0-a.FileSystem.Start, b.FileSystem.LCN0-b.FileSystem.Start
	switch {
	case a.Geometry.Start != b.Geometry.Start:
		return fmt.Sprintf("was moved from byte %d to %d of the disk", a.Geometry.Start, b.Geometry.Start)
	case a.Geometry.Length != b.Geometry.Length:
		return fmt.Sprintf("changed its size from %d to %d bytes", a.Geometry.Length, b.Geometry.Length)
	case a.Header.BlockSize != b.Header.BlockSize:
		return fmt.Sprintf("is imaged in blocks of %d bytes instead of %d", b.Header.BlockSize, a.Header.BlockSize)
	case lcnA != lcnB || a.FileSystem.ReservedLength != b.FileSystem.ReservedLength || a.Geometry.BootSectorOffset != b.Geometry.BootSectorOffset:
		return "was formatted anew (its clusters begin elsewhere)"
	}
	return ""
}

// Shape is the same for points in time of exactly the same partitions of the same
// disks: the disks' ids, and a hash of how they are cut.
func (m *Member) Shape() string {
	var ids []string
	cut := fnv.New64a()
	for i := range m.Doc.Disks {
		d := &m.Doc.Disks[i]
		ids = append(ids, d.Header.Format+" "+strings.ToLower(d.Header.Signature))
		for k := range d.Partitions {
			g := &d.Partitions[k].Geometry
			fmt.Fprintf(cut, "%d %d+%d ", i, g.Start, g.Length)
		}
	}
	return fmt.Sprintf("%s #%08x", strings.Join(ids, ", "), cut.Sum64()>>32)
}

// Differs says in words why a new point in time cannot be based on the member;
// "" when it can: next has the same disks, cut the same way into the same
// partitions, with the same file systems.
func (m *Member) Differs(next *Document) string {
	if len(m.Doc.Disks) != len(next.Disks) {
		return fmt.Sprintf("it holds %d disks", len(m.Doc.Disks))
	}
	for i := range next.Disks {
		a, b := &m.Doc.Disks[i], &next.Disks[i]
		switch {
		case a.Header.Format != b.Header.Format || !strings.EqualFold(a.Header.Signature, b.Header.Signature):
			return fmt.Sprintf("it is of another disk (%s %s)", a.Header.Format, a.Header.Signature)
		case a.Geometry.BytesPerSector != b.Geometry.BytesPerSector:
			return fmt.Sprintf("its disk has sectors of %d bytes", a.Geometry.BytesPerSector)
		}
	}
	if err := sameShape(m.Doc, next); err != nil {
		return err.Error()
	}
	for i := range next.Disks {
		for k := range next.Disks[i].Partitions {
			a, b := &m.Doc.Disks[i].Partitions[k].FileSystem, &next.Disks[i].Partitions[k].FileSystem
			if a.Type != b.Type || a.SectorsPerCluster != b.SectorsPerCluster && a.SectorsPerCluster > 0 && b.SectorsPerCluster > 0 {
				return fmt.Sprintf("partition %d was formatted anew", next.Disks[i].Partitions[k].Header.Number)
			}
		}
	}
	// How a set is encrypted is settled when it begins; that it is must be wanted.
	switch a, b := &m.Doc.Encryption, &next.Encryption; {
	case !a.Encrypted() && b.Encrypted():
		return "it is not encrypted"
	case !a.Conceal && b.Conceal:
		return "its hashes are not concealed"
	}
	if a, b := m.Doc.Compression.Level, next.Compression.Level; (a == CompressionNone) != (b == CompressionNone) {
		return fmt.Sprintf("its compression is %s, not %s: a set has one or none", a, b)
	}
	return ""
}

// Dependents are the points that cannot be without m, itself first.
func (s *Set) Dependents(m *Member) ([]*Member, error) {
	out := []*Member{m}
	for _, p := range s.Points() {
		if p == m {
			continue
		}
		chain, err := s.lineage(p)
		if errors.Is(err, ErrMissing) {
			continue // it is without something already
		}
		if err != nil {
			return nil, err
		}
		if slices.Contains(chain, m) {
			out = append(out, p)
		}
	}
	return out, nil
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

// withParts gives the members of these points, those with parts of split
// backups too, in their order in the set.
func (s *Set) withParts(points []*Member) []*Member {
	var out []*Member
	for _, m := range s.Members {
		part := !m.Point() && slices.ContainsFunc(points, func(p *Member) bool {
			return p.Doc.Header.IncrementNumber == m.Doc.Header.IncrementNumber
		})
		if part || slices.Contains(points, m) {
			out = append(out, m)
		}
	}
	return out
}
