package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// platform is what a File keeps for Windows.
type platform struct {
	drive  drive
	device bool     // it is a disk or volume, drive is its handle
	file   *os.File // else this
	locked []drive  // volumes kept locked and dismounted until Close
}

func openRead(path string) (*File, error) { return open(path, windows.GENERIC_READ) }

func openTarget(path string) (*File, error) {
	f, err := open(path, readWrite)
	if err != nil || !f.os.device {
		return f, err
	}
	if err := f.lockVolumes(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func open(path string, access uint32) (*File, error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !isDevice(path) {
		return openFile(path, access, info)
	}
	d, err := openDrive(path, access)
	if err != nil {
		return nil, err
	}
	if info.Size, err = d.length(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	raw := &aligned{rawFile: d, unit: info.LogicalSector}
	return &File{Info: info, raw: raw, os: platform{drive: d, device: true}}, nil
}

func openFile(path string, access uint32, info Info) (*File, error) {
	flag := os.O_RDONLY
	if access == readWrite {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	info.Size = fi.Size()
	return &File{Info: info, raw: f, os: platform{file: f}}, nil
}

// lockVolumes locks and dismounts every volume of the disk and keeps them so:
// since Windows Vista nothing may be written where a volume is mounted, and a
// dismounted one comes back with the next access unless it is locked. A volume
// that can not be locked is in use, as that of the running Windows always is.
func (f *File) lockVolumes() error {
	if !strings.HasPrefix(strings.ToLower(f.Info.Path), `\\.\physicaldrive`) {
		return lockVolume(f.os.drive, f.Info.Path) // a single volume is the target
	}
	volumes, err := volumesOf(f.Info.Number)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		d, err := openDrive(v.path, readWrite)
		if err != nil {
			return fmt.Errorf("open %s to lock it: %w", v.name(), err)
		}
		f.os.locked = append(f.os.locked, d)
		if err := lockVolume(d, v.name()); err != nil {
			return err
		}
	}
	return nil
}

// lockVolume locks and dismounts one volume. It tries for two seconds, since a
// virus scanner may have a file open for a moment.
func lockVolume(d drive, name string) error {
	var err error
	for range 10 {
		if _, err = d.control(fsctlLockVolume, nil); err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("%w: lock volume %s: %w", ErrInUse, name, err)
	}
	if _, err := d.control(fsctlDismountVolume, nil); err != nil {
		return fmt.Errorf("dismount volume %s: %w", name, err)
	}
	return nil
}

// Reread tells Windows to read the disk's partition table anew. Files are left
// alone.
func (f *File) Reread() error {
	if !f.os.device {
		return nil
	}
	if _, err := f.os.drive.control(ioctlDiskUpdateProperties, nil); err != nil {
		return fmt.Errorf("reread partition table of %s: %w", f.Info.Path, err)
	}
	return nil
}

// Close closes the disk and frees its volumes. What was written may still be
// on its way: see Sync.
func (f *File) Close() error {
	err := f.raw.Close()
	for _, d := range f.os.locked {
		err = errors.Join(err, d.Close()) // closing unlocks
	}
	return err
}

// volume is a volume of Windows and a piece of it on a disk.
type volume struct {
	path   string   // \\?\Volume{...} without the last backslash
	points []string // mount points, C:\ and the like
	off    int64    // byte offset of the piece
}

// name is how people call the volume.
func (v volume) name() string {
	if len(v.points) > 0 {
		return v.points[0]
	}
	return v.path
}

// volumesOf are the volumes with a piece on disk number n. Partitions that
// Windows makes no volume of (ESP, MSR, recovery) are not mounted either.
func volumesOf(n int) ([]volume, error) {
	var out []volume
	paths, err := volumePaths()
	for _, path := range paths {
		// What has no extents, as a CD drive, lies on no disk.
		extents, _ := extentsOf(path)
		for _, e := range extents {
			if e.disk == n {
				out = append(out, volume{path, mountPoints(path), e.off})
			}
		}
	}
	return out, err
}

// volumePaths are the names of all volumes, without the last backslash.
func volumePaths() ([]string, error) {
	var buf [windows.MAX_PATH]uint16
	find, err := windows.FindFirstVolume(&buf[0], uint32(len(buf)))
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	defer windows.FindVolumeClose(find)
	var out []string
	for {
		out = append(out, strings.TrimSuffix(windows.UTF16ToString(buf[:]), `\`))
		err := windows.FindNextVolume(find, &buf[0], uint32(len(buf)))
		if errors.Is(err, windows.ERROR_NO_MORE_FILES) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list volumes: %w", err)
		}
	}
}

// extentsOf are the pieces of a volume on disks.
func extentsOf(path string) ([]winExtent, error) {
	d, err := openDrive(path, 0)
	if err != nil {
		return nil, fmt.Errorf("open volume %s: %w", path, err)
	}
	defer d.Close()
	b, err := d.control(ioctlVolumeGetDiskExtents, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the disks of volume %s: %w", path, err)
	}
	return decodeExtents(b)
}

// mountPoints are the letters and folders a volume is reached by.
func mountPoints(path string) []string {
	name, err := windows.UTF16PtrFromString(path + `\`)
	if err != nil {
		return nil
	}
	buf := make([]uint16, 32<<10)
	var n uint32
	if windows.GetVolumePathNamesForVolumeName(name, &buf[0], uint32(len(buf)), &n) != nil {
		return nil
	}
	var out []string
	for rest := buf[:min(int(n), len(buf))]; len(rest) > 0 && rest[0] != 0; {
		end := max(0, slices.Index(rest, 0))
		out = append(out, windows.UTF16ToString(rest[:end]))
		rest = rest[end+1:]
	}
	return out
}

// Users gives the volumes upon the disk by their mount points. A regular file
// has none.
func (f *File) Users() ([]Use, error) {
	if !f.os.device {
		return nil, nil
	}
	volumes, err := volumesOf(f.Info.Number)
	if err != nil {
		return nil, fmt.Errorf("find users of %s: %w", f.Info.Path, err)
	}
	partitions := f.partitions()
	var uses []Use
	for _, v := range volumes {
		device := f.Info.Path
		i := slices.IndexFunc(partitions, func(p winPartition) bool { return p.off <= v.off && v.off < p.off+p.len })
		if i >= 0 {
			device = fmt.Sprintf("%s partition %d", device, partitions[i].number)
		}
		uses = append(uses, Use{Device: device, Kind: UseMount, Where: v.name(), Writable: !f.Info.ReadOnly, Off: v.off})
	}
	return uses, nil
}

// partitions are what Windows has made of the table, nothing when it does not
// tell: they only give the uses a better name.
func (f *File) partitions() []winPartition {
	b, err := f.os.drive.control(ioctlDiskGetDriveLayoutEx, nil)
	if err != nil {
		return nil
	}
	ps, _ := decodeDriveLayout(b)
	return ps
}

// HoldsPath says whether the file or folder path lies on a volume of the disk
// f; for a path that does not exist yet, whether the nearest folder above it
// does. A regular file f holds itself only.
func HoldsPath(f *File, path string) (bool, error) {
	held, err := f.holds(path)
	if err != nil {
		return false, fmt.Errorf("find whether %s holds %s: %w", f.Info.Path, path, err)
	}
	return held, nil
}

func (f *File) holds(path string) (bool, error) {
	if !f.os.device {
		mine, err := f.os.file.Stat()
		if err != nil {
			return false, err
		}
		other, err := os.Stat(path)
		return err == nil && os.SameFile(mine, other), nil
	}
	if isDevice(path) {
		return strings.EqualFold(path, f.Info.Path), nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return false, err
	}
	var point, vol [windows.MAX_PATH]uint16
	if err := windows.GetVolumePathName(name, &point[0], uint32(len(point))); err != nil {
		return false, err
	}
	if windows.GetVolumeNameForVolumeMountPoint(&point[0], &vol[0], uint32(len(vol))) != nil {
		return false, nil // a network drive has no volume
	}
	extents, err := extentsOf(strings.TrimSuffix(windows.UTF16ToString(vol[:]), `\`))
	return slices.ContainsFunc(extents, func(e winExtent) bool { return e.disk == f.Info.Number }), err
}

// DropCache does nothing: Windows keeps nothing of a raw disk, and knows no
// request to forget what it caches of a file.
func (f *File) DropCache() error { return nil }
