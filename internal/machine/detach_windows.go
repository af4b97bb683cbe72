package machine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/windows"

	"ingot/internal/disk"
)

// Device controls (winioctl.h).
const (
	fsctlLockVolume               = 0x00090018
	fsctlDismountVolume           = 0x00090020
	ioctlVolumeOffline            = 0x0056C00C
	ioctlStorageMediaRemoval      = 0x002D4804
	ioctlStorageEjectMedia        = 0x002D4808
	fileReadWrite                 = windows.GENERIC_READ | windows.GENERIC_WRITE
	fileShareAll                  = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE
	preventMediaRemoval      byte = 0
)

func thisMachine() drives {
	return drives{sync: flush, unmount: dismount, poweroff: eject, pause: time.Sleep}
}

// volumePath is `\\.\D:` for `D:\`.
func volumePath(mount string) string { return `\\.\` + strings.TrimSuffix(mount, `\`) }

func openDevice(path string) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	return windows.CreateFile(name, fileReadWrite, fileShareAll, nil, windows.OPEN_EXISTING, 0, 0)
}

func control(h windows.Handle, code uint32, in []byte) error {
	var p *byte
	if len(in) > 0 {
		p = &in[0]
	}
	var n uint32
	return windows.DeviceIoControl(h, code, p, uint32(len(in)), nil, 0, &n, nil)
}

func flush(mount string) error {
	h, err := openDevice(volumePath(mount))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.FlushFileBuffers(h)
}

// dismount takes the volume off line: a dismounted one would come back with the
// next access. It is locked first, which fails while a file of it is open.
func dismount(mount string) error {
	h, err := openDevice(volumePath(mount))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	for _, code := range []uint32{fsctlLockVolume, fsctlDismountVolume, ioctlVolumeOffline} {
		if err := control(h, code, nil); err != nil {
			return fmt.Errorf("device control %08X: %w", code, err)
		}
	}
	return nil
}

func eject(_ context.Context, d disk.Info) error {
	h, err := openDevice(d.Path)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	if err := control(h, ioctlStorageMediaRemoval, []byte{preventMediaRemoval}); err != nil {
		return fmt.Errorf("allow the removal: %w", err)
	}
	if err := control(h, ioctlStorageEjectMedia, nil); err != nil {
		return fmt.Errorf("eject: %w", err)
	}
	return nil
}
