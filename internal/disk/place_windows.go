package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/windows"
)

// Under says where the folder or file path lies.
func Under(path string) (*Place, error) {
	p, err := under(path)
	if err != nil {
		return nil, fmt.Errorf("find out where %s lies: %w", path, err)
	}
	return p, nil
}

func under(path string) (*Place, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	var point, vol, kind [windows.MAX_PATH + 1]uint16
	if err := windows.GetVolumePathName(name, &point[0], uint32(len(point))); err != nil {
		return nil, err
	}
	p := &Place{Mount: windows.UTF16ToString(point[:])}
	var serial uint32
	if windows.GetVolumeInformation(&point[0], nil, 0, &serial, nil, nil, &kind[0], uint32(len(kind))) == nil {
		p.FSType, p.Serial = windows.UTF16ToString(kind[:]), fmt.Sprintf("%08X", serial)
	}
	if windows.GetVolumeNameForVolumeMountPoint(&point[0], &vol[0], uint32(len(vol))) != nil {
		return p, nil // a network drive has no volume
	}
	p.Device = strings.TrimSuffix(windows.UTF16ToString(vol[:]), `\`)
	if open, end := strings.IndexByte(p.Device, '{'), strings.IndexByte(p.Device, '}'); open >= 0 && end > open {
		p.Volume = strings.ToUpper(p.Device[open+1 : end])
	}
	return p, p.addDisks()
}

// addDisks adds the disks that the volume has extents on, with the volumes of
// these.
func (p *Place) addDisks() error {
	extents, err := extentsOf(p.Device)
	if err != nil {
		return err
	}
	system := strings.ToUpper(filepath.VolumeName(os.Getenv("SystemRoot"))) + `\`
	for _, e := range extents {
		if slices.ContainsFunc(p.Disks, func(i Info) bool { return i.Number == e.disk }) {
			continue
		}
		info, err := Stat(fmt.Sprintf(`\\.\PhysicalDrive%d`, e.disk))
		if err != nil {
			return err
		}
		p.Disks = append(p.Disks, info)
		volumes, err := volumesOf(e.disk)
		if err != nil {
			return err
		}
		for _, v := range volumes {
			p.Mounts = append(p.Mounts, v.points...)
		}
	}
	p.Stacked = len(p.Disks) > 1
	p.System = slices.ContainsFunc(p.Mounts, func(m string) bool { return strings.EqualFold(m, system) })
	return nil
}
