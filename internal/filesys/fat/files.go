package fat

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"

	"unicode"

	"ingot/internal/block"
	"ingot/internal/fstree"
)

// maxDepth is how deep folders may lie in each other: more than a path can name.
const maxDepth = 16384

// Files is the tree of files of the volume.
func (v *Volume) Files() *fstree.FS { return v.files }

// Contains reports whether a file or folder exists. Path parts are divided by
// \ or /, counted from the root folder, and compared without regard to case,
// with long and short (8.3) names alike. It fails when a folder on the way
// cannot be read.
func (v *Volume) Contains(path string) (bool, error) {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '\\' || c == '/' })
	_, err := v.files.Lstat(cmp.Or(strings.Join(parts, "/"), "."))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return false, nil
	}
	return err == nil, err
}

// node is a file or folder: what Stat gives of it, and what Sys() gives.
type node struct {
	v      *Volume
	entry  dirEntry
	parent *node // nil for the root
	depth  int
}

// Name implements fs.FileInfo.
func (n *node) Name() string { return n.entry.name() }

// Alias implements fstree.Alias: the short name.
func (n *node) Alias() string { return n.entry.short }

// Size implements fs.FileInfo.
func (n *node) Size() int64 { return n.entry.size }

// Mode implements fs.FileInfo.
func (n *node) Mode() fs.FileMode {
	mode := fs.FileMode(0o644)
	if n.IsDir() {
		mode = fs.ModeDir | 0o755
	}
	if n.entry.attr&attrReadOnly != 0 {
		mode &^= 0o222
	}
	return mode
}

// ModTime implements fs.FileInfo.
func (n *node) ModTime() time.Time { return n.entry.written }

// IsDir implements fs.FileInfo.
func (n *node) IsDir() bool { return n.entry.attr&attrFolder != 0 }

// Sys implements fs.FileInfo.
func (n *node) Sys() any { return n }

// ID is the place of the directory entry.
func (n *node) ID() uint64 { return uint64(n.entry.off) }

// Links is the number of names.
func (n *node) Links() int { return 1 }

// Attributes are those of Windows.
func (n *node) Attributes() uint32 { return uint32(n.entry.attr & attrMask) }

// Times are those beside that of the last change of the contents.
func (n *node) Times() (access, change, birth time.Time) {
	return n.entry.read, time.Time{}, n.entry.created
}

// Extents are the clusters of the file; the root folder of FAT12 and FAT16 has
// none.
func (n *node) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		var sum int64
		for r, err := range n.v.space.Chain(n.entry.cluster).Ranges() {
			if !yield(block.Extent(r), err) || err != nil {
				return
			}
			sum += r.Len
		}
		if sum < n.entry.size && !n.IsDir() {
			yield(block.Extent{}, fmt.Errorf("the chain of clusters has %d bytes of %d", sum, n.entry.size))
		}
	}
}

// Entries lists a folder.
func (n *node) Entries() ([]fs.DirEntry, error) { return n.v.files.Entries(n) }

// format is a Volume as fstree sees it.
type format Volume

// Root implements fstree.Format.
func (f *format) Root() fs.FileInfo { return f.root }

// Key implements fstree.Format. Which table of letters a driver goes by is not
// written on the volume.
func (f *format) Key(name string) string {
	return fstree.Fold(name, func(c uint16) uint16 {
		if up := unicode.ToUpper(rune(c)); up <= 0xffff {
			return uint16(up)
		}
		return c
	})
}

// Contents implements fstree.Format.
func (f *format) Contents(file fs.FileInfo) io.ReaderAt {
	e := &file.(*node).entry
	return f.space.Chain(e.cluster).Reader(e.size, e.size)
}

// List implements fstree.Format.
func (f *format) List(folder fs.FileInfo) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		parent := folder.(*node)
		if err := parent.loop(); err != nil {
			yield(nil, err)
			return
		}
		for e, err := range (*Volume)(f).entries(parent) {
			if err != nil {
				yield(nil, err)
				return
			}
			if e.attr&attrLabel != 0 || e.short == "." || e.short == ".." {
				continue
			}
			if !yield(&node{v: (*Volume)(f), entry: e, parent: parent, depth: parent.depth + 1}, nil) {
				return
			}
		}
	}
}

// loop fails when a folder is one of those that it lies in.
func (n *node) loop() error {
	if n.depth > maxDepth {
		return errors.New("folders lie in each other too deep")
	}
	for up := n.parent; up != nil; up = up.parent {
		if up.entry.cluster == n.entry.cluster {
			return errors.New("the folder is one of those it lies in")
		}
	}
	return nil
}
