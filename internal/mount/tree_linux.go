package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// volume is a tree that is mounted.
type volume struct {
	*server
	name   string
	number uint64 // from 1, in the mount
	open   func() (Tree, error)
}

// treeNode is a file or folder of a tree. That of the root has no info before
// somebody looks.
type treeNode struct {
	fusefs.Inode
	v    *volume
	path string
	info fs.FileInfo
}

var (
	_ fusefs.NodeGetattrer   = (*treeNode)(nil)
	_ fusefs.NodeLookuper    = (*treeNode)(nil)
	_ fusefs.NodeReaddirer   = (*treeNode)(nil)
	_ fusefs.NodeReadlinker  = (*treeNode)(nil)
	_ fusefs.NodeOpener      = (*treeNode)(nil)
	_ fusefs.NodeGetxattrer  = (*treeNode)(nil)
	_ fusefs.NodeListxattrer = (*treeNode)(nil)
)

// failed tells what went wrong with a path, and gives the number of the error.
func (n *treeNode) failed(doing string, err error) syscall.Errno {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return syscall.ENOENT
	case errors.Is(err, errNoAttr):
		return syscall.ENODATA
	case errors.Is(err, errTooLarge):
		return syscall.E2BIG
	}
	n.v.failed(fmt.Errorf("%s %s: %w", doing, path.Join(n.v.name, n.path), err))
	return syscall.EIO
}

// child is the path of an entry.
func (n *treeNode) child(name string) string {
	if n.path == "." {
		return name
	}
	return n.path + "/" + name
}

// Lookup finds an entry of a folder.
func (n *treeNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	tree, err := n.v.open()
	if err != nil {
		return nil, n.failed("open", err)
	}
	c := &treeNode{v: n.v, path: n.child(name)}
	if c.info, err = tree.Lstat(c.path); err != nil {
		return nil, c.failed("look at", err)
	}
	c.attr(&out.Attr)
	return n.NewInode(ctx, c, fusefs.StableAttr{Mode: out.Mode & syscall.S_IFMT, Ino: out.Ino, Gen: n.v.number}), 0
}

// Getattr tells of the file.
func (n *treeNode) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.attr(&out.Attr)
	return 0
}

// attr tells of the file; of a root that nobody has looked into, that it is a
// folder.
func (n *treeNode) attr(out *fuse.Attr) {
	out.Nlink, out.Owner, out.Blksize = 1, n.v.owner, 64<<10
	if n.info == nil {
		out.Mode = syscall.S_IFDIR | 0o555
		setTimes(out, n.v.time, n.v.time, n.v.time)
		return
	}
	sys := n.info.Sys()
	out.Ino, out.Size = n.v.ino(sys), uint64(n.info.Size())
	out.Blocks = (out.Size + 511) / 512
	if i, ok := sys.(identified); ok {
		out.Nlink = uint32(i.Links())
	}
	out.Mode = unixMode(n.info.Mode())
	if o, ok := sys.(owned); ok {
		out.Uid, out.Gid = o.Owner()
	} else {
		out.Mode = out.Mode&^0o222 | 0o444 // there are no owners: all is read
	}
	if d, ok := sys.(numbered); ok && n.info.Mode()&fs.ModeDevice != 0 {
		major, minor := d.Device()
		out.Rdev = uint32(unix.Mkdev(major, minor))
	}
	n.times(out)
}

func (n *treeNode) times(out *fuse.Attr) {
	access, change := time.Time{}, time.Time{}
	if t, ok := n.info.Sys().(timed); ok {
		access, change, _ = t.Times()
	}
	setTimes(out, access, n.info.ModTime(), change)
}

// setTimes sets the three times; those that are not known are that of the last
// write.
func setTimes(out *fuse.Attr, access, modified, changed time.Time) {
	if access.IsZero() {
		access = modified
	}
	if changed.IsZero() {
		changed = modified
	}
	out.SetTimes(&access, &modified, &changed)
}

// ino is the number that the kernel shows: that of the file system, with the
// volume's in the highest byte, so that files of two volumes are not taken for
// one. 0 has one made up.
func (v *volume) ino(sys any) uint64 {
	i, ok := sys.(identified)
	if !ok || i.ID() == 0 {
		return 0
	}
	return i.ID() ^ v.number<<56
}

// unixMode is a mode as the kernel has it.
func unixMode(m fs.FileMode) uint32 {
	out := uint32(m.Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, syscall.S_ISUID}, {fs.ModeSetgid, syscall.S_ISGID}, {fs.ModeSticky, syscall.S_ISVTX}} {
		if m&b.mode != 0 {
			out |= b.bit
		}
	}
	switch m.Type() {
	case fs.ModeDir:
		return out | syscall.S_IFDIR
	case fs.ModeSymlink:
		return out | syscall.S_IFLNK
	case fs.ModeNamedPipe:
		return out | syscall.S_IFIFO
	case fs.ModeSocket:
		return out | syscall.S_IFSOCK
	case fs.ModeDevice:
		return out | syscall.S_IFBLK
	case fs.ModeDevice | fs.ModeCharDevice:
		return out | syscall.S_IFCHR
	}
	// What is nothing that the kernel knows (reparse points of other programs,
	// say) is a file that may be empty.
	return out | syscall.S_IFREG
}

// listing is the entries of a folder, and the error that comes behind them.
type listing struct {
	entries []fuse.DirEntry
	errno   syscall.Errno
}

func (l *listing) HasNext() bool { return len(l.entries) > 0 || l.errno != 0 }

func (l *listing) Next() (fuse.DirEntry, syscall.Errno) {
	if len(l.entries) == 0 {
		errno := l.errno
		l.errno = 0
		return fuse.DirEntry{}, errno
	}
	e := l.entries[0]
	l.entries = l.entries[1:]
	return e, 0
}

func (l *listing) Close() {}

// Readdir lists a folder: what is good of it, and then an error if it is damaged.
func (n *treeNode) Readdir(context.Context) (fusefs.DirStream, syscall.Errno) {
	tree, err := n.v.open()
	if err != nil {
		return nil, n.failed("open", err)
	}
	list, err := tree.ReadDir(n.path)
	l := &listing{entries: make([]fuse.DirEntry, 0, len(list))}
	if err != nil {
		if l.errno = n.failed("list", err); len(list) == 0 {
			return nil, l.errno
		}
	}
	for _, e := range list {
		l.entries = append(l.entries, fuse.DirEntry{Name: e.Name(), Mode: unixMode(e.Type()) & syscall.S_IFMT})
	}
	return l, 0
}

// Readlink gives the target as it is; relative ones of Windows get slashes, so
// that they lead somewhere.
func (n *treeNode) Readlink(context.Context) ([]byte, syscall.Errno) {
	tree, err := n.v.open()
	if err != nil {
		return nil, n.failed("open", err)
	}
	target, err := tree.ReadLink(n.path)
	if err != nil {
		return nil, n.failed("read the link", err)
	}
	if _, windows := n.info.Sys().(reparsed); windows && !strings.HasPrefix(target, `\`) && !strings.Contains(target, ":") {
		target = strings.ReplaceAll(target, `\`, "/")
	}
	return []byte(target), 0
}

// openFile is a file that somebody reads.
type openFile struct {
	n *treeNode
	f fs.File
	r io.ReaderAt
}

// Open opens a regular file for reading.
func (n *treeNode) Open(_ context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	tree, err := n.v.open()
	if err != nil {
		return nil, 0, n.failed("open", err)
	}
	f, err := tree.Open(n.path)
	if err != nil {
		return nil, 0, n.failed("open", err)
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		_ = f.Close()
		return nil, 0, n.failed("open", errors.New("it is no file that can be read"))
	}
	return &openFile{n, f, r}, fuse.FOPEN_KEEP_CACHE, 0
}

// Read reads of a file.
func (f *openFile) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return f.n.v.readAt(f.r, path.Join(f.n.v.name, f.n.path), dest, off)
}

// Release closes the file.
func (f *openFile) Release(context.Context) syscall.Errno {
	_ = f.f.Close()
	return 0
}

// Getxattr gives an extended attribute.
func (n *treeNode) Getxattr(_ context.Context, name string, dest []byte) (uint32, syscall.Errno) {
	if n.info == nil {
		return 0, syscall.ENODATA
	}
	if b, ok := windowsTimes(n.info, name); ok {
		return give(dest, b)
	}
	b, err := attrValue(n.info.Sys(), name)
	if err != nil {
		return 0, n.failed("read the attribute "+name+" of", err)
	}
	return give(dest, b)
}

// Listxattr lists the extended attributes.
func (n *treeNode) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	if n.info == nil {
		return 0, 0
	}
	names, err := attrNames(n.info.Sys())
	if err != nil {
		return 0, n.failed("list the attributes of", err)
	}
	var b []byte
	for _, name := range names {
		b = append(append(b, name...), 0)
	}
	return give(dest, b)
}

// give fills dest, or says how large it has to be.
func give(dest, b []byte) (uint32, syscall.Errno) {
	if len(dest) < len(b) {
		return uint32(len(b)), syscall.ERANGE
	}
	return uint32(copy(dest, b)), 0
}
