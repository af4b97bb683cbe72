package filesys

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"ingot/internal/block"
)

// Excluded is what Exclude did on a volume.
type Excluded struct {
	Files  int      // that match, have clusters, and whose contents read as zeros now
	Bytes  int64    // of the volume that are stored as zeros therefore
	Names  []string // of the first MaxExcludedNames of them
	Kept   int      // files that match and are kept all the same
	Reason string   // why nothing was left out; "" when nothing stood against it
}

// MaxExcludedNames is how many names Excluded holds.
const MaxExcludedNames = 10

// Metadata is a method of Files: the bytes in which a file system keeps what
// belongs to none of the files it shows. Bytes that have no part in any cluster
// of a file need not be given.
type Metadata interface {
	Metadata() iter.Seq2[block.Extent, error]
}

// lister is the method of a Node that is a folder, for a walk that does not
// look each path up anew.
type lister interface{ Entries() ([]fs.DirEntry, error) }

// Attributes of Windows that say that a driver makes the contents of a file out
// of what is stored: zeros would be no contents.
const (
	attrReparse   = 0x400
	attrEncrypted = 0x4000
	attrIntegrity = 0x8000 // a driver checks them against what they were
)

// Exclude is v with the contents of the regular files whose paths match one of
// the patterns stored as zeros (see Leave); the files themselves remain, with
// their sizes. A pattern such as Users/*/AppData/Local/Temp/** is matched
// against the path from the root of the volume: * is any part of a name, ** any
// number of folders, ? one character, [a-z] and {one,other} as in a shell; \ is
// taken for /. One that matches a folder matches all that lies in it. Case
// matters where it does for the file system (ext, XFS, Btrfs). A pattern that is none is
// an error.
//
// Nothing is left out of Btrfs, which has checksums of the contents of files:
// zeros would not match them, and the files could not be read.
//
// Kept are files that match under some of their names only, those that are
// encrypted or stored by a filter of Windows, and every byte that a kept file,
// a folder or the file system also claims. Symbolic links are not followed. What
// is stored with the directory entry or record of a file, in no cluster of its
// own, stays.
//
// All of the tree is read for this, once where a pattern may match and once
// whole. Can some of it not be read, or must the volume be copied whole, then
// nothing is left out and Excluded.Reason says why. It holds in memory what is
// left out, and a number for each folder.
func Exclude(v Volume, patterns []string) (Volume, Excluded, error) {
	info := v.Info()
	g, err := parseGlobs(patterns, !strings.HasPrefix(info.Type, "ext") && info.Type != markXFS && info.Type != markBtrfs)
	if err != nil {
		return nil, Excluded{}, err
	}
	switch {
	case len(patterns) == 0:
		return v, Excluded{}, nil
	case info.WholeReason != "":
		return v, Excluded{Reason: "it is copied whole"}, nil
	case info.Type == markBtrfs:
		return v, Excluded{Reason: "Btrfs has checksums of its files, which zeros in their place would not match"}, nil
	case v.Files() == nil:
		return v, Excluded{Reason: "its files cannot be read here"}, nil
	}
	x := exclusion{files: v.Files(), globs: g, size: info.Size, linked: map[uint64]*linkedFile{}}
	zero, err := x.run()
	if err != nil {
		return v, Excluded{Reason: fmt.Sprintf("not all of its files can be read (%v)", err)}, nil
	}
	if len(zero) == 0 {
		return v, x.report, nil
	}
	out, err := Leave(v, nil, zero)
	if err != nil {
		return v, Excluded{Reason: err.Error()}, nil
	}
	x.report.Bytes = out.Info().ZeroedBytes - info.ZeroedBytes
	return out, x.report, nil
}

// exclusion is one run of Exclude.
type exclusion struct {
	files  Files
	globs  globs
	size   int64 // of the volume
	report Excluded
	zero   []block.Extent
	linked map[uint64]*linkedFile // files with several names that match
}

// linkedFile is a file of which some names match.
type linkedFile struct {
	names int // that were seen
	out   bool
}

func (x *exclusion) run() (block.Extents, error) {
	if err := x.collect(); err != nil || x.report.Files == 0 {
		return nil, err
	}
	zero := block.NewExtents(x.zero...)
	kept, err := x.claimed(zero)
	if err != nil {
		return nil, err
	}
	return held(block.Subtract(zero, block.NewExtents(kept...)))
}

// collect finds the files that match and gathers their extents.
func (x *exclusion) collect() error {
	several := []item{} // one name of each file that has several
	err := x.walk(func(it item) bool { return it.matched || it.path == "." || x.globs.below(it.path) }, func(it item) error {
		switch {
		case !it.matched || !it.info.Mode().IsRegular():
			return nil
		case filtered(it.node):
			x.report.Kept++
			return nil
		case it.node.Links() == 1:
			return x.take(it)
		}
		l := x.linked[it.node.ID()]
		if l == nil {
			l = new(linkedFile)
			x.linked[it.node.ID()] = l
			several = append(several, it)
		}
		l.names++
		return nil
	})
	for _, it := range several {
		l := x.linked[it.node.ID()]
		if l.out = l.names >= it.node.Links(); l.out && err == nil {
			err = x.take(it)
		} else {
			x.report.Kept++
		}
	}
	return err
}

// take adds a file to those that are left out, if it has clusters.
func (x *exclusion) take(it item) error {
	before := len(x.zero)
	for e, err := range it.node.Extents() {
		if err != nil {
			return fmt.Errorf("%s: %w", it.path, err)
		}
		x.zero = append(x.zero, e)
	}
	if len(x.zero) == before {
		return nil
	}
	if x.report.Files++; len(x.report.Names) < MaxExcludedNames {
		x.report.Names = append(x.report.Names, it.path)
	}
	return nil
}

// filtered says whether a driver makes the contents of a file.
func filtered(n Node) bool {
	a, ok := n.(Attributes)
	return ok && a.Attributes()&(attrReparse|attrEncrypted|attrIntegrity) != 0
}

// errTwice is given of a volume whose files claim more than it has.
var errTwice = errors.New("the files claim more than twice the bytes of the volume: it is damaged, or they share very much")

// claimed is what of the extents to be left out belongs to something that is
// kept: another file, a folder, the file system.
func (x *exclusion) claimed(zero block.Extents) (kept []block.Extent, err error) {
	sum := int64(0)
	add := func(extents iter.Seq2[block.Extent, error], links int) error {
		for e, err := range extents {
			if err != nil {
				return err
			}
			kept = append(kept, overlap(zero, e)...)
			if sum += e.Len / int64(max(links, 1)); sum > 2*x.size {
				return errTwice
			}
		}
		return nil
	}
	err = x.walk(func(item) bool { return true }, func(it item) error {
		if x.leaves(it) {
			return nil
		}
		if err := add(it.node.Extents(), it.node.Links()); err != nil {
			return fmt.Errorf("%s: %w", it.path, err)
		}
		return nil
	})
	if m, ok := x.files.(Metadata); ok && err == nil {
		err = add(m.Metadata(), 1)
	}
	return kept, err
}

// leaves says whether collect took a file.
func (x *exclusion) leaves(it item) bool {
	if !it.matched || !it.info.Mode().IsRegular() || filtered(it.node) {
		return false
	}
	l := x.linked[it.node.ID()]
	return it.node.Links() == 1 || l != nil && l.out
}

// item is a file or folder that a walk comes to.
type item struct {
	path    string
	info    fs.FileInfo
	node    Node
	matched bool // it, or a folder it lies in, matches
}

// walk goes through the tree, the root first, and into the folders that enter
// wants.
func (x *exclusion) walk(enter func(item) bool, visit func(item) error) error {
	info, err := x.files.Lstat(".")
	if err != nil {
		return err
	}
	root, err := x.item(".", info, false)
	if err != nil {
		return err
	}
	seen := map[uint64]bool{}
	var sum int64 // bytes of the folders
	for pending := []item{root}; len(pending) > 0; {
		it := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if err := visit(it); err != nil {
			return err
		}
		if !it.info.IsDir() || !enter(it) {
			continue
		}
		if seen[it.node.ID()] {
			return fmt.Errorf("%s: the folder lies in two places", it.path)
		}
		seen[it.node.ID()] = true
		for e, err := range it.node.Extents() {
			if sum += e.Len; err == nil && sum > 2*x.size {
				err = errTwice
			}
			if err != nil {
				return fmt.Errorf("%s: %w", it.path, err)
			}
		}
		if err := x.entries(it, visit, &pending); err != nil {
			return fmt.Errorf("%s: %w", it.path, err)
		}
	}
	return nil
}

// entries visits the files of a folder, and adds its folders to those that are
// pending.
func (x *exclusion) entries(folder item, visit func(item) error, pending *[]item) error {
	list, err := x.list(folder)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := e.Name()
		if folder.path != "." {
			path = folder.path + "/" + path
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		it, err := x.item(path, info, folder.matched)
		if err != nil {
			return err
		}
		if info.IsDir() {
			*pending = append(*pending, it)
			continue
		}
		if err := visit(it); err != nil {
			return err
		}
	}
	return nil
}

func (x *exclusion) list(folder item) ([]fs.DirEntry, error) {
	if l, ok := folder.node.(lister); ok {
		return l.Entries()
	}
	return x.files.ReadDir(folder.path)
}

func (x *exclusion) item(path string, info fs.FileInfo, matched bool) (item, error) {
	node, ok := info.Sys().(Node)
	if !ok {
		return item{}, fmt.Errorf("%s: nothing is known of its place on the disk", path)
	}
	return item{path, info, node, matched || path != "." && x.globs.match(path)}, nil
}

// overlap is the parts of e that lie in m.
func overlap(m block.Extents, e block.Extent) (out []block.Extent) {
	i, j := 0, len(m) // the first extent that ends behind the start of e
	for i < j {
		if k := (i + j) / 2; m[k].End() <= e.Off {
			i = k + 1
		} else {
			j = k
		}
	}
	for ; i < len(m) && m[i].Off < e.End(); i++ {
		lo, hi := max(m[i].Off, e.Off), min(m[i].End(), e.End())
		if lo < hi {
			out = append(out, block.Extent{Off: lo, Len: hi - lo})
		}
	}
	return out
}
