package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"ingot/internal/block"
)

// rawNode is a file of bytes.
type rawNode struct {
	fusefs.Inode
	*server
	file File
	time time.Time
	used func() int64 // how many bytes are no holes
}

var (
	_ fusefs.NodeGetattrer = (*rawNode)(nil)
	_ fusefs.NodeSetattrer = (*rawNode)(nil)
	_ fusefs.NodeOpener    = (*rawNode)(nil)
	_ fusefs.NodeReader    = (*rawNode)(nil)
	_ fusefs.NodeWriter    = (*rawNode)(nil)
	_ fusefs.NodeFsyncer   = (*rawNode)(nil)
	_ fusefs.NodeAllocater = (*rawNode)(nil)
	_ fusefs.NodeLseeker   = (*rawNode)(nil)
)

func newRawNode(s *server, f File, at time.Time) *rawNode {
	n := &rawNode{server: s, file: f, time: at}
	n.used = sync.OnceValue(n.allocated)
	return n
}

// allocated counts what is no hole, once: what is written later does not show.
func (n *rawNode) allocated() int64 {
	if n.file.Used != nil {
		if bytes, err := block.Bytes(n.file.Used); err == nil {
			return bytes
		}
	}
	return n.file.Reader.Size()
}

// Getattr gives size, owner and time.
func (n *rawNode) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.attr(&out.Attr)
	return 0
}

func (n *rawNode) attr(out *fuse.Attr) {
	out.Mode = syscall.S_IFREG | 0o400
	if n.file.Writer != nil {
		out.Mode |= 0o200
	}
	out.Size, out.Blocks, out.Blksize, out.Nlink = uint64(n.file.Reader.Size()), uint64(n.used()+511)/512, 64<<10, 1
	out.Owner = n.owner
	setTimes(out, n.time, n.time, n.time)
}

// Setattr takes times and modes without keeping them, and a size that is the one
// there is: tools that write disks set it.
func (n *rawNode) Setattr(ctx context.Context, f fusefs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok && int64(size) != n.file.Reader.Size() {
		return syscall.EPERM
	}
	if n.file.Writer == nil {
		return syscall.EROFS
	}
	return n.Getattr(ctx, f, out)
}

// Open opens the file. What can be written goes past the kernel's cache, since a
// disk and its partitions are the same bytes in files that the cache holds apart.
func (n *rawNode) Open(_ context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	switch {
	case n.file.Writer != nil:
		return nil, fuse.FOPEN_DIRECT_IO, 0
	case flags&syscall.O_ACCMODE != syscall.O_RDONLY:
		return nil, 0, syscall.EROFS
	}
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Read reads as much as there is.
func (n *rawNode) Read(_ context.Context, _ fusefs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	dest = dest[:max(min(int64(len(dest)), n.file.Reader.Size()-off), 0)]
	return n.readAt(n.file.Reader, n.file.Name, dest, off)
}

// readAt fills dest as far as there is something: all of it is an error, or none.
func (s *server) readAt(r io.ReaderAt, name string, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	got, err := r.ReadAt(dest, off)
	if err != nil && err != io.EOF {
		s.failed(fmt.Errorf("read %s at byte %d: %w", name, off, err))
		return nil, syscall.EIO
	}
	return fuse.ReadResultData(dest[:got]), 0
}

// Write writes within the file, which never grows.
func (n *rawNode) Write(_ context.Context, _ fusefs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if n.file.Writer == nil {
		return 0, syscall.EROFS
	}
	room := n.file.Reader.Size() - off
	if room <= 0 {
		return 0, syscall.ENOSPC
	}
	done, err := n.file.Writer.WriteAt(data[:min(int64(len(data)), room)], off)
	return uint32(done), n.wrote(err)
}

// wrote gives the number of an error of writing.
func (n *rawNode) wrote(err error) syscall.Errno {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, syscall.ENOSPC):
		n.failed(fmt.Errorf("write %s: %w", n.file.Name, err))
		return syscall.ENOSPC
	}
	n.failed(fmt.Errorf("write %s: %w", n.file.Name, err))
	return syscall.EIO
}

// Fsync waits for what was written.
func (n *rawNode) Fsync(context.Context, fusefs.FileHandle, uint32) syscall.Errno {
	if n.file.Writer == nil {
		return 0
	}
	return n.wrote(n.file.Writer.Sync())
}

// Allocate sets a range to zeros, as a discard of a loop device asks for it. All
// else is there already.
func (n *rawNode) Allocate(_ context.Context, _ fusefs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	end := n.file.Reader.Size()
	switch {
	case n.file.Writer == nil:
		return syscall.EROFS
	case off > uint64(end) || size > uint64(end)-off:
		return syscall.ENOSPC
	case mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0:
		return n.wrote(n.file.Writer.Zero(int64(off), int64(size)))
	case mode&^unix.FALLOC_FL_KEEP_SIZE != 0:
		return syscall.EOPNOTSUPP
	}
	return 0
}

// Lseek finds holes and what lies between them.
func (n *rawNode) Lseek(_ context.Context, _ fusefs.FileHandle, off uint64, whence uint32) (uint64, syscall.Errno) {
	size := n.file.Reader.Size()
	if off >= uint64(size) {
		return 0, syscall.ENXIO
	}
	used := n.file.Used
	if used == nil {
		used = block.Whole(size)
	}
	pos := int64(off)
	for e, err := range block.From(used, pos) {
		if err != nil {
			n.failed(fmt.Errorf("look for holes of %s: %w", n.file.Name, err))
			return 0, syscall.EIO
		}
		if whence == unix.SEEK_DATA && e.Off < size {
			return uint64(e.Off), 0
		}
		if e.Off > pos || whence == unix.SEEK_DATA {
			break
		}
		pos = e.End()
	}
	if whence == unix.SEEK_DATA {
		return 0, syscall.ENXIO
	}
	return uint64(min(pos, size)), 0
}
