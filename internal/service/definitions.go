package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ingot/internal/plan"
)

// Entry is a definition file as the service sees it.
type Entry struct {
	Name string
	File string
	Def  *plan.Definition // nil when it is refused
	// Problem is why it is refused: not to be trusted, or not valid.
	Problem error
}

// Loader reads a definition file. It refuses one that others than the
// administrator may write, that is reached over a folder others may write, or
// that names such a hook.
type Loader func(file string) (*plan.Definition, error)

// shelf is the folder of definitions as it was at the last look.
type shelf struct {
	dir     string
	load    Loader
	entries map[string]*Entry
	marks   map[string]string // name: what the file was like
	problem error             // of the folder itself
}

// maxDefinitions is how many files of the folder are looked at.
const maxDefinitions = 1000

// look reads the folder anew and says what has changed. All files are loaded
// again each time: the folders above them and the hooks they name may have
// become unsafe though the files are the same.
func (s shelf) look() (next shelf, changed []string) {
	names, err := s.names()
	s.problem = err
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// What was known goes on: a folder that cannot be read for a moment
		// has no backup given up.
		return s, nil
	}
	next = shelf{dir: s.dir, load: s.load, entries: map[string]*Entry{}, marks: map[string]string{}, problem: err}
	for _, name := range names {
		e := s.read(name)
		next.entries[name], next.marks[name] = e, e.mark()
		if old, ok := s.marks[name]; !ok || old != next.marks[name] {
			changed = append(changed, name)
		}
	}
	for name := range s.entries {
		if next.entries[name] == nil {
			changed = append(changed, name)
		}
	}
	return next, changed
}

func (s shelf) read(name string) *Entry {
	e := &Entry{Name: name, File: filepath.Join(s.dir, name+".xml")}
	e.Def, e.Problem = s.load(e.File)
	if e.Problem == nil && e.Def.Name != name {
		e.Problem = fmt.Errorf("%s: it says its name is %q: a definition has the name of its file", e.File, e.Def.Name)
	}
	if e.Problem != nil {
		e.Def = nil
	}
	return e
}

// mark changes whenever the file does, or what is thought of it.
func (e *Entry) mark() string {
	st, err := os.Lstat(e.File)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(st.ModTime().UnixNano(), st.Size(), st.Mode(), e.Problem)
}

// names are those of the definition files in the folder.
func (s shelf) names() ([]string, error) {
	all, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		name, ok := strings.CutSuffix(e.Name(), ".xml")
		if !ok || name == "" || strings.HasPrefix(name, ".") || e.IsDir() {
			continue
		}
		if names = append(names, name); len(names) == maxDefinitions {
			return names, nil
		}
	}
	return names, nil
}

// items are the definitions that are usable, and present the names of all files.
func (s shelf) items() (items map[string]*plan.Definition, present map[string]bool) {
	items, present = map[string]*plan.Definition{}, map[string]bool{}
	for name, e := range s.entries {
		present[name] = true
		if e.Problem == nil {
			items[name] = e.Def
		}
	}
	return items, present
}
