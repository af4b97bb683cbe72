package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// platform is what a File keeps for Linux.
type platform struct{ f *os.File }

func openRead(path string) (*File, error) {
	f, err := open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	// Advice only, for what is read by way of the page cache after all: a file
	// system that knows none changes nothing.
	_ = unix.Fadvise(int(f.os.f.Fd()), 0, 0, unix.FADV_SEQUENTIAL)
	return f, nil
}

func openTarget(path string) (*File, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, bare(err)
	}
	flag := os.O_RDWR
	if fi.Mode().Type() == fs.ModeDevice {
		flag |= unix.O_EXCL // without O_CREAT: no mount, swap or holder may have it, now or until Close
	}
	f, err := open(path, flag)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return nil, err
	}
	// O_EXCL does not see loop devices upon a disk, nor anything upon a file.
	uses, usesErr := thisHost().users(fi)
	if usesErr == nil && len(uses) > 0 {
		usesErr = inUse(uses)
	}
	switch {
	case err == nil && usesErr == nil:
		return f, nil
	case err == nil:
		return nil, errors.Join(usesErr, f.Close())
	case usesErr == nil:
		return nil, fmt.Errorf("%w by something that can not be seen from here: %w", ErrInUse, err)
	}
	return nil, fmt.Errorf("%w: %w", usesErr, err)
}

// open opens a regular file or block device and asks the device itself for its
// sizes.
func open(path string, flag int) (*File, error) {
	info, err := thisHost().stat(path)
	if err != nil {
		return nil, bare(err)
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, bare(err)
	}
	fi, err := f.Stat()
	if err == nil && fi.Mode().IsRegular() {
		info.Size = fi.Size()
	} else if err == nil {
		info.Size, info.LogicalSector, err = askSizes(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	raw, err := openRaw(f, flag)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{Info: info, raw: raw, os: platform{f}}, nil
}

// bare drops the path that os puts before an error, as the callers name it.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// askSizes asks a block device for its size and its logical sector in bytes.
func askSizes(f *os.File) (size, sector int64, err error) {
	var n uint64
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&n))); e != 0 {
		return 0, 0, fmt.Errorf("ask for the size (BLKGETSIZE64): %w", e)
	}
	s, err := unix.IoctlGetInt(int(f.Fd()), unix.BLKSSZGET)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the sector size (BLKSSZGET): %w", err)
	}
	return int64(n), int64(uint32(s)), nil
}

// Reread tells the kernel to read the disk's partition table anew. Files and
// devices that the kernel keeps no partitions of are left alone.
func (f *File) Reread() error {
	fi, err := f.os.f.Stat()
	if err != nil {
		return fmt.Errorf("reread partition table of %s: %w", f.Info.Path, err)
	}
	if fi.Mode().IsRegular() {
		return nil
	}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, f.os.f.Fd(), unix.BLKRRPART, 0)
	if e != 0 && e != syscall.EINVAL {
		return fmt.Errorf("reread partition table of %s: %w", f.Info.Path, e)
	}
	return nil
}

// Close closes the disk. What was written may still be on its way: see Sync.
func (f *File) Close() error { return f.raw.Close() }

// inUse is the error for a target with uses, which are not empty.
func inUse(uses []Use) error {
	var texts []string
	for _, u := range uses {
		texts = append(texts, u.String())
	}
	return fmt.Errorf("%w: %s", ErrInUse, strings.Join(texts, "; "))
}
