package main

import (
	"errors"
	"io/fs"
	"syscall"

	"ingot/internal/backup"
	"ingot/internal/dest"
	"ingot/internal/dest/folder"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/restore"
	"ingot/internal/runner"
	"ingot/internal/trust"
	"ingot/internal/vdisk"
	"ingot/internal/vdisk/partclone"
	"ingot/internal/vdisk/qcow2"
	"ingot/internal/vdisk/vmdk"
)

// hint is what a person can do about an error; "" when the error says it all.
func hint(err error) string {
	var held *folder.HeldError
	var reported reportedError
	var child *childError
	switch {
	case errors.As(err, &child):
		return child.Hint
	case errors.As(err, &reported) && errors.Is(err, image.ErrPaused):
		return "run it again: what was written stays, and the next run goes on with it."
	case errors.Is(err, image.ErrPaused) && errors.Is(err, syscall.ENOSPC):
		return "make room at the destination, then run the same command with --resume."
	case errors.Is(err, image.ErrPaused):
		return "run the same command with --resume; without it the next image of these partitions deletes what was left."
	case errors.Is(err, errInterrupted):
		return "run it again; no unfinished image file was left."
	case errors.Is(err, dest.ErrExist):
		return "choose another --name or folder, or move the existing file away."
	case errors.Is(err, disk.ErrInUse):
		return "unmount what is mounted from it (umount, swapoff), or start from rescue media."
	case errors.As(err, &held):
		return "wait for it to end (--wait), or end it. A lock whose process is gone is taken over by itself; that of another machine after ten minutes."
	case errors.Is(err, runner.ErrNowhere):
		return "plug in, mount or switch on one of the destinations, or change them in the definition."
	case errors.Is(err, runner.ErrGone):
		return "'ingot disks' shows what is there: plug in the disk, or edit the definition (with gone=\"warn\" the rest is imaged)."
	case errors.Is(err, errUnreadable):
		return "the disk is failing: the ranges are listed above. Keep this image, take another one soon, and replace the disk."
	case errors.Is(err, errPartly):
		return "the warnings above say what and why; 'ingot verify' finds damage of the image itself."
	case errors.Is(err, backup.ErrFailing):
		return "the disk, its cable or its power has failed: check these first; a smaller part of it may still be imaged with --partitions."
	case errors.Is(err, image.ErrLocked):
		return "give the password with --password-file or --password-command, or at a terminal; without it there is no way to the contents. For a new set beside it say --type full."
	case errors.Is(err, image.ErrPassword):
		return "check the password: capitals, keyboard layout, a blank at its end. It cannot be recovered."
	case errors.Is(err, image.ErrForged):
		return "do not trust this file: somebody without the password has changed or exchanged it. Use another copy."
	case errors.Is(err, image.ErrNotImage):
		return "check the path; if this was an image, it was cut short and another copy is needed."
	case errors.Is(err, image.ErrDamaged):
		return "run 'ingot verify' for the list of all damage; use another copy of the image, and check the disk it lies on."
	case errors.Is(err, image.ErrMissing):
		return "bring the file it names back into the folder; 'ingot sets FOLDER' lists the points in time that are whole."
	case errors.Is(err, image.ErrUnsupported):
		return "restore it with the program that made it."
	case errors.Is(err, vdisk.ErrOutside):
		return "if you trust the virtual disk and the file it names, allow its folder with --backing-folder."
	case errors.Is(err, qcow2.ErrCorrupt), errors.Is(err, vmdk.ErrCorrupt), errors.Is(err, partclone.ErrCorrupt):
		return "the virtual disk is damaged or cut short: use another copy of it."
	case errors.Is(err, restore.ErrDiffers):
		return "the target disk is failing, or something else wrote to it: use another one."
	case errors.Is(err, syscall.ENOSPC):
		return "make room at the destination or choose another one."
	case errors.Is(err, trust.ErrUntrusted):
		return "definitions run with the rights of the administrator: look what the file says before you trust it, then run the command above."
	case errors.Is(err, fs.ErrPermission):
		return "access was denied: disks need the administrator (sudo, or an elevated prompt on Windows), folders and files their owner."
	}
	return serviceHint(err)
}
