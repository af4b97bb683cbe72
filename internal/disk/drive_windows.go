package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Device controls (winioctl.h). x/sys/windows has none of them.
const (
	ioctlDiskGetGeometryEx           = 0x000700A0
	ioctlDiskGetDriveLayoutEx        = 0x00070050
	ioctlDiskGetLengthInfo           = 0x0007405C
	ioctlDiskIsWritable              = 0x00070024
	ioctlDiskUpdateProperties        = 0x00070140
	ioctlStorageQueryProperty        = 0x002D1400
	ioctlStorageDeviceNumber         = 0x002D1080
	ioctlVolumeGetDiskExtents        = 0x00560000
	fsctlLockVolume                  = 0x00090018
	fsctlDismountVolume              = 0x00090020
	propertyDevice                   = 0
	propertyAccessAlignment          = 6
	maxDrives                        = 64
	maxAnswer                        = 1 << 20 // bytes: a layout of thousands of partitions
	shareAll                         = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE
	readWrite                 uint32 = windows.GENERIC_READ | windows.GENERIC_WRITE
)

// drive is the handle of a raw disk or volume.
type drive struct{ windows.Handle }

// openDrive opens \\.\PhysicalDriveN or a volume. Access 0 is enough for
// device controls that need no right, also without being administrator.
func openDrive(path string, access uint32) (drive, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return drive{}, err
	}
	h, err := windows.CreateFile(name, access, shareAll, nil, windows.OPEN_EXISTING, 0, 0)
	return drive{h}, err
}

// control sends a device control and returns the answer, with a larger buffer
// when Windows asks for one.
func (d drive) control(code uint32, in []byte) ([]byte, error) {
	for size := uint32(32 << 10); ; size *= 2 {
		out := make([]byte, size)
		var n uint32
		err := windows.DeviceIoControl(d.Handle, code, unsafe.SliceData(in), uint32(len(in)), &out[0], size, &n, nil)
		grow := errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || errors.Is(err, windows.ERROR_MORE_DATA)
		if grow && size < maxAnswer {
			continue
		}
		return out[:min(n, size)], err
	}
}

// property asks STORAGE_PROPERTY_QUERY for a property by number.
func (d drive) property(id byte) ([]byte, error) {
	return d.control(ioctlStorageQueryProperty, []byte{id, 11: 0})
}

// ReadAt implements io.ReaderAt for whole sectors. The offset goes with the
// request, so that requests of several goroutines do not disturb each other.
func (d drive) ReadAt(p []byte, off int64) (int, error) {
	return d.transfer(p, off, windows.ReadFile)
}

// WriteAt implements io.WriterAt for whole sectors.
func (d drive) WriteAt(p []byte, off int64) (int, error) {
	return d.transfer(p, off, windows.WriteFile)
}

func (d drive) transfer(p []byte, off int64, do func(windows.Handle, []byte, *uint32, *windows.Overlapped) error) (int, error) {
	const most = 64 << 20 // bytes: drivers refuse what they can not map at once
	for done := 0; done < len(p); {
		at := uint64(off) + uint64(done)
		o := windows.Overlapped{Offset: uint32(at), OffsetHigh: uint32(at >> 32)}
		var n uint32
		err := do(d.Handle, p[done:min(len(p), done+most)], &n, &o)
		done += int(n)
		if errors.Is(err, windows.ERROR_HANDLE_EOF) || err == nil && n == 0 {
			return done, io.ErrUnexpectedEOF
		}
		if err != nil {
			return done, err
		}
	}
	return len(p), nil
}

func (d drive) Sync() error { return windows.FlushFileBuffers(d.Handle) }

func (d drive) Close() error { return windows.CloseHandle(d.Handle) }

// isDevice tells a path of the device name space from one of a file.
func isDevice(path string) bool {
	return strings.HasPrefix(path, `\\.\`) || strings.HasPrefix(path, `\\?\GLOBALROOT\`) || strings.HasPrefix(path, `\\?\Volume{`)
}

// List gives the disks of this machine, by number. It needs no right of an
// administrator.
func List() ([]Info, error) {
	var out []Info
	for n := range maxDrives {
		path := fmt.Sprintf(`\\.\PhysicalDrive%d`, n)
		d, err := openDrive(path, 0)
		if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list disks: open %s: %w", path, err)
		}
		info, err := d.describe(path)
		d.Close()
		// A card reader without a card is a drive without a geometry.
		if errors.Is(err, windows.ERROR_NOT_READY) || errors.Is(err, windows.ERROR_NO_MEDIA_IN_DRIVE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list disks: %s: %w", path, err)
		}
		out = append(out, info)
	}
	return out, nil
}

// Stat describes the disk, volume or regular file at path.
func Stat(path string) (Info, error) {
	info, err := stat(path)
	if err != nil {
		return Info{}, fmt.Errorf("describe %s: %w", path, err)
	}
	return info, nil
}

func stat(path string) (Info, error) {
	if !isDevice(path) {
		return statFile(path)
	}
	d, err := openDrive(path, 0)
	if err != nil {
		return Info{}, err
	}
	defer d.Close()
	return d.describe(path)
}

func statFile(path string) (Info, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	if !fi.Mode().IsRegular() {
		return Info{}, errors.New("it is neither a disk nor a regular file")
	}
	return Info{
		Path: path, Bus: "file", Size: fi.Size(), LogicalSector: 512, PhysicalSector: 512,
		ReadOnly: fi.Mode().Perm()&0o200 == 0,
	}, nil
}

// describe asks d for what Info holds. The geometry is needed; what else a
// driver does not know stays empty.
func (d drive) describe(path string) (Info, error) {
	b, err := d.control(ioctlDiskGetGeometryEx, nil)
	if err != nil {
		return Info{}, fmt.Errorf("ask for the geometry: %w", err)
	}
	g, err := decodeGeometry(b)
	if err != nil {
		return Info{}, err
	}
	info := Info{Path: path, Size: g.size, LogicalSector: g.sector, PhysicalSector: g.sector, Removable: g.removable}
	if b, err := d.control(ioctlStorageDeviceNumber, nil); err == nil {
		if n, err := decodeDeviceNumber(b); err == nil {
			info.Number = n
		}
	}
	if b, err := d.property(propertyDevice); err == nil {
		if s, err := decodeDeviceDescriptor(b); err == nil {
			info.Vendor, info.Model, info.Revision, info.Serial, info.Bus = s.vendor, s.product, s.revision, s.serial, s.bus
			info.Removable = info.Removable || s.removable
		}
	}
	if b, err := d.property(propertyAccessAlignment); err == nil {
		if n, err := decodeAlignment(b); err == nil {
			info.PhysicalSector = n
		}
	}
	_, err = d.control(ioctlDiskIsWritable, nil)
	info.ReadOnly = errors.Is(err, windows.ERROR_WRITE_PROTECT)
	return info, nil
}

// length is the size in bytes; unlike the geometry's it is also right for a
// volume. It needs the right to read.
func (d drive) length() (int64, error) {
	b, err := d.control(ioctlDiskGetLengthInfo, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the size: %w", err)
	}
	return decodeLength(b)
}
