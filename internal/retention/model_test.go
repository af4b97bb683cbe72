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
// days, "=" gives it the time of the one before, "~9" is a gap of days without
// backups. A line may begin with the name of another disk ("e:"). The last set of
// each disk is written to, unless it has the token "?".
func parse(t *testing.T, lines ...string) model {
	t.Helper()
	p := parser{t: t, last: map[string]*modelSet{}}
	var m model
	for i, line := range lines {
		m = append(m, p.set(string(rune('A'+i)), line))
	}
	shift := now.Truncate(24*time.Hour).AddDate(0, 0, -p.day).Sub(time.Unix(0, 0).UTC())
	for _, s := range m {
		for _, f := range s.files {
			f.time = f.time.Add(shift)
		}
		s.begun = s.files[0].time
	}
	return m
}

type parser struct {
	t          *testing.T
	day, state int
	last       map[string]*modelSet // of each disk
}

func (p *parser) set(id, line string) *modelSet {
	s := &modelSet{id: id, disk: "d", current: true}
	if disk, rest, ok := strings.Cut(line, ":"); ok {
		s.disk, line = disk, rest
	}
	if before := p.last[s.disk]; before != nil {
		before.current = false
	}
	p.last[s.disk] = s
	full := 0
	for _, token := range strings.Fields(line) {
		switch token[0] {
		case '?':
			s.current = false
			continue
		case '~':
			p.day += p.number(token[1:])
			continue
		}
		f := p.file(token)
		f.number = len(s.files)
		switch f.kind {
		case plan.Full:
			f.from, full = 0, f.to
		case plan.Differential:
			f.from = full
		}
		s.files = append(s.files, f)
	}
	return s
}

func (p *parser) file(token string) *modelFile {
	kind, ok := map[byte]plan.Type{'F': plan.Full, 'D': plan.Differential, 'I': plan.Incremental}[token[0]]
	if !ok {
		p.t.Fatalf("token %q", token)
	}
	if !strings.Contains(token, "=") {
		p.day++
	}
	p.state++
	f := &modelFile{kind: kind, size: 1 << 30, from: p.state - 1, to: p.state, time: time.Unix(0, 0).UTC().AddDate(0, 0, p.day)}
	f.guarded, f.bad = strings.Contains(token, "*"), strings.Contains(token, "!")
	if _, shift, ok := strings.Cut(token, "@"); ok {
		f.time = f.time.AddDate(0, 0, p.number(shift))
	}
	return f
}

func (p *parser) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
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
