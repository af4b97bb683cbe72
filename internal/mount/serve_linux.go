package mount

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// server is what all nodes of a mount share.
type server struct {
	owner fuse.Owner
	time  time.Time
	log   func(err error)
}

func (s *server) failed(err error) {
	if s.log != nil {
		s.log(err)
	}
}

// Server is something that is mounted.
type Server struct {
	dir  string
	fuse *fuse.Server
	done chan struct{}
}

// rootNode is the folder that it is mounted on.
type rootNode struct {
	fusefs.Inode
	*server
	root *Root
}

var (
	_ fusefs.NodeOnAdder   = (*rootNode)(nil)
	_ fusefs.NodeGetattrer = (*rootNode)(nil)
	_ fusefs.NodeStatfser  = (*rootNode)(nil)
)

// OnAdd makes the files and folders.
func (r *rootNode) OnAdd(ctx context.Context) {
	for _, f := range r.root.Files {
		r.AddChild(f.Name, r.NewPersistentInode(ctx, newRawNode(r.server, f, r.time), fusefs.StableAttr{Mode: syscall.S_IFREG}), true)
	}
	for i, f := range r.root.Folders {
		n := &treeNode{v: &volume{server: r.server, name: f.Name, number: uint64(i) + 1, open: f.Open}, path: "."}
		r.AddChild(f.Name, r.NewPersistentInode(ctx, n, fusefs.StableAttr{Mode: syscall.S_IFDIR}), true)
	}
}

// Getattr tells of the folder.
func (r *rootNode) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Nlink, out.Owner = syscall.S_IFDIR|0o555, 1, r.owner
	setTimes(&out.Attr, r.time, r.time, r.time)
	return 0
}

// Statfs says that all is full.
func (r *rootNode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	for _, f := range r.root.Files {
		out.Blocks = max(out.Blocks, uint64(f.Reader.Size())/4096)
	}
	return 0
}

// forever is how long the kernel may keep what it was told.
const forever = 24 * time.Hour

// Mount mounts root on a folder, which must be empty to be seen again as it was. It
// returns when the mount can be used; end it with Unmount.
func Mount(dir string, root *Root, o Options) (*Server, error) {
	s := &server{owner: fuse.Owner{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}, time: root.Time, log: o.Log}
	keep := forever
	opts := &fusefs.Options{
		EntryTimeout: &keep, AttrTimeout: &keep, NegativeTimeout: &keep, NullPermissions: true,
		MountOptions: fuse.MountOptions{
			FsName: o.Source, Name: Type[len("fuse."):], AllowOther: o.AllowOther, MaxWrite: 1 << 20, MaxReadAhead: 1 << 20,
			DirectMount: os.Geteuid() == 0, DirectMountFlags: unix.MS_NOSUID | unix.MS_NODEV,
			Logger: log.New(io.Discard, "", 0),
		},
	}
	if !root.writes() {
		opts.DirectMountFlags |= unix.MS_RDONLY
		if os.Geteuid() != 0 {
			opts.MountOptions.Options = append(opts.MountOptions.Options, "ro")
		}
	}
	if o.AllowOther {
		opts.MountOptions.Options = append(opts.MountOptions.Options, "default_permissions")
	}
	f, err := fusefs.Mount(dir, &rootNode{server: s, root: root}, opts)
	if err != nil {
		return nil, fmt.Errorf("mount on %s: %w", dir, err)
	}
	readAhead(dir)
	srv := &Server{dir: dir, fuse: f, done: make(chan struct{})}
	go func() { // ends with the mount
		f.Wait()
		close(srv.done)
	}()
	return srv, nil
}

// Done is closed when somebody has unmounted it and nothing of it is in use.
func (s *Server) Done() <-chan struct{} { return s.done }

// readAhead has the kernel read 1 MiB ahead instead of 128 KiB, where it lets us:
// that is what an image is read fastest in.
func readAhead(dir string) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) == nil {
		path := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev))
		_ = os.WriteFile(path, []byte("1024"), 0)
	}
}
