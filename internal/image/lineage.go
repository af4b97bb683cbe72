package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

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
