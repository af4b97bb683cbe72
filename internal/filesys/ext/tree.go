package ext

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"ingot/internal/block"
)

// Tree is the tree of files of a volume, as io/fs has one. Names are bytes:
// every one that ReadDir gives can be opened, also when it is no UTF-8. Nothing
// is followed. Its methods may be called from several goroutines.
type Tree struct {
	r     block.Reader
	s     *super
	cache cache
	names names
}

func newTree(r block.Reader, s *super) *Tree {
	return &Tree{
		r: r, s: s, names: names{folders: map[uint32]map[string]entry{}},
		cache: cache{most: max(16, 1<<20/s.blockSize), blocks: map[int64][]byte{}},
	}
}

// Files is the tree of files; nil when the file system has features that are
// not understood here.
func (v *Volume) Files() *Tree { return v.files }

// cache holds the blocks of metadata that were read last; those are never
// written to.
type cache struct {
	mu     sync.Mutex
	most   int64
	blocks map[int64][]byte
	order  []int64 // in which they came
}

// block gives a block of metadata, which the caller must not change.
func (t *Tree) block(at int64) ([]byte, error) {
	c := &t.cache
	c.mu.Lock()
	b, ok := c.blocks[at]
	c.mu.Unlock()
	if ok {
		return b, nil
	}
	b = make([]byte, t.s.blockSize)
	if err := t.s.read(t.r, b, at); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.blocks[at]; !ok {
		if int64(len(c.order)) >= c.most {
			delete(c.blocks, c.order[0])
			c.order = c.order[1:]
		}
		c.blocks[at] = b
		c.order = append(c.order, at)
	}
	return b, nil
}

// Contains reports whether a file or folder exists. Path parts are divided by
// \ or /, counted from the root folder, and compared as they are or, where
// nothing of that name is there, without regard to case. Symbolic links are
// not followed. It is false where features are not understood here.
func (v *Volume) Contains(path string) (bool, error) {
	if v.files == nil {
		return false, nil
	}
	at := uint32(rootInode)
	for part := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '\\' || c == '/' }) {
		found, err := v.files.fold(at, part)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look up %q: %w", path, err)
		}
		at = found.inode
	}
	return true, nil
}

// fold seeks a name in a folder as it is or, in vain, without regard to case.
func (t *Tree) fold(folder uint32, name string) (entry, error) {
	i, err := t.inode(folder)
	if err != nil {
		return entry{}, err
	}
	if i.kind() != modeDir {
		return entry{}, fs.ErrNotExist
	}
	e, err := t.lookup(i, name)
	if errors.Is(err, fs.ErrNotExist) {
		return t.scan(i, func(n string) bool { return strings.EqualFold(n, name) })
	}
	return e, err
}

// resolve gives the inode of a path.
func (t *Tree) resolve(op, path string) (*inode, error) {
	fail := func(err error) (*inode, error) { return nil, &fs.PathError{Op: op, Path: path, Err: err} }
	i, err := t.inode(rootInode)
	if err == nil && i.kind() != modeDir {
		err = errors.New("the root is no folder")
	}
	if err != nil {
		return fail(err)
	}
	if path == "." {
		return i, nil
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return fail(fs.ErrInvalid)
		}
		if i.kind() != modeDir {
			return fail(fs.ErrNotExist)
		}
		e, err := t.lookup(i, part)
		if err == nil {
			i, err = t.child(i, e.inode, kindOf(e.kind))
		}
		if err != nil {
			return fail(err)
		}
	}
	return i, nil
}

// child reads the inode of an entry of folder in, and proves that the way to it
// is no circle: a folder is in the one folder that it names as the one above,
// and the root is in none.
func (t *Tree) child(in *inode, number uint32, mode fs.FileMode) (*inode, error) {
	i, err := t.inode(number)
	if err != nil {
		return nil, err
	}
	isDir := i.kind() == modeDir
	if mode != fs.ModeIrregular && mode.IsDir() != isDir {
		return nil, fmt.Errorf("inode %d has mode %#o, its entry in the folder says something else", number, i.mode)
	}
	if !isDir {
		return i, nil
	}
	above, err := t.above(i)
	if err == nil && (above != in.number || number == rootInode) {
		err = fmt.Errorf("the folder of inode %d belongs into that of inode %d, and is in that of inode %d", number, above, in.number)
	}
	return i, err
}

// above is the number of the folder that a folder is in, as it says itself:
// its second entry, behind ".", is "..".
func (t *Tree) above(i *inode) (uint32, error) {
	if i.flags&flagInline != 0 {
		return le32(i.block[:], 0), nil
	}
	b, err := t.dirBlock(i, 0)
	if err != nil {
		return 0, err
	}
	at := t.s.recordLen(le16(b, 4))
	if at < 12 || at+12 > len(b) || b[at+6] != 2 || string(b[at+8:at+10]) != ".." {
		return 0, fmt.Errorf("the folder of inode %d names none above it", i.number)
	}
	return le32(b, at), nil
}

// Lstat implements fs.ReadLinkFS.
func (t *Tree) Lstat(path string) (fs.FileInfo, error) {
	i, err := t.resolve("lstat", path)
	if err != nil {
		return nil, err
	}
	return info{t, i, base(path)}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(path string) (string, error) {
	i, err := t.resolve("readlink", path)
	if err != nil {
		return "", err
	}
	target, err := t.target(i)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: path, Err: err}
	}
	return target, nil
}

// target reads the target of a symbolic link, which fits into a block.
func (t *Tree) target(i *inode) (string, error) {
	switch {
	case i.kind() != modeLink:
		return "", fs.ErrInvalid
	case i.flags&flagEncrypted != 0:
		return "", errEncrypted(i)
	case t.s.fastLink(i):
		if i.size > int64(len(i.block)) {
			return "", fmt.Errorf("inode %d: the target has %d bytes and no block", i.number, i.size)
		}
		return string(i.block[:i.size]), nil
	case i.size > t.s.blockSize:
		return "", fmt.Errorf("inode %d: the target has %d bytes", i.number, i.size)
	}
	b := make([]byte, i.size)
	_, err := t.contents(i).ReadAt(b, 0)
	return string(b), err
}

func errEncrypted(i *inode) error {
	return fmt.Errorf("inode %d is encrypted; without its key it cannot be read", i.number)
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(path string) ([]fs.DirEntry, error) {
	i, err := t.resolve("readdir", path)
	if err != nil {
		return nil, err
	}
	list, err := t.list(i)
	if err != nil {
		err = &fs.PathError{Op: "readdir", Path: path, Err: err}
	}
	return list, err
}

// list gives what is in a folder, in the order of the names; with an error it
// gives what could be read.
func (t *Tree) list(i *inode) ([]fs.DirEntry, error) {
	if i.kind() != modeDir {
		return nil, errors.New("not a folder")
	}
	var all []dirEntry
	folders := map[uint32]bool{}
	err := t.entries(i, func(e entry) error {
		if len(all) == maxEntries {
			return fmt.Errorf("inode %d: more than %d entries", i.number, maxEntries)
		}
		d := dirEntry{t: t, in: i, name: string(e.name), inode: e.inode, mode: kindOf(e.kind)}
		if d.mode == fs.ModeIrregular { // no types in folders of ext2
			if child, err := t.inode(e.inode); err == nil {
				d.mode = fileMode(child.mode).Type()
			}
		}
		if d.IsDir() {
			if folders[d.inode] {
				return fmt.Errorf("%q: the folder of inode %d has another name", d.name, d.inode)
			}
			folders[d.inode] = true
		}
		all = append(all, d)
		return nil
	})
	slices.SortFunc(all, func(a, b dirEntry) int { return strings.Compare(a.name, b.name) })
	out := make([]fs.DirEntry, len(all))
	for k := range all {
		out[k] = &all[k]
	}
	return out, err
}

// kindOf is the type that an entry of a folder states, fs.ModeIrregular if
// none that is known.
func kindOf(kind byte) fs.FileMode {
	switch kind & 0xf { // further bits say that more follows the name
	case 1:
		return 0
	case 2:
		return fs.ModeDir
	case 3:
		return fs.ModeDevice | fs.ModeCharDevice
	case 4:
		return fs.ModeDevice
	case 5:
		return fs.ModeNamedPipe
	case 6:
		return fs.ModeSocket
	case 7:
		return fs.ModeSymlink
	}
	return fs.ModeIrregular
}

// dirEntry is what a folder says of a file.
type dirEntry struct {
	t     *Tree
	in    *inode
	name  string
	inode uint32
	mode  fs.FileMode
}

func (d *dirEntry) Name() string      { return d.name }
func (d *dirEntry) IsDir() bool       { return d.mode.IsDir() }
func (d *dirEntry) Type() fs.FileMode { return d.mode }
func (d *dirEntry) String() string    { return fs.FormatDirEntry(d) }

// Info reads the inode.
func (d *dirEntry) Info() (fs.FileInfo, error) {
	i, err := d.t.child(d.in, d.inode, d.mode)
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: d.name, Err: err}
	}
	return info{d.t, i, d.name}, nil
}

// Open implements fs.FS. What is neither a file nor a folder can be looked at
// and not be read.
func (t *Tree) Open(path string) (fs.File, error) {
	i, err := t.resolve("open", path)
	if err != nil {
		return nil, err
	}
	h := handle{info{t, i, base(path)}, path}
	switch i.kind() {
	case modeDir:
		return &dir{handle: h}, nil
	case modeFile:
		c := t.contents(i)
		return &file{handle: h, SectionReader: io.NewSectionReader(c, 0, i.size)}, nil
	}
	return h, nil
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
