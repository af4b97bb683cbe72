package browse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"ingot/internal/filesys"
)

const defaultStreams = StreamsFiles

// What a write ends with when the target is full, or who copies may not have more.
const (
	errFull  = windows.ERROR_DISK_FULL
	errQuota = windows.ERROR_DISK_QUOTA_EXCEEDED
)

// host is what can be kept where the copies go: Unix owners nowhere.
type host struct{ owners bool }

func newHost(*target, bool) host { return host{} }

// renameNew gives a file its name, unless something has it.
func renameNew(t *target, tmp, name string) error {
	if _, err := t.root.Lstat(name); err == nil {
		return &fs.PathError{Op: "rename", Path: name, Err: fs.ErrExist}
	}
	return t.root.Rename(tmp, name)
}

// setXattr fails: Windows has streams.
func setXattr(*os.File, string, []byte) error { return errors.ErrUnsupported }

// makeNode fails: Windows has no such files.
func makeNode(_ *target, _ string, info fs.FileInfo) error {
	return fmt.Errorf("files of type %v cannot be made in Windows", info.Mode().Type())
}

// reopen opens a file that is open, or a stream of it (":name"), with other
// rights: nobody can have put another one in its place.
func reopen(w *os.File, stream string, access, disposition uint32) (windows.Handle, error) {
	name, err := windows.NewNTUnicodeString(stream)
	if err != nil {
		return 0, err
	}
	attrs := windows.OBJECT_ATTRIBUTES{RootDirectory: windows.Handle(w.Fd()), ObjectName: name}
	attrs.Length = uint32(unsafe.Sizeof(attrs))
	var h windows.Handle
	var status windows.IO_STATUS_BLOCK
	err = windows.NtCreateFile(&h, access|windows.SYNCHRONIZE, &attrs, &status, nil, windows.FILE_ATTRIBUTE_NORMAL,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, disposition,
		windows.FILE_SYNCHRONOUS_IO_NONALERT|windows.FILE_OPEN_REPARSE_POINT|windows.FILE_OPEN_FOR_BACKUP_INTENT, 0, 0)
	return h, err
}

// streamFile writes a stream of a file that is open.
func (c *copier) streamFile(_ *target, _ Item, w *os.File, r io.ReaderAt, size int64, stream string) error {
	if err := checkName(stream); err != nil {
		return err
	}
	h, err := reopen(w, ":"+stream, windows.GENERIC_WRITE, windows.FILE_CREATE)
	if err != nil {
		return err
	}
	s := os.NewFile(uintptr(h), stream)
	return errors.Join(c.copyBytes(s, r, size, false, 1, func(int64) {}), s.Close())
}

// keep gives an open file or folder what the original has.
func (c *copier) keep(it Item, w *os.File) {
	if s, ok := it.Info.Sys().(filesys.Security); ok {
		c.lose("security descriptor", it, keepSecurity(s, w))
	}
	h, err := reopen(w, "", windows.FILE_WRITE_ATTRIBUTES|windows.FILE_READ_ATTRIBUTES, windows.FILE_OPEN)
	if err == nil {
		err = setBasic(h, it.Info)
		err = errors.Join(err, windows.CloseHandle(h))
	}
	c.lose("times and attributes", it, err)
}

// setBasic sets times and attributes (FILE_BASIC_INFO); a zero leaves a time as
// it is.
func setBasic(h windows.Handle, info fs.FileInfo) error {
	var access, birth time.Time
	if t, ok := info.Sys().(filesys.Times); ok {
		access, _, birth = t.Times()
	}
	attrs := uint32(windows.FILE_ATTRIBUTE_NORMAL)
	if a, ok := info.Sys().(filesys.Attributes); ok && a.Attributes()&settable != 0 {
		attrs = a.Attributes() & settable
	}
	var b [40]byte
	binary.LittleEndian.PutUint64(b[0:], fileTime(birth))
	binary.LittleEndian.PutUint64(b[8:], fileTime(access))
	binary.LittleEndian.PutUint64(b[16:], fileTime(info.ModTime()))
	binary.LittleEndian.PutUint32(b[32:], attrs)
	return windows.SetFileInformationByHandle(h, windows.FileBasicInfo, &b[0], uint32(len(b)))
}

// keepSecurity sets the owner, group and access list of a file. The audit list
// needs a privilege that few have, and is left out.
func keepSecurity(s filesys.Security, w *os.File) error {
	b, err := s.SecurityDescriptor()
	if err != nil || len(b) == 0 {
		return err
	}
	if !validDescriptor(b) {
		return errors.New("it is damaged")
	}
	h, err := reopen(w, "", windows.WRITE_DAC|windows.WRITE_OWNER, windows.FILE_OPEN)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	sd := (*windows.SECURITY_DESCRIPTOR)(unsafe.Pointer(&b[0]))
	return windows.SetKernelObjectSecurity(h, windows.OWNER_SECURITY_INFORMATION|windows.GROUP_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION, sd)
}

// keepAt leaves a link as it was made: what is set by its name would be set of
// what it leads to.
func (c *copier) keepAt(Item, *target, string) {}
