package filesys

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"
)

// globs are patterns of paths, as Exclude takes them, made ready.
type globs struct {
	patterns []glob
	fold     bool // without regard to case
}

// glob is one pattern.
type glob struct {
	text  string
	parts []string // between slashes; nil when braces span some
}

// CheckPatterns fails on the first pattern that Exclude would not take, and
// names it.
func CheckPatterns(patterns []string) error {
	_, err := parseGlobs(patterns, false)
	return err
}

func parseGlobs(patterns []string, fold bool) (globs, error) {
	g := globs{fold: fold}
	for _, p := range patterns {
		one, err := parseGlob(p, fold)
		if err != nil {
			return g, fmt.Errorf("the pattern %q: %w", p, err)
		}
		g.patterns = append(g.patterns, one)
	}
	return g, nil
}

func parseGlob(p string, fold bool) (glob, error) {
	p = strings.ReplaceAll(p, `\`, "/")
	if len(p) >= 2 && p[1] == ':' {
		return glob{}, fmt.Errorf("begin at the root of the volume, without %s", p[:2])
	}
	p = strings.Trim(p, "/")
	if fold {
		p = strings.Map(folded, p)
	}
	if !doublestar.ValidatePattern(p) {
		return glob{}, fmt.Errorf("a bracket or brace is not closed, or is empty")
	}
	parts := strings.Split(p, "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." {
			return glob{}, fmt.Errorf("no file can have a part of its path named %q", part)
		}
	}
	if strings.Contains(p, "{") {
		parts = nil
	}
	return glob{p, parts}, nil
}

// folded is a letter as it is compared.
func folded(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// match says whether a path matches a pattern.
func (g *globs) match(path string) bool {
	if g.fold {
		path = strings.Map(folded, path)
	}
	for _, p := range g.patterns {
		if doublestar.MatchUnvalidated(p.text, path) {
			return true
		}
	}
	return false
}

// below says whether something in a folder may match. It is true when in doubt.
func (g *globs) below(folder string) bool {
	if g.fold {
		folder = strings.Map(folded, folder)
	}
	names := strings.Split(folder, "/")
	for _, p := range g.patterns {
		if p.below(names) {
			return true
		}
	}
	return false
}

func (p *glob) below(names []string) bool {
	if p.parts == nil {
		return true
	}
	for i, name := range names {
		switch {
		case i >= len(p.parts):
			return false
		case p.parts[i] == "**":
			return true
		case !doublestar.MatchUnvalidated(p.parts[i], name):
			return false
		}
	}
	return len(p.parts) > len(names)
}
