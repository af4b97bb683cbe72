package fstree

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"sync"
)

// Format is what a file system's package can do. Its methods may be called from
// several goroutines. The nodes it gives are what Stat returns of a file.
type Format interface {
	Root() fs.FileInfo
	// List gives the entries of a folder in any order, without "." and "..".
	// Damage is given as an error with a nil entry; entries may follow it.
	List(folder fs.FileInfo) iter.Seq2[fs.FileInfo, error]
	// Key is the same for names that the file system takes for one.
	Key(name string) string
	// Contents are the Size() bytes of a regular file.
	Contents(file fs.FileInfo) io.ReaderAt
}

// Alias is the method of a node that has a second name, by which it is found
// but not listed. "" is none.
type Alias interface{ Alias() string }

// FS is the tree of a file system.
type FS struct {
	format Format

	mu    sync.Mutex
	kept  []*folder // the one that was asked for last is the last one
	names int       // in all of kept
}

// folder is the names of a folder that was listed.
type folder struct {
	node    fs.FileInfo
	entries map[string]fs.FileInfo
	err     error // of its damage
}

const (
	maxFolders = 16      // that are kept
	maxNames   = 1 << 18 // in all folders that are kept
)

// New makes the tree of a file system.
func New(f Format) *FS { return &FS{format: f} }

// list goes through the entries of a folder. One whose name cannot be part of a
// path is damage.
func (t *FS) list(node fs.FileInfo) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		for e, err := range t.format.List(node) {
			if err == nil {
				if err = Valid(e.Name()); err != nil {
					e, err = nil, fmt.Errorf("entry %q: %w", e.Name(), err)
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// lookup finds a name in a folder.
func (t *FS) lookup(node fs.FileInfo, name string) (fs.FileInfo, error) {
	key := t.format.Key(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.keptFolder(node); f != nil {
		return found(f.entries[key], f.err)
	}
	f := &folder{node: node, entries: map[string]fs.FileInfo{}}
	for e, err := range t.list(node) {
		if err != nil {
			f.err = cmp.Or(f.err, err)
			continue
		}
		if len(f.entries) >= maxNames {
			return t.scan(node, key)
		}
		for _, k := range t.keys(e) {
			if _, ok := f.entries[k]; !ok {
				f.entries[k] = e
			}
		}
	}
	t.keep(f)
	return found(f.entries[key], f.err)
}

// found is the result of a lookup: where a folder is damaged, what was not
// found may have been there.
func found(e fs.FileInfo, err error) (fs.FileInfo, error) {
	if e == nil && err == nil {
		err = fs.ErrNotExist
	}
	if e != nil {
		err = nil
	}
	return e, err
}

// scan looks through a folder that is too large to be kept.
func (t *FS) scan(node fs.FileInfo, key string) (fs.FileInfo, error) {
	var damage error
	for e, err := range t.list(node) {
		if err != nil {
			damage = cmp.Or(damage, err)
			continue
		}
		if slices.Contains(t.keys(e), key) {
			return e, nil
		}
	}
	return found(nil, damage)
}

// keys are those of the names of a node, its own first.
func (t *FS) keys(e fs.FileInfo) []string {
	keys := []string{t.format.Key(e.Name())}
	if a, ok := e.(Alias); ok && a.Alias() != "" {
		keys = append(keys, t.format.Key(a.Alias()))
	}
	return keys
}

func (t *FS) keptFolder(node fs.FileInfo) *folder {
	i := slices.IndexFunc(t.kept, func(f *folder) bool { return f.node == node })
	if i < 0 {
		return nil
	}
	f := t.kept[i]
	t.kept = append(slices.Delete(t.kept, i, i+1), f)
	return f
}

func (t *FS) keep(f *folder) {
	t.kept = append(t.kept, f)
	t.names += len(f.entries)
	for len(t.kept) > 1 && (len(t.kept) > maxFolders || t.names > maxNames) {
		t.names -= len(t.kept[0].entries)
		t.kept = slices.Delete(t.kept, 0, 1)
	}
}

// find follows a path.
func (t *FS) find(op, path string) (fs.FileInfo, error) {
	names, ok := elements(path)
	if !ok {
		return nil, &fs.PathError{Op: op, Path: path, Err: fs.ErrInvalid}
	}
	node := t.format.Root()
	for _, name := range names {
		err := error(fs.ErrNotExist)
		if node.IsDir() {
			node, err = t.lookup(node, name)
		}
		if err != nil {
			return nil, &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	return node, nil
}

// Open implements fs.FS.
func (t *FS) Open(path string) (fs.File, error) {
	node, err := t.find("open", path)
	switch {
	case err != nil:
		return nil, err
	case node.IsDir():
		return &openFolder{node: node, path: path, tree: t}, nil
	}
	return openFile{io.NewSectionReader(t.format.Contents(node), 0, node.Size()), node}, nil
}

// Lstat implements fs.ReadLinkFS.
func (t *FS) Lstat(path string) (fs.FileInfo, error) { return t.find("lstat", path) }

// Stat implements fs.StatFS.
func (t *FS) Stat(path string) (fs.FileInfo, error) { return t.find("stat", path) }

// ReadLink implements fs.ReadLinkFS: nothing is a link.
func (t *FS) ReadLink(path string) (string, error) {
	if _, err := t.find("readlink", path); err != nil {
		return "", err
	}
	return "", &fs.PathError{Op: "readlink", Path: path, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFS. Of a damaged folder it gives what is good,
// and the first error.
func (t *FS) ReadDir(path string) ([]fs.DirEntry, error) {
	node, err := t.find("readdir", path)
	if err == nil && !node.IsDir() {
		err = &fs.PathError{Op: "readdir", Path: path, Err: errors.New("not a directory")}
	}
	if err != nil {
		return nil, err
	}
	list, err := t.Entries(node)
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: path, Err: err}
	}
	return list, err
}

// Entries is what ReadDir gives of a folder, by its node.
func (t *FS) Entries(node fs.FileInfo) (list []fs.DirEntry, damage error) {
	for e, err := range t.list(node) {
		if err != nil {
			damage = cmp.Or(damage, err)
			continue
		}
		list = append(list, fs.FileInfoToDirEntry(e))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return list, damage
}
