package exfat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"ingot/internal/block"
	"ingot/internal/fatchain"
	"ingot/internal/fstree"
)

// maxDepth is how deep folders may lie in each other: more than a path of
// 32,767 units can name.
const maxDepth = 16384

// node is a file or folder: what Stat gives of it, and what Sys() gives.
type node struct {
	v      *Volume
	file   file
	name   string
	off    int64 // of its directory entry; 0 for the root
	parent *node // nil for the root
	depth  int
}

// rootNode is the root directory, whose length only the table knows.
func rootNode(v *Volume) *node {
	return &node{v: v, name: ".", file: file{first: v.boot.RootCluster, attr: attrDirectory}}
}

// chain is the clusters of the file.
func (n *node) chain() fatchain.Chain {
	if !n.file.row {
		return n.v.space.Chain(n.file.first)
	}
	return n.v.space.Row(n.file.first, n.clusters())
}

// clusters is how many the length of the file takes.
func (n *node) clusters() int64 {
	size := n.v.boot.ClusterSize
	return n.file.size/size + min(n.file.size%size, 1)
}

// Name implements fs.FileInfo.
func (n *node) Name() string { return n.name }

// Size implements fs.FileInfo.
func (n *node) Size() int64 { return n.file.size }

// Mode implements fs.FileInfo.
func (n *node) Mode() fs.FileMode {
	mode := fs.FileMode(0o644)
	if n.IsDir() {
		mode = fs.ModeDir | 0o755
	}
	if n.file.attr&attrReadOnly != 0 {
		mode &^= 0o222
	}
	return mode
}

// ModTime implements fs.FileInfo.
func (n *node) ModTime() time.Time { return n.file.written }

// IsDir implements fs.FileInfo.
func (n *node) IsDir() bool { return n.file.attr&attrDirectory != 0 }

// Sys implements fs.FileInfo.
func (n *node) Sys() any { return n }

// ID is the place of the directory entry.
func (n *node) ID() uint64 { return uint64(n.off) }

// Links is the number of names.
func (n *node) Links() int { return 1 }

// Attributes are those of Windows.
func (n *node) Attributes() uint32 { return uint32(n.file.attr) }

// Times are those beside that of the last change of the contents.
func (n *node) Times() (access, change, birth time.Time) {
	return n.file.read, time.Time{}, n.file.created
}

// Extents are the clusters of the file.
func (n *node) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		var sum int64
		for r, err := range n.chain().Ranges() {
			if !yield(block.Extent(r), err) || err != nil {
				return
			}
			sum += r.Len
		}
		if sum < n.file.size {
			yield(block.Extent{}, fmt.Errorf("the chain of clusters has %d bytes of %d", sum, n.file.size))
		}
	}
}

// Entries lists a folder.
func (n *node) Entries() ([]fs.DirEntry, error) { return n.v.files.Entries(n) }

// Tree is the files of a volume.
type Tree struct {
	*fstree.FS
	v *Volume
}

// Files is the tree of files of the volume.
func (v *Volume) Files() Tree { return Tree{v.files, v} }

// Metadata are the clusters of the allocation bitmaps and the up-case table.
func (t Tree) Metadata() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for _, p := range []place{t.v.sys.bitmaps[0], t.v.sys.bitmaps[1], t.v.sys.upcase} {
			for r, err := range t.v.space.Chain(p.first).Ranges() {
				if !yield(block.Extent(r), err) || err != nil {
					return
				}
			}
		}
	}
}

// format is a Volume as fstree sees it.
type format Volume

// Root implements fstree.Format.
func (f *format) Root() fs.FileInfo { return f.root }

// Key implements fstree.Format.
func (f *format) Key(name string) string { return fstree.Fold(name, f.up.up) }

// Contents implements fstree.Format.
func (f *format) Contents(file fs.FileInfo) io.ReaderAt {
	n := file.(*node)
	return n.chain().Reader(n.file.size, n.file.valid)
}

// List implements fstree.Format.
func (f *format) List(folder fs.FileInfo) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		for n, err := range f.nodes(folder.(*node)) {
			if n == nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if err != nil && !yield(nil, err) || !yield(n, nil) {
				return
			}
		}
	}
}

// nodes goes through the files and folders of a folder. An error may come with
// a node, when most of it is good.
func (f *format) nodes(folder *node) iter.Seq2[*node, error] {
	return func(yield func(*node, error) bool) {
		if err := folder.loop(); err != nil {
			yield(nil, err)
			return
		}
		for s, err := range sets(folder.chain(), folder.limit()) {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			n, err := f.node(folder, &s)
			if (n != nil || err != nil) && !yield(n, err) {
				return
			}
		}
	}
}

// limit is how long a folder is: the root has no length but that of its chain.
func (n *node) limit() int64 {
	if n.parent == nil {
		return maxDirSize
	}
	return n.file.size
}

// errLoop is given of a folder that lies in itself.
var errLoop = errors.New("the folder is one of those it lies in")

// loop fails when a folder is one of those that it lies in.
func (n *node) loop() error {
	if n.depth > maxDepth {
		return errors.New("folders lie in each other too deep")
	}
	for up := n.parent; up != nil; up = up.parent {
		if up.file.first == n.file.first {
			return errLoop
		}
	}
	return nil
}

// node makes the node of a set; nil when it is that of no file.
func (f *format) node(folder *node, s *set) (*node, error) {
	switch kind := s.kind(); {
	case kind == typeFile:
	case kind&typeBenign != 0 || folder.parent == nil && kind <= typeLabel:
		return nil, nil
	default:
		return nil, fmt.Errorf("entry of type %#x at byte %d is not known: %w", kind, s.off, errSet)
	}
	file, err := parseFile(s.entries)
	if err != nil {
		return nil, fmt.Errorf("the set at byte %d: %w", s.off, err)
	}
	if file.size > f.boot.TotalClusters*f.boot.ClusterSize {
		return nil, fmt.Errorf("the set at byte %d: its length is %d, more than the volume has: %w", s.off, file.size, errSet)
	}
	n := &node{v: (*Volume)(f), file: file, name: fstree.Name(file.name), off: s.off, parent: folder, depth: folder.depth + 1}
	if got := nameSum(file.name, f.up); got != file.hash && f.sys.proper {
		return n, fmt.Errorf("the set at byte %d: the hash of the name %q is %#x, not %#x: %w", s.off, n.name, file.hash, got, errSet)
	}
	return n, nil
}
