package main

import (
	"errors"
	"fmt"
	"io"

	"ingot/internal/dest"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/restore"
)

// Exit codes, as the help of the program lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDamaged     = 3
	exitRefused     = 4
	exitInterrupted = 130
)

var errInterrupted = errors.New("interrupted")

// usageError is an error in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// refusal is something that was not begun: nothing has changed.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return refusal{fmt.Sprintf(format, args...)} }

func exitCode(err error) int {
	var usage usageError
	var refused refusal
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, image.ErrDamaged), errors.Is(err, image.ErrNotImage), errors.Is(err, restore.ErrDiffers):
		return exitDamaged
	case errors.As(err, &refused), errors.Is(err, dest.ErrExist), errors.Is(err, disk.ErrInUse):
		return exitRefused
	}
	return exitFailed
}

func printError(w io.Writer, err error) {
	fmt.Fprintf(w, "ingot: %v\n", err)
	if h := hint(err); h != "" {
		fmt.Fprintf(w, "What to do: %s\n", h)
	}
}
