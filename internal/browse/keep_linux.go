package browse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ingot/internal/filesys"
)

const defaultStreams = StreamsXattr

// What a write ends with when the target is full, or who copies may not have more.
const (
	errFull  = unix.ENOSPC
	errQuota = unix.EDQUOT
)

// host is what can be kept where the copies go.
type host struct {
	owners bool // files can be given away
	ntfs   bool // it is a volume of NTFS, mounted by ntfs-3g
	umask  fs.FileMode
}

func newHost(t *target, noOwner bool) host {
	var b [8]byte
	_, err := unix.Fgetxattr(int(t.dir.Fd()), "system.ntfs_attrib_be", b[:])
	return host{owners: os.Geteuid() == 0 && !noOwner, ntfs: err == nil, umask: umask()}
}

// umask is the mode bits that new files do not get. It can only be read without
// being changed for a moment from proc(5).
func umask() fs.FileMode {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "Umask:"); ok {
			if n, err := strconv.ParseUint(strings.TrimSpace(text), 8, 16); err == nil {
				return fs.FileMode(n) & fs.ModePerm
			}
		}
	}
	return 0o077
}

// renameNew gives a file its name, unless something has it.
func renameNew(t *target, tmp, name string) error {
	fd := int(t.dir.Fd())
	err := unix.Renameat2(fd, tmp, fd, name, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP) {
		return at("rename", name, err)
	}
	if _, err := t.root.Lstat(name); err == nil {
		return at("rename", name, unix.EEXIST)
	}
	return t.root.Rename(tmp, name)
}

// at is an error of a system call with what was done to which name.
func at(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// setXattr sets an extended attribute of an open file.
func setXattr(w *os.File, name string, value []byte) error {
	return unix.Fsetxattr(int(w.Fd()), name, value, 0)
}

// streamFile keeps a stream as a file beside the one it belongs to.
func (c *copier) streamFile(t *target, it Item, _ *os.File, r io.ReaderAt, size int64, stream string) error {
	name := it.Name + ":" + stream
	if err := checkName(name); err != nil {
		return err
	}
	tmp := temporary()
	w, err := t.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	if err = errors.Join(c.copyBytes(w, r, size, false, 1, func(int64) {}), w.Close()); err != nil {
		_ = t.root.Remove(tmp)
		return err
	}
	return c.commit(t, tmp, name)
}

// keep gives an open file or folder what the original has: owner, extended
// attributes, permissions, ACLs and times, in the order in which none undoes
// another.
func (c *copier) keep(it Item, w *os.File) {
	fd := int(w.Fd())
	owned := false
	if o, ok := it.Info.Sys().(filesys.Owner); ok && c.host.owners {
		uid, gid := o.Owner()
		err := unix.Fchown(fd, int(uid), int(gid))
		c.lose("owner", it, err)
		owned = err == nil
	}
	xattrs := c.xattrs(it)
	set := func(name string) {
		c.lose("extended attributes ("+space(name)+")", it, unix.Fsetxattr(fd, name, xattrs[name], 0))
	}
	var late []string // of ACLs, which permissions would change
	for _, name := range slices.Sorted(maps.Keys(xattrs)) {
		switch {
		case strings.HasPrefix(name, "system."):
			late = append(late, name)
		case name == "security.capability" && !owned:
			c.lose("extended attributes (security)", it, errors.New("capabilities stay with the owner"))
		default:
			set(name)
		}
	}
	c.lose("permissions", it, c.chmod(it, w, owned))
	for _, name := range late {
		set(name)
	}
	if c.host.ntfs {
		c.keepNTFS(it, fd)
	}
	times := timespecs(it.Info)
	c.lose("times", it, unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), times, 0))
}

// space is the name space of an extended attribute.
func space(name string) string {
	s, _, _ := strings.Cut(name, ".")
	return s
}

// chmod sets the permissions; those of who runs a file as another one only where
// that one owns the copy.
func (c *copier) chmod(it Item, w *os.File, owned bool) error {
	if _, ok := it.Info.Sys().(filesys.Owner); ok {
		mode := it.Info.Mode()
		if !owned {
			mode &^= fs.ModeSetuid | fs.ModeSetgid
		}
		return w.Chmod(mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky))
	}
	mode := it.Info.Mode()
	if it.Info.IsDir() {
		return w.Chmod(0o777 &^ c.host.umask) // read-only says nothing of folders
	}
	st, err := w.Stat()
	if err != nil || mode&0o200 != 0 {
		return err
	}
	return w.Chmod(st.Mode() &^ 0o222)
}

// xattrs are the extended attributes of an item that can be set here.
func (c *copier) xattrs(it Item) map[string][]byte {
	x, ok := it.Info.Sys().(filesys.Xattrs)
	if !ok {
		return nil
	}
	all, err := x.Xattrs()
	c.lose("extended attributes", it, err)
	return all
}

// keepNTFS sets what ntfs-3g lets be set as extended attributes: attributes,
// security descriptor, time of creation.
func (c *copier) keepNTFS(it Item, fd int) {
	if s, ok := it.Info.Sys().(filesys.Security); ok {
		b, err := s.SecurityDescriptor()
		if err == nil && len(b) > 0 {
			err = unix.Fsetxattr(fd, "system.ntfs_acl", b, 0)
		}
		c.lose("security descriptor", it, err)
	}
	if a, ok := it.Info.Sys().(filesys.Attributes); ok {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], a.Attributes()&settable)
		c.lose("attributes", it, unix.Fsetxattr(fd, "system.ntfs_attrib_be", b[:], 0))
	}
	if t, ok := it.Info.Sys().(filesys.Times); ok {
		if _, _, birth := t.Times(); !birth.IsZero() {
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], fileTime(birth))
			c.lose("time of creation", it, unix.Fsetxattr(fd, "system.ntfs_crtime_be", b[:], 0))
		}
	}
}

// timespecs are the times of access and of the last change.
func timespecs(info fs.FileInfo) []unix.Timespec {
	access := info.ModTime()
	if t, ok := info.Sys().(filesys.Times); ok {
		if a, _, _ := t.Times(); !a.IsZero() {
			access = a
		}
	}
	return []unix.Timespec{timespec(access), timespec(info.ModTime())}
}

// timespec leaves a time as it is when there is none to set.
func timespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// keepAt gives a link or special file what the original has. Links are not
// followed.
func (c *copier) keepAt(it Item, t *target, name string) {
	fd := int(t.dir.Fd())
	if o, ok := it.Info.Sys().(filesys.Owner); ok && c.host.owners {
		uid, gid := o.Owner()
		c.lose("owner", it, unix.Fchownat(fd, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW))
	}
	here := fmt.Sprintf("/proc/self/fd/%d/%s", fd, name)
	xattrs := c.xattrs(it)
	if it.Info.Mode()&fs.ModeSymlink == 0 {
		c.lose("permissions", it, unix.Fchmodat(fd, name, uint32(it.Info.Mode().Perm()), 0))
	}
	for _, x := range slices.Sorted(maps.Keys(xattrs)) {
		c.lose("extended attributes ("+space(x)+")", it, unix.Lsetxattr(here, x, xattrs[x], 0))
	}
	c.lose("times", it, unix.UtimesNanoAt(fd, name, timespecs(it.Info), unix.AT_SYMLINK_NOFOLLOW))
}

// makeNode makes a pipe, a socket or, for root, a device file.
func makeNode(t *target, name string, info fs.FileInfo) error {
	mode, dev := uint32(0o600), uint64(0)
	switch m := info.Mode(); {
	case m&fs.ModeNamedPipe != 0:
		mode |= unix.S_IFIFO
	case m&fs.ModeSocket != 0:
		mode |= unix.S_IFSOCK
	case m&fs.ModeDevice != 0:
		d, ok := info.Sys().(filesys.Device)
		if !ok {
			return errors.New("the number of the device is not known")
		}
		major, minor := d.Device()
		dev = unix.Mkdev(major, minor)
		if mode |= unix.S_IFBLK; m&fs.ModeCharDevice != 0 {
			mode = mode&^unix.S_IFBLK | unix.S_IFCHR
		}
	default:
		return fmt.Errorf("files of type %v are not known here", m.Type())
	}
	return at("mknod", name, unix.Mknodat(int(t.dir.Fd()), name, mode, int(dev)))
}
