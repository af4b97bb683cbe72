package main

import (
	"errors"
	"fmt"
	"io/fs"

	"ingot/internal/backup"
	"ingot/internal/dest"
	"ingot/internal/dest/folder"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/restore"
	"ingot/internal/runner"
	"ingot/internal/trust"
	"ingot/internal/vdisk/partclone"
	"ingot/internal/vdisk/qcow2"
	"ingot/internal/vdisk/vhd"
	"ingot/internal/vdisk/vhdx"
	"ingot/internal/vdisk/vmdk"
)

// Exit codes, as the help of the program lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDamaged     = 3
	exitRefused     = 4
	exitPassword    = 5
	exitUnreadable  = 6
	exitPaused      = 7
	exitInterrupted = 130
)

var (
	errInterrupted = errors.New("interrupted")
	errUnreadable  = errors.New("the image is complete, but some of the source could not be read and is zeros in it")
	errPartly      = errors.New("not everything could be read")
)

// usageError is an error in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// refusal is something that was not begun: nothing has changed.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	var usage usageError
	var refused refusal
	var held *folder.HeldError
	var child *childError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &child):
		return child.Code
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.Is(err, image.ErrPaused):
		return exitPaused
	case errors.As(err, &usage), errors.Is(err, backup.ErrOptions):
		return exitUsage
	case errors.Is(err, errUnreadable), errors.Is(err, errPartly):
		return exitUnreadable
	case errors.Is(err, image.ErrLocked), errors.Is(err, image.ErrPassword):
		return exitPassword
	case errors.Is(err, image.ErrDamaged), errors.Is(err, image.ErrNotImage), errors.Is(err, image.ErrMissing), errors.Is(err, restore.ErrDiffers),
		errors.Is(err, qcow2.ErrCorrupt), errors.Is(err, vmdk.ErrCorrupt), errors.Is(err, vhd.ErrCorrupt), errors.Is(err, vhdx.ErrCorrupt),
		errors.Is(err, partclone.ErrCorrupt):
		return exitDamaged
	case errors.As(err, &refused), errors.Is(err, dest.ErrExist), errors.Is(err, disk.ErrInUse),
		errors.Is(err, trust.ErrUntrusted), errors.Is(err, fs.ErrExist), errors.As(err, &held), errors.Is(err, runner.ErrNowhere), errors.Is(err, runner.ErrGone):
		return exitRefused
	case refusedByService(err):
		return exitRefused
	}
	return exitFailed
}
