package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DefaultSocket is where the service listens.
const DefaultSocket = "/run/ingot/api.sock"

// listen makes the socket at path. Only members of group, which may be "", and
// the owner can connect; what each may do is decided anew for each connection.
func listen(path, group string) (net.Listener, int, error) {
	gid, err := groupID(group)
	if err != nil {
		return nil, 0, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, 0, err
	}
	if err := removeStale(path); err != nil {
		return nil, 0, err
	}
	// Nobody else may connect before the mode is set.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, 0, fmt.Errorf("listen on %s: %w", path, err)
	}
	if gid > 0 {
		err = errors.Join(os.Chown(path, -1, gid), os.Chmod(path, 0o660))
	}
	if err != nil {
		return nil, 0, errors.Join(err, l.Close())
	}
	return l, gid, nil
}

// groupID is the number of a group; 0 when there is none of that name, or when
// the name is "". The group of the administrator gives no rights.
func groupID(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		var unknown user.UnknownGroupError
		if errors.As(err, &unknown) {
			return 0, nil
		}
		return 0, fmt.Errorf("group %s: %w", name, err)
	}
	return strconv.Atoi(g.Gid)
}

// removeStale removes the socket of a service that is no more.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s exists and is no socket", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return fmt.Errorf("%s: %w", path, ErrRunning)
	}
	return os.Remove(path)
}

// peer asks the kernel who is at the other end: unix(7), SO_PEERCRED and
// SO_PEERGROUPS, both as they were when the other end connected.
func peer(c net.Conn) (Peer, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return Peer{}, errors.New("no Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var p Peer
	var inner error
	err = raw.Control(func(fd uintptr) { p, inner = peerCred(int(fd)) })
	return p, errors.Join(err, inner)
}

func peerCred(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("credentials of the other end: %w", err)
	}
	p := Peer{UID: int(cred.Uid), PID: int(cred.Pid), Groups: []int{int(cred.Gid)}}
	groups := make([]uint32, 65536) // NGROUPS_MAX
	size := uint32(len(groups) * 4)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS, uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return p, nil // an old kernel: the group of the process has to do
	}
	for _, g := range groups[:size/4] {
		p.Groups = append(p.Groups, int(g))
	}
	return p, nil
}

// self is the user the service runs as.
func self() int { return os.Geteuid() }

func dial(ctx context.Context, path string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}
