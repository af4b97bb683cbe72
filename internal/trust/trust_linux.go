package trust

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// walker goes to a file from the root, one name at a time, and holds the folder
// it has come to open, so that each step is checked on what the next begins at.
type walker struct {
	asked string // the path
	uid   uint32 // of this process
	fd    int    // of the folder that was reached
	at    string // its path, without links
	links int
}

// open walks to a file, checks it and opens it.
func open(name string, k kind) (*os.File, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /: %w", err)
	}
	w := &walker{asked: name, uid: uint32(os.Geteuid()), fd: root, at: "/"}
	defer func() { _ = unix.Close(w.fd) }()
	if err := w.folder("/", root, false); err != nil {
		return nil, err
	}
	return w.walk(split(abs), k)
}

// split gives the names of a path. Dots that lead upward stay: they are taken
// from where links have led.
func split(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
}

func (w *walker) walk(names []string, k kind) (*os.File, error) {
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if name == "." {
			continue
		}
		fd, err := unix.Openat(w.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: w.asked, Err: err}
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			_ = unix.Close(fd)
			return nil, &fs.PathError{Op: "stat", Path: path.Join(w.at, name), Err: err}
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			names, err = w.link(fd, name, &st, names)
		case unix.S_IFDIR:
			err = w.enter(fd, name, len(names) == 0 && k == folder)
		default:
			if len(names) > 0 || k == folder {
				_ = unix.Close(fd)
				return nil, &fs.PathError{Op: "open", Path: w.asked, Err: unix.ENOTDIR}
			}
			return w.file(fd, name, k)
		}
		if err != nil {
			return nil, err
		}
	}
	if k != folder {
		return nil, fmt.Errorf("%s is a folder", w.asked)
	}
	return w.reopen(w.fd, unix.O_RDONLY|unix.O_DIRECTORY)
}

// enter makes a folder the one that was reached, when nobody else can change
// its entries.
func (w *walker) enter(fd int, name string, last bool) error {
	at := path.Join(w.at, name)
	if err := w.folder(at, fd, last); err != nil {
		_ = unix.Close(fd)
		return err
	}
	_ = unix.Close(w.fd)
	w.fd, w.at = fd, at
	return nil
}

// folder checks a folder on the way, or the last, into which nobody else may put
// anything.
func (w *walker) folder(at string, fd int, last bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: at, Err: err}
	}
	if err := w.owner(at, &st, "chown root "); err != nil {
		return err
	}
	if st.Mode&unix.S_ISVTX != 0 && !last {
		// Others can add entries and cannot touch those of root and the user.
		return nil
	}
	return w.writers(at, fd, &st)
}

// link follows a symbolic link: the names to walk are those it has, and then
// the rest.
func (w *walker) link(fd int, name string, st *unix.Stat_t, rest []string) ([]string, error) {
	defer func() { _ = unix.Close(fd) }()
	at := path.Join(w.at, name)
	if err := w.owner(at, st, "chown -h root "); err != nil {
		return nil, err
	}
	if w.links++; w.links > maxLinks {
		return nil, &fs.PathError{Op: "open", Path: w.asked, Err: unix.ELOOP}
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil || n == 0 || n == len(buf) {
		return nil, &fs.PathError{Op: "readlink", Path: at, Err: errors.Join(err, fs.ErrInvalid)}
	}
	target := string(buf[:n])
	if path.IsAbs(target) {
		root, err := unix.Openat(w.fd, "/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open /: %w", err)
		}
		_ = unix.Close(w.fd)
		w.fd, w.at = root, "/"
	}
	return append(split(target), rest...), nil
}

// file checks the file that was reached and opens it.
func (w *walker) file(fd int, name string, k kind) (*os.File, error) {
	defer func() { _ = unix.Close(fd) }()
	at := path.Join(w.at, name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: at, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s is no regular file", w.asked)
	}
	if err := w.owner(at, &st, "chown root "); err != nil {
		return nil, err
	}
	if k == secretFile && st.Mode&0o077 != 0 {
		return nil, w.fault(at, fmt.Sprintf("can be read by others (mode %04o)", st.Mode&0o7777), "chmod 600 "+quote(at))
	}
	if err := w.writers(at, fd, &st); err != nil {
		return nil, err
	}
	return w.reopen(fd, unix.O_RDONLY)
}

// reopen opens for reading what a descriptor stands for: the very same object.
func (w *walker) reopen(fd, flags int) (*os.File, error) {
	f, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: w.asked, Err: err}
	}
	return os.NewFile(uintptr(f), w.asked), nil
}

func (w *walker) fault(at, reason, mend string) error {
	return &Error{Path: w.asked, At: at, Reason: reason, Mend: mend}
}

func (w *walker) trusted(uid uint32) bool { return uid == 0 || uid == w.uid }

func (w *walker) owner(at string, st *unix.Stat_t, mend string) error {
	if w.trusted(st.Uid) {
		return nil
	}
	return w.fault(at, fmt.Sprintf("belongs to another user (uid %d)", st.Uid), mend+quote(at))
}

// writers refuses what others may write, by mode or access list.
func (w *walker) writers(at string, fd int, st *unix.Stat_t) error {
	const rights = 0o2
	list, err := accessList(fd)
	if err != nil {
		return &fs.PathError{Op: "read the access list of", Path: at, Err: err}
	}
	if list != nil {
		who, err := listed(list, rights, w.trusted)
		if err != nil {
			return fmt.Errorf("read the access list of %s: %w", at, err)
		}
		if who != "" {
			return w.fault(at, "can be written by "+who+", by its access list", fmt.Sprintf("setfacl -b %s && chmod go-w %s", quote(at), quote(at)))
		}
		return nil
	}
	if mode := uint16(st.Mode); (mode|mode>>3)&rights != 0 {
		who := "others"
		if mode&rights == 0 {
			who = "its group"
		}
		return w.fault(at, fmt.Sprintf("can be written by %s (mode %04o)", who, st.Mode&0o7777), "chmod go-w "+quote(at))
	}
	return nil
}

// accessList is the POSIX ACL of an object; nil when it has none beyond its
// mode.
func accessList(fd int) ([]byte, error) {
	buf := make([]byte, 1<<16) // the most an attribute can have
	n, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", fd), "system.posix_acl_access", buf)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EOPNOTSUPP):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return buf[:n], nil
}

// Tags of a POSIX ACL (linux/posix_acl.h), whose attribute is a 32-bit
// version, 2, and entries of tag and rights in 16 bits and an id in 32, all
// little-endian (linux/posix_acl_xattr.h).
const (
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

// listed names who, other than those trusted, has any of the rights by an
// access list; "" when nobody has.
func listed(list []byte, rights uint16, trusted func(uid uint32) bool) (string, error) {
	if len(list) < 4 || (len(list)-4)%8 != 0 || binary.LittleEndian.Uint32(list) != 2 {
		return "", fmt.Errorf("%d bytes that are no access list of version 2", len(list))
	}
	mask := uint16(7)
	for e := list[4:]; len(e) > 0; e = e[8:] {
		if binary.LittleEndian.Uint16(e) == aclMask {
			mask = binary.LittleEndian.Uint16(e[2:])
		}
	}
	for e := list[4:]; len(e) > 0; e = e[8:] {
		tag, granted, id := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:])
		switch {
		case tag == aclOther && granted&rights != 0:
			return "others", nil
		case granted&mask&rights == 0:
		case tag == aclUser && !trusted(id):
			return fmt.Sprintf("the user %d", id), nil
		case tag == aclGroup:
			return fmt.Sprintf("the group %d", id), nil
		case tag == aclGroupObj:
			return "its group", nil
		}
	}
	return "", nil
}
