package vhdx

import (
	"errors"
	"fmt"
	"io"

	"ingot/internal/diskchain"
)

// ErrCorrupt is wrapped by the error for a file that contradicts itself or was
// cut short; not by that for what is only unknown here, nor by that for a parent
// that is missing or another one.
var ErrCorrupt = errors.New("the VHDX file is damaged")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

func full(r io.ReaderAt, p []byte, off int64) error {
	return diskchain.Full(r, p, off, ErrCorrupt)
}
