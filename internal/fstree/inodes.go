package fstree

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Inodes is what the package of a file system with inodes can do, where a
// folder has names and says little of the files. Its methods may be called from
// several goroutines.
type Inodes interface {
	Root() (Inode, error)
	// Entries calls do for all entries of a folder but "." and "..", in any
	// order, until do gives an error. It goes on behind damage, of which it
	// gives the first error at its end.
	Entries(folder Inode, do func(Entry) error) error
	// Lookup finds a name in a folder, or gives fs.ErrNotExist.
	Lookup(folder Inode, name string) (Entry, error)
	// Child reads the inode that an entry of a folder leads to. It proves that
	// a folder is in the one folder that it is to be in, so that no way through
	// the tree is a circle.
	Child(folder Inode, e Entry) (Inode, error)
}

// Inode is a file, folder, link or device.
type Inode interface {
	Stat() Stat
	// Node is what Sys of its fs.FileInfo gives.
	Node() any
	// Target is that of a symbolic link; fs.ErrInvalid for all others.
	Target() (string, error)
	// Contents are the Stat().Size bytes of a regular file.
	Contents() io.ReaderAt
}

// Stat is what every inode has. Size is in bytes.
type Stat struct {
	Mode    fs.FileMode
	Size    int64
	ModTime time.Time
}

// Ref is where an inode is: its number, and the tree that counts so where there
// are several.
type Ref struct{ Tree, Number uint64 }

// Entry is what a folder says of a file. Type is fs.ModeIrregular where it says
// nothing of that.
type Entry struct {
	Name string
	Type fs.FileMode
	Ref  Ref
}

// Unix is the tree of a file system with inodes, as io/fs has one. Names are
// bytes: every one that ReadDir gives can be opened, also when it is no UTF-8.
// Nothing is followed.
type Unix struct{ inodes Inodes }

// NewUnix makes the tree of a file system with inodes.
func NewUnix(i Inodes) *Unix { return &Unix{i} }

// resolve gives the inode of a path.
func (t *Unix) resolve(op, path string) (Inode, error) {
	fail := func(err error) (Inode, error) { return nil, &fs.PathError{Op: op, Path: path, Err: err} }
	names, ok := elements(path)
	if !ok {
		return fail(fs.ErrInvalid)
	}
	i, err := t.inodes.Root()
	if err == nil && !i.Stat().Mode.IsDir() {
		err = errors.New("the root is no folder")
	}
	for _, name := range names {
		var e Entry
		switch {
		case err != nil:
			return fail(err)
		case !i.Stat().Mode.IsDir():
			return fail(fs.ErrNotExist)
		}
		if e, err = t.inodes.Lookup(i, name); err == nil {
			i, err = t.inodes.Child(i, e)
		}
	}
	if err != nil {
		return fail(err)
	}
	return i, nil
}

// Contains reports whether a file or folder exists. Path parts are divided by
// \ or /, counted from the root folder, and compared as they are or, where
// nothing of that name is there, without regard to case. Symbolic links are not
// followed.
func (t *Unix) Contains(path string) (bool, error) {
	i, err := t.inodes.Root()
	for part := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '\\' || c == '/' }) {
		if err != nil {
			break
		}
		if !i.Stat().Mode.IsDir() {
			return false, nil
		}
		var e Entry
		if e, err = t.fold(i, part); err == nil {
			i, err = t.inodes.Child(i, e)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up %q: %w", path, err)
	}
	return true, nil
}

// errStop ends a walk over entries that has found what it sought.
var errStop = errors.New("stop")

// fold seeks a name in a folder as it is or, in vain, without regard to case.
func (t *Unix) fold(folder Inode, name string) (Entry, error) {
	found, err := t.inodes.Lookup(folder, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	err = t.inodes.Entries(folder, func(e Entry) error {
		if strings.EqualFold(e.Name, name) {
			found = e
			return errStop
		}
		return nil
	})
	if err == nil {
		err = fs.ErrNotExist
	}
	if errors.Is(err, errStop) {
		err = nil
	}
	return found, err
}

// Lstat implements fs.ReadLinkFS.
func (t *Unix) Lstat(path string) (fs.FileInfo, error) {
	i, err := t.resolve("lstat", path)
	if err != nil {
		return nil, err
	}
	return inodeInfo{base(path), i, i.Stat()}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (t *Unix) ReadLink(path string) (string, error) {
	i, err := t.resolve("readlink", path)
	if err != nil {
		return "", err
	}
	target, err := i.Target()
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: path, Err: err}
	}
	return target, nil
}

// ReadDir implements fs.ReadDirFS. Of a damaged folder it gives what is good,
// and the first error.
func (t *Unix) ReadDir(path string) ([]fs.DirEntry, error) {
	i, err := t.resolve("readdir", path)
	if err != nil {
		return nil, err
	}
	list, err := t.List(i)
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: path, Err: err}
	}
	return list, err
}

// maxEntries bounds the memory of one listing.
const maxEntries = 1 << 24

// List is what ReadDir gives of a folder, by its inode.
func (t *Unix) List(folder Inode) ([]fs.DirEntry, error) {
	if !folder.Stat().Mode.IsDir() {
		return nil, errors.New("not a folder")
	}
	l := lister{t: t, in: folder, folders: map[Ref]bool{}}
	err := t.inodes.Entries(folder, l.add)
	slices.SortFunc(l.all, func(a, b unixEntry) int { return strings.Compare(a.Entry.Name, b.Entry.Name) })
	out := make([]fs.DirEntry, len(l.all))
	for k := range l.all {
		out[k] = &l.all[k]
	}
	return out, cmp.Or(l.damage, err)
}

// lister gathers the entries of a folder.
type lister struct {
	t       *Unix
	in      Inode
	all     []unixEntry
	folders map[Ref]bool
	damage  error
}

// add takes an entry, unless it can be none: then it is damage.
func (l *lister) add(e Entry) error {
	if len(l.all) == maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
	}
	err := Valid(e.Name)
	if err == nil && e.Type == fs.ModeIrregular {
		if child, err := l.t.inodes.Child(l.in, e); err == nil {
			e.Type = child.Stat().Mode.Type()
		}
	}
	if err == nil && e.Type.IsDir() {
		if l.folders[e.Ref] {
			err = errors.New("the folder has another name here")
		}
		l.folders[e.Ref] = true
	}
	if err != nil {
		l.damage = cmp.Or(l.damage, fmt.Errorf("entry %q: %w", e.Name, err))
		return nil
	}
	l.all = append(l.all, unixEntry{e, l.t, l.in})
	return nil
}

// unixEntry is an entry as io/fs has one.
type unixEntry struct {
	Entry
	t  *Unix
	in Inode
}

func (d *unixEntry) Name() string      { return d.Entry.Name }
func (d *unixEntry) IsDir() bool       { return d.Entry.Type.IsDir() }
func (d *unixEntry) Type() fs.FileMode { return d.Entry.Type }
func (d *unixEntry) String() string    { return fs.FormatDirEntry(d) }

// Info reads the inode.
func (d *unixEntry) Info() (fs.FileInfo, error) {
	i, err := d.t.inodes.Child(d.in, d.Entry)
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: d.Name(), Err: err}
	}
	return inodeInfo{d.Name(), i, i.Stat()}, nil
}

// Open implements fs.FS. What is neither a file nor a folder can be looked at
// and not be read.
func (t *Unix) Open(path string) (fs.File, error) {
	i, err := t.resolve("open", path)
	if err != nil {
		return nil, err
	}
	s := i.Stat()
	h := handle{inodeInfo{base(path), i, s}, path}
	switch {
	case s.Mode.IsDir():
		return &unixFolder{handle: h, tree: t}, nil
	case s.Mode.IsRegular():
		return &unixFile{h, io.NewSectionReader(i.Contents(), 0, s.Size)}, nil
	}
	return h, nil
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
