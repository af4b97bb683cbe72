package attach

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Supported says whether there is anything to attach with.
func Supported() error {
	if err := proc("AttachVirtualDisk").Find(); err != nil {
		return fmt.Errorf("this Windows has no virtual disks: %w", err)
	}
	return nil
}

// Elevated says whether the program runs as administrator, which attaching needs.
func Elevated() bool { return windows.GetCurrentProcessToken().IsElevated() }

// proc is a function of virtdisk.dll, which is taken from System32 only.
func proc(name string) *windows.LazyProc {
	return windows.NewLazySystemDLL("virtdisk.dll").NewProc(name)
}

// call calls one of these functions: they return an error number. What the
// arguments point to must not move meanwhile.
//
//go:uintptrescapes
func call(name string, args ...uintptr) error {
	p := proc(name)
	if err := p.Find(); err != nil {
		return err
	}
	if r, _, _ := p.Call(args...); r != 0 {
		return fmt.Errorf("%s: %w", name, windows.Errno(r))
	}
	return nil
}

// MakeFolder makes a new folder below dir, for one file. The user, administrators
// and the system may look into it, whatever holds for dir.
func MakeFolder(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", fmt.Errorf("find out who runs the program: %w", err)
	}
	sd, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + user.User.Sid.String() + ")")
	if err != nil {
		return "", fmt.Errorf("make an access list: %w", err)
	}
	path := filepath.Join(abs, folderPrefix+rand.Text())
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return "", err
	}
	sa := windows.SecurityAttributes{SecurityDescriptor: sd}
	sa.Length = uint32(unsafe.Sizeof(sa))
	if err := windows.CreateDirectory(name, &sa); err != nil {
		return "", fmt.Errorf("make the folder %s: %w", path, err)
	}
	return path, nil
}

const accessNone = 0 // VIRTUAL_DISK_ACCESS_NONE

// open gives a handle of the disk in a file.
func open(path string, write bool) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	kind, params := typeVHDX(), openFor(write)
	var h windows.Handle
	err = call("OpenVirtualDisk", uintptr(unsafe.Pointer(&kind)), uintptr(unsafe.Pointer(name)), accessNone, 0,
		uintptr(unsafe.Pointer(&params)), uintptr(unsafe.Pointer(&h)))
	return h, err
}

// Attach makes the VHDX file at path a disk, until Detach or the end of Windows,
// and gives the path of the device. Without write nothing can write to it.
func Attach(path string, write bool) (device string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("attach %s: %w", path, err)
		}
	}()
	h, err := open(path, write)
	if err != nil {
		return "", err
	}
	defer windows.CloseHandle(h)
	params := attachDefault()
	err = call("AttachVirtualDisk", uintptr(h), 0, uintptr(flagsFor(write)), 0, uintptr(unsafe.Pointer(&params)), 0)
	if err != nil {
		return "", err
	}
	if device, err = physical(h); err != nil {
		return "", errors.Join(err, detach(h))
	}
	return device, nil
}

// physical is the path of the device that the disk is.
func physical(h windows.Handle) (string, error) {
	buf := make([]uint16, windows.MAX_PATH)
	n := uint32(2 * len(buf)) // in bytes
	if err := call("GetVirtualDiskPhysicalPath", uintptr(h), uintptr(unsafe.Pointer(&n)), uintptr(unsafe.Pointer(&buf[0]))); err != nil {
		return "", err
	}
	return windows.UTF16ToString(buf), nil
}

func detach(h windows.Handle) error { return call("DetachVirtualDisk", uintptr(h), 0, 0) }

// Detach ends that the file at path is a disk. Of one that is none, or is not
// there, nothing is left to do. write is what Attach was told: the file is opened
// the same way, or else the other one.
func Detach(path string, write bool) error {
	h, err := open(path, write)
	if err != nil {
		h, err = open(path, !write)
	}
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) || errors.Is(err, windows.ERROR_PATH_NOT_FOUND) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("detach %s: %w", path, err)
	}
	defer windows.CloseHandle(h)
	if err := detach(h); err != nil {
		if _, none := physical(h); none != nil {
			return nil // Windows was restarted meanwhile
		}
		return fmt.Errorf("detach %s: %w", path, err)
	}
	return nil
}
