package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Place is what a bridge keeps for its user in a folder of theirs.
type Place struct {
	folder, name string
	// Label is the first part of the host name, random for each user: cookies
	// are shared by all ports of a name, so that it must not be guessed.
	Label string
	lock  *os.File // held by the one bridge of this place; nil when another holds it
}

const askTime = 2 * time.Second

// Folder is where the bridges of this user keep what they need: the user's
// runtime folder, that of root below /run, or else in the user's cache.
func Folder() (string, error) {
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" {
		return filepath.Join(run, "ingot"), nil
	}
	if os.Geteuid() == 0 {
		return "/run/ingot-ui", nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "ingot"), err
}

// Take takes the place of this name (a word) in a folder, which is made if need be. When
// another bridge of the user has it, Running says so and Ask asks that one.
func Take(folder, name string) (*Place, error) {
	if err := ownFolder(folder); err != nil {
		return nil, fmt.Errorf("folder of the console: %w", err)
	}
	p := &Place{folder: folder, name: name}
	lock, err := os.OpenFile(p.path(".lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the console: %w", err)
	}
	switch err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return p, lock.Close()
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock of the console: %w", err), lock.Close())
	}
	p.lock = lock
	if p.Label, err = label(folder); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return p, nil
}

// Running says whether another bridge has the place.
func (p *Place) Running() bool { return p.lock == nil }

func (p *Place) path(kind string) string { return filepath.Join(p.folder, p.name+kind) }

// ownFolder makes a folder for the user alone, and takes no other one.
func ownFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.IsDir() || int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s must be a folder of this user that nobody else may enter (mode 0700)", path)
	}
	return nil
}

// Ask asks the bridge that has the place for a new ticket and code. One that
// starts just now is waited for.
func (p *Place) Ask(ctx context.Context) (Invitation, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	for {
		invitation, err := p.askOnce(ctx)
		if err == nil {
			return invitation, nil
		}
		select {
		case <-ctx.Done():
			return Invitation{}, fmt.Errorf("ask the console that runs already: %w", err)
		case <-time.After(askTime / 40):
		}
	}
}

func (p *Place) askOnce(ctx context.Context) (v Invitation, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", p.path(".sock"))
	if err != nil {
		return v, err
	}
	defer c.Close()
	if err := sameEnd(c); err != nil {
		return v, err
	}
	_ = c.SetDeadline(time.Now().Add(askTime)) // a socket has deadlines
	err = json.NewDecoder(io.LimitReader(c, 4096)).Decode(&v)
	return v, err
}

// Answer gives an invitation to each of the user's processes that connects,
// until the context ends; the place is free then.
func (p *Place) Answer(ctx context.Context, invite func() Invitation) error {
	defer p.lock.Close() // the lock goes with the process in any case
	l, err := p.listen()
	if err != nil {
		return fmt.Errorf("socket of the console: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("socket of the console: %w", err)
		}
		if sameEnd(c) == nil {
			_ = c.SetDeadline(time.Now().Add(askTime)) // a socket has deadlines
			_ = json.NewEncoder(c).Encode(invite())    // who asked may have gone
		}
		_ = c.Close()
	}
}

// listen makes the socket with mode 0600. One that is there is of a bridge that
// is no more, since the lock is held.
func (p *Place) listen() (net.Listener, error) {
	if err := os.Remove(p.path(".sock")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", p.path(".sock"))
}

// sameEnd checks that the other end of a Unix socket is of the same user.
func sameEnd(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return errors.New("no Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || inner != nil {
		return errors.Join(err, inner)
	}
	if int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("the other end is of user %d", cred.Uid)
	}
	return nil
}
