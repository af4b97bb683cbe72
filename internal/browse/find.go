package browse

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"
)

// maxDepth is how deep folders may lie in each other: far deeper than any that
// somebody made, and a bound for what a damaged volume can pretend.
const maxDepth = 1000

// Query says which files are meant. Its zero value is all.
type Query struct {
	// Pattern is matched against the name, or when it has a slash against the
	// path below the folder that is searched: * is any part of a name, ** any
	// number of folders, ? one character, [a-z] and {one,other} as in a shell.
	// Case matters where it does for the file system.
	Pattern string
	// Types are letters: f for files, d for folders, l for links, o for others.
	// "" is all.
	Types string
	// Min and Max bound the size in bytes of regular files, and leave out all
	// else when they are set; Max counts when it is above 0.
	Min, Max int64
	// After and Before bound the time of the last change; zero is no bound.
	After, Before time.Time
}

// Check fails when the query asks for what cannot be.
func (q *Query) Check() error {
	if !doublestar.ValidatePattern(q.Pattern) {
		return fmt.Errorf("the pattern %q: a bracket or brace is not closed, or is empty", q.Pattern)
	}
	if bad := strings.Trim(q.Types, "fdlo"); bad != "" {
		return fmt.Errorf("type %q: choose of f (files), d (folders), l (links), o (others)", bad)
	}
	return nil
}

// Finder is told what a search comes to. An error of Found ends the search.
type Finder struct {
	// Found is given each file that matches.
	Found func(path string, e fs.DirEntry) error
	// Bad is given each folder and file that cannot be read.
	Bad func(path string, err error)
}

// Find goes through the folder root and what lies in it, in the order of the
// names, and holds no more than the folders that it is in.
func (v *Volume) Find(ctx context.Context, root string, q Query, f Finder) error {
	s := search{v: v, ctx: ctx, q: q, f: f, root: root, fold: v.Folded()}
	s.q.Pattern = strings.Trim(strings.ReplaceAll(q.Pattern, `\`, "/"), "/")
	if !v.Folded() {
		s.q.Pattern = strings.Trim(q.Pattern, "/")
	}
	if s.fold {
		s.q.Pattern = strings.Map(folded, s.q.Pattern)
	}
	s.byPath = strings.Contains(s.q.Pattern, "/")
	return s.folder(root, 0)
}

// folded is a letter as it is compared where case does not matter.
func folded(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// search is one run of Find.
type search struct {
	v            *Volume
	ctx          context.Context
	q            Query
	f            Finder
	root         string
	byPath, fold bool
}

func (s *search) folder(at string, depth int) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		s.f.Bad(at, fmt.Errorf("more than %d folders in each other", maxDepth))
		return nil
	}
	list, err := s.v.Files.ReadDir(at)
	if err != nil { // what there is of it may be good
		s.f.Bad(at, err)
	}
	for _, e := range list {
		p, err := join(at, e.Name())
		if err != nil {
			s.f.Bad(at, err)
			continue
		}
		ok, err := s.match(p, e)
		if err != nil {
			s.f.Bad(p, err)
		} else if ok {
			if err := s.f.Found(p, e); err != nil {
				return err
			}
		}
		if e.IsDir() {
			if err := s.folder(p, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *search) match(p string, e fs.DirEntry) (bool, error) {
	if !s.named(p, e) || s.q.Types != "" && !strings.Contains(s.q.Types, kind(e.Type())) {
		return false, nil
	}
	if s.q.Min == 0 && s.q.Max == 0 && s.q.After.IsZero() && s.q.Before.IsZero() {
		return true, nil
	}
	sized := s.q.Min > 0 || s.q.Max > 0
	if sized && !e.Type().IsRegular() {
		return false, nil
	}
	info, err := e.Info()
	if err != nil {
		return false, err
	}
	t := info.ModTime()
	return (!sized || info.Size() >= s.q.Min && (s.q.Max == 0 || info.Size() <= s.q.Max)) &&
		(s.q.After.IsZero() || t.After(s.q.After)) && (s.q.Before.IsZero() || t.Before(s.q.Before)), nil
}

func (s *search) named(p string, e fs.DirEntry) bool {
	if s.q.Pattern == "" {
		return true
	}
	text := e.Name()
	if s.byPath {
		text = below(s.root, p)
	}
	if s.fold {
		text = strings.Map(folded, text)
	}
	return doublestar.MatchUnvalidated(s.q.Pattern, text)
}

// below is the path of something from a folder that it lies in.
func below(root, p string) string {
	if root == "." {
		return p
	}
	return strings.TrimPrefix(p, root+"/")
}

// kind is the letter of a type.
func kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "f"
	case m.IsDir():
		return "d"
	case m&fs.ModeSymlink != 0:
		return "l"
	}
	return "o"
}

// Tree shows what lies in a folder as lines with branches before the names, to a
// depth, 0 for any. line is given each entry with what stands before it; an
// error of it ends the run.
func (v *Volume) Tree(ctx context.Context, root string, depth int, line func(path, before string, e fs.DirEntry) error, bad func(string, error)) error {
	if depth <= 0 {
		depth = maxDepth
	}
	t := tree{v, ctx, line, bad}
	return t.folder(root, "", depth)
}

type tree struct {
	v    *Volume
	ctx  context.Context
	line func(path, before string, e fs.DirEntry) error
	bad  func(string, error)
}

func (t *tree) folder(at, before string, depth int) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	list, err := t.v.Files.ReadDir(at)
	if err != nil {
		t.bad(at, err)
	}
	for i, e := range list {
		here, under := "├── ", "│   "
		if i == len(list)-1 {
			here, under = "└── ", "    "
		}
		p, err := join(at, e.Name())
		if err != nil {
			t.bad(at, err)
			continue
		}
		if err := t.line(p, before+here, e); err != nil {
			return err
		}
		if !e.IsDir() || depth == 1 {
			continue
		}
		if err := t.folder(p, before+under, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// Sorted gives entries in another order than that of their names: by size or by
// time, the largest and the newest first.
func Sorted(list []fs.FileInfo, by string) {
	slices.SortStableFunc(list, func(a, b fs.FileInfo) int {
		switch by {
		case "size":
			return int(min(max(b.Size()-a.Size(), -1), 1))
		case "time":
			return b.ModTime().Compare(a.ModTime())
		}
		return 0
	})
}
