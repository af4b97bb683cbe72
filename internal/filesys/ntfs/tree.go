package ntfs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

// Tree is the tree of files of a volume, read as Windows would show it: by
// long names, without the system files in the root folder, which can be opened
// by their names nevertheless. Nothing is followed. Paths and names are as
// filesys.Files says. It holds no files open and may be used by several
// goroutines.
type Tree struct {
	m        *mft
	upcase   func() (upcase, error)
	security func() (*secure, error)
}

// Files is the tree of files, or nil when $MFT could not be found.
func (v *Volume) Files() *Tree {
	if v.mft == nil {
		return nil
	}
	return &Tree{v.mft, sync.OnceValues(v.mft.loadUpcase), sync.OnceValues(v.mft.openSecure)}
}

// found is what a folder says of a file.
type found struct {
	name  string
	ref   uint64
	attrs uint32 // FILE_ATTRIBUTE_ bits, with folderBit
	tag   uint32 // of the reparse point, if attrs has one
}

// Offsets in the key of a folder's index, a $FILE_NAME (ntfs-3g layout.h,
// FILE_NAME_ATTR).
const (
	nameAttrs  = 56
	nameTag    = 60
	nameLength = 64
	nameSpace  = 65
	nameText   = 66

	spaceDOS = 2 // the 8.3 name of a file that has a long one too
)

// checkName checks the key of a folder's index.
func checkName(key []byte) error {
	if len(key) < nameText || len(key) < nameText+2*int(key[nameLength]) {
		return fmt.Errorf("a file name in %d bytes", len(key))
	}
	return nil
}

// nameOf is the name in a checked key.
func nameOf(key []byte) []byte { return key[nameText : nameText+2*int(key[nameLength])] }

func foundIn(e indexEntry) found {
	return found{
		name:  wtf8(nameOf(e.key)),
		ref:   binary.LittleEndian.Uint64(e.head),
		attrs: binary.LittleEndian.Uint32(e.key[nameAttrs:]),
		tag:   binary.LittleEndian.Uint32(e.key[nameTag:]),
	}
}

// validPath is fs.ValidPath without the demand for UTF-8.
func validPath(path string) bool {
	for elem := range strings.SplitSeq(path, "/") {
		if !pathName(elem) && path != "." {
			return false
		}
	}
	return true
}

// find walks from the root folder to the file of a path.
func (t *Tree) find(path string) (*node, error) {
	if !validPath(path) {
		return nil, fs.ErrInvalid
	}
	rec, err := t.m.record(recRoot)
	if err != nil {
		return nil, err
	}
	at := found{name: "."}
	if path != "." {
		for elem := range strings.SplitSeq(path, "/") {
			parent := rec
			if at, err = t.inFolder(parent, elem); err != nil {
				return nil, err
			}
			if rec, err = t.base(at.ref); err == nil && rec.folder {
				err = t.placed(rec, parent.number, at.name)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return t.node(at.name, rec)
}

// base is the record of a file that a reference names.
func (t *Tree) base(ref uint64) (record, error) {
	rec, err := t.m.byReference(ref)
	if err == nil && rec.base != 0 {
		err = fmt.Errorf("MFT record %d: a part of another one (%d)", rec.number, rec.base&(1<<48-1))
	}
	return rec, err
}

// placed fails unless a folder says of itself that it is where it was found. A
// folder has one name in one other folder; so however the indexes of a damaged
// volume refer to each other, no path leads in a circle, and none leads to the
// same folder as another one.
func (t *Tree) placed(rec record, parent int64, name string) error {
	var own []byte
	err := t.m.pieces(rec, func(typ uint32, _ string, _ int64) bool { return typ == typeFileName }, func(a attribute) {
		if own == nil && checkName(a.value) == nil && a.value[nameSpace] != spaceDOS {
			own = a.value
		}
	})
	if err != nil {
		return err
	}
	if own == nil {
		return fmt.Errorf("MFT record %d: a folder without a name", rec.number)
	}
	if p := int64(binary.LittleEndian.Uint64(own) & (1<<48 - 1)); p != parent || wtf8(nameOf(own)) != name {
		return fmt.Errorf("MFT record %d: its name is %q in the folder of record %d, not %q in that of record %d", rec.number, wtf8(nameOf(own)), p, name, parent)
	}
	return nil
}

// inFolder seeks a name in a folder by its index: the name itself, or else one
// that differs from it in case.
func (t *Tree) inFolder(rec record, name string) (found, error) {
	want, ok := units(name)
	if !ok {
		return found{}, fs.ErrNotExist
	}
	up, err := t.upcase()
	if err != nil {
		return found{}, err
	}
	x, err := t.m.index(rec, folderIndex, checkName)
	if errors.Is(err, errNoAttribute) {
		return found{}, fs.ErrNotExist // a file: nothing is in it
	}
	if err != nil {
		return found{}, err
	}
	var at found
	has := false
	err = x.seek(func(key []byte) int { return up.compare(nameOf(key), want) }, func(e indexEntry) bool {
		if up.compare(nameOf(e.key), want) != 0 {
			return false
		}
		exact := sameUnits(nameOf(e.key), want)
		if e.key[nameSpace] != spaceDOS && (exact || !has) {
			at, has = foundIn(e), true
		}
		return !exact
	})
	if err == nil && !has {
		err = fs.ErrNotExist
	}
	return at, err
}

// list is what ReadDir gives of a folder.
func (t *Tree) list(path string, rec record) ([]fs.DirEntry, error) {
	x, err := t.m.index(rec, folderIndex, checkName)
	if errors.Is(err, errNoAttribute) {
		return nil, errNotFolder
	}
	if err != nil {
		return nil, err
	}
	var out []fs.DirEntry
	err = x.all(func(e indexEntry) {
		ref := binary.LittleEndian.Uint64(e.head)
		if e.key[nameSpace] == spaceDOS || rec.number == recRoot && ref&(1<<48-1) < firstUser {
			return
		}
		// Windows has no such names; nobody could ask for them.
		if f := foundIn(e); pathName(f.name) {
			out = append(out, dirEntry{t, path, f})
		}
	})
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return cmp.Compare(a.(dirEntry).name, b.(dirEntry).name) })
	return slices.CompactFunc(out, func(a, b fs.DirEntry) bool { return a.(dirEntry).name == b.(dirEntry).name }), err
}

var errNotFolder = errors.New("not a folder")

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	n, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if n.Mode().IsDir() {
		return &folder{n: n, path: name}, nil
	}
	f, err := n.open(name, "")
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f, nil
}

// Lstat implements fs.ReadLinkFS.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	n, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return n, nil
}

// Stat implements fs.StatFS: as nothing is followed, it is Lstat.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.Lstat(name) }

// ReadLink implements fs.ReadLinkFS. The target of a link of Windows is the
// name that Windows goes on with, without its prefix \??\; it has backslashes,
// and is relative to the link's folder when it has no drive or server.
func (t *Tree) ReadLink(name string) (string, error) {
	n, err := t.find(name)
	if err == nil && n.Mode().Type() != fs.ModeSymlink {
		err = errors.New("not a link")
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	target, err := n.point.target()
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// ReadDir implements fs.ReadDirFS. It reads the folder's index and no MFT
// record but those of the path.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	out, err := t.list(name, n.rec)
	if err != nil {
		return out, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return out, nil
}

// dirEntry is an entry of a folder. What is not in the folder's index is read
// by Info.
type dirEntry struct {
	t    *Tree
	path string // of the folder
	found
}

func (d dirEntry) Name() string      { return d.name }
func (d dirEntry) IsDir() bool       { return d.Type().IsDir() }
func (d dirEntry) Type() fs.FileMode { return typeBits(d.attrs&folderBit != 0, d.attrs, d.tag) }
func (d dirEntry) String() string    { return fs.FormatDirEntry(d) }

// Info implements fs.DirEntry.
func (d dirEntry) Info() (fs.FileInfo, error) {
	rec, err := d.t.base(d.ref)
	var n *node
	if err == nil {
		n, err = d.t.node(d.name, rec)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: strings.TrimPrefix(d.path+"/"+d.name, "./"), Err: err}
	}
	return n, nil
}
