package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"ingot/internal/disk"
)

func thisMachine() drives {
	return drives{sync: syncMount, unmount: unmount, poweroff: powerOff, pause: time.Sleep}
}

func syncMount(mount string) error {
	d, err := os.Open(mount)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}

// unmount tries the call first and, for file systems that want their helper (FUSE),
// the command.
func unmount(mount string) error {
	err := unix.Unmount(mount, unix.UMOUNT_NOFOLLOW)
	if err == nil {
		return nil
	}
	if out, cerr := exec.Command("umount", "--", mount).CombinedOutput(); cerr != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// powerOff has a drive let go of: udisks does all that its bus knows; without it
// the kernel forgets the device, which stops a USB drive that listens. A loop
// device is unbound from its file.
func powerOff(ctx context.Context, d disk.Info) error {
	if d.Bus == "loop" {
		return unbind(d.Path)
	}
	var first error
	if program, err := exec.LookPath("udisksctl"); err == nil {
		out, err := exec.CommandContext(ctx, program, "power-off", "--no-user-interaction", "-b", d.Path).CombinedOutput()
		if err == nil {
			return nil
		}
		first = fmt.Errorf("udisksctl power-off: %w: %s", err, bytes.TrimSpace(out))
	}
	// Documentation/ABI/testing/sysfs-bus-scsi: writing 1 removes the device.
	path := filepath.Join("/sys/block", filepath.Base(d.Path), "device", "delete")
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		return errors.Join(first, err)
	}
	return nil
}

// unbind takes the file from a loop device. One that was bound for the mount
// alone has lost it already.
func unbind(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("unbind %s: %w", path, err)
	}
	return nil
}
