package retention

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ingot/internal/plan"
)

// model is a folder of backup files that knows what they hold, and nothing of
// how retention thinks: each file leads from one state of the disk to another.
type model []*modelSet

type modelSet struct {
	id, disk string
	begun    time.Time
	current  bool
	files    []*modelFile
}

type modelFile struct {
	kind     plan.Type
	number   int
	time     time.Time
	from, to int // states; a full leads from 0
	size     int64
	bad      bool // missing or damaged
	guarded  bool // protected
}

// restores says whether a file leads to its state from nothing: every link
// of its chain must be there and fit.
func (s *modelSet) restores(f *modelFile) bool {
	for range len(s.files) + 1 {
		if f.bad {
			return false
		}
		if f.from == 0 {
			return true
		}
		i := slices.IndexFunc(s.files, func(g *modelFile) bool { return g.to == f.from })
		if i < 0 {
			return false
		}
		f = s.files[i]
	}
	return false
}

func (m model) sets() []Set {
	var out []Set
	for _, s := range m {
		set := Set{ID: s.id, Disk: s.disk, Begun: s.begun, Current: s.current}
		for _, f := range s.files {
			set.Points = append(set.Points, Point{
				Type: f.kind, Increment: f.number, Time: f.time, Files: []int{f.number},
				Size: f.size, Protected: f.guarded, Whole: !f.bad,
			})
		}
		out = append(out, set)
	}
	return out
}

func (m model) clone() model {
	var out model
	for _, s := range m {
		c := *s
		c.files = nil
		for _, f := range s.files {
			g := *f
			c.files = append(c.files, &g)
		}
		out = append(out, &c)
	}
	return out
}

func (m model) set(id string) *modelSet {
	for _, s := range m {
		if s.id == id {
			return s
		}
	}
	return nil
}

// states are the states of a disk that can be restored.
func (m model) states(disk string) map[int]bool {
	out := map[int]bool{}
	for _, s := range m {
		for _, f := range s.files {
			if s.disk == disk && s.restores(f) {
				out[f.to] = true
			}
		}
	}
	return out
}

func (s *modelSet) file(number int) *modelFile {
	for _, f := range s.files {
		if f.number == number {
			return f
		}
	}
	return nil
}

func (s *modelSet) drop(number int) {
	s.files = slices.DeleteFunc(s.files, func(f *modelFile) bool { return f.number == number })
}

// apply carries out one operation as the real one would, and calls step after
// each state in which a crash could leave the folder.
func (m *model) apply(op Op, step func()) error {
	s := m.set(op.Set)
	if s == nil {
		return fmt.Errorf("no set %q", op.Set)
	}
	var files []*modelFile
	for _, p := range op.Points {
		f := s.file(p.Increment)
		if f == nil {
			return fmt.Errorf("set %s has no point %d", op.Set, p.Increment)
		}
		files = append(files, f)
	}
	switch op.Kind {
	case Delete, DeleteSet:
		for _, f := range files {
			s.drop(f.number)
			step()
		}
		if op.Kind == DeleteSet && len(s.files) > 0 {
			return fmt.Errorf("set %s is deleted and has %d files left", op.Set, len(s.files))
		}
		*m = slices.DeleteFunc(*m, func(s *modelSet) bool { return len(s.files) == 0 })
	case Merge, Roll:
		if err := s.combine(op.Kind, files); err != nil {
			return err
		}
		step()
	}
	return nil
}

func (s *modelSet) combine(kind Kind, files []*modelFile) error {
	first, last := files[0], files[len(files)-1]
	for i, f := range files {
		if f.bad || i > 0 && (f.from != files[i-1].to || f.kind != plan.Incremental) {
			return fmt.Errorf("set %s: %s of files that do not follow each other: %d", s.id, kind, f.number)
		}
	}
	if (kind == Roll) != (first.kind == plan.Full) || first.kind == plan.Differential {
		return fmt.Errorf("set %s: %s that begins with a %s", s.id, kind, first.kind)
	}
	last.from, last.kind = first.from, first.kind
	for _, f := range files[:len(files)-1] {
		s.drop(f.number)
	}
	return nil
}

// now is noon of a Wednesday.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// parse makes a folder from a line for each set, the oldest first. A line is
// "F I I D I": one backup a day, the last of all of them at midnight before
// now. "*" protects a point, "!" damages it, "@-30" and "@30" shift its clock by
// days, "~9" is a gap of days without backups, "=" gives it the time of the one
// before. A line may begin with the name of another disk ("e:"). "?" as the first token takes the
// set for one that is not written to; otherwise the last of each disk is.
func parse(t *testing.T, lines ...string) model {
	t.Helper()
	var m model
	day, state := 0, 0
	last := map[string]*modelSet{}
	for i, line := range lines {
		s := &modelSet{id: string(rune('A' + i)), disk: "d", current: true}
		if disk, rest, ok := strings.Cut(line, ":"); ok {
			s.disk, line = disk, rest
		}
		if before := last[s.disk]; before != nil {
			before.current = false
		}
		last[s.disk] = s
		full := 0
		for _, token := range strings.Fields(line) {
			switch {
			case token == "?":
				s.current = false
				continue
			case token[0] == '~':
				n, err := strconv.Atoi(token[1:])
				if err != nil {
					t.Fatal(err)
				}
				day += n
				continue
			}
			f := &modelFile{number: len(s.files), size: 1 << 30, from: state, to: state + 1}
			f.guarded, f.bad = strings.Contains(token, "*"), strings.Contains(token, "!")
			state++
			if !strings.Contains(token, "=") {
				day++
			}
			f.time = time.Unix(0, 0).AddDate(0, 0, day)
			if _, shift, ok := strings.Cut(token, "@"); ok {
				n, err := strconv.Atoi(shift)
				if err != nil {
					t.Fatal(err)
				}
				f.time = f.time.AddDate(0, 0, n)
			}
			switch token[0] {
			case 'F':
				f.kind, f.from, full = plan.Full, 0, f.to
			case 'D':
				f.kind, f.from = plan.Differential, full
			case 'I':
				f.kind = plan.Incremental
			default:
				t.Fatalf("token %q", token)
			}
			s.files = append(s.files, f)
		}
		m = append(m, s)
	}
	shift := now.Truncate(24*time.Hour).AddDate(0, 0, -day).Sub(time.Unix(0, 0))
	for _, s := range m {
		for _, f := range s.files {
			f.time = f.time.Add(shift).UTC()
		}
		s.begun = s.files[0].time
	}
	return m
}

// letters are the verdicts of a decision: a word for each set, k, d and m for
// each point.
func letters(d Decision) string {
	var b strings.Builder
	set := ""
	for i, v := range d.Verdicts {
		if i > 0 && v.Set != set {
			b.WriteByte(' ')
		}
		set = v.Set
		b.WriteByte(v.Action[0])
	}
	return b.String()
}

// steps are the operations of a decision: "delete set A; merge B 1-3".
func steps(d Decision) string {
	var out []string
	for _, op := range d.Ops {
		var n []int
		for _, p := range op.Points {
			n = append(n, p.Increment)
		}
		s := fmt.Sprintf("%s %s", op.Kind, op.Set)
		if op.Kind != DeleteSet {
			s += fmt.Sprintf(" %d-%d", slices.Min(n), slices.Max(n))
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}
