package image

import (
	"errors"
	"fmt"
)

// What callers branch on.
var (
	// ErrNotImage: the file does not end as an image does. It is something
	// else, or an image that was cut short.
	ErrNotImage = errors.New("not an image file (no MACRIUM_FILE footer: it is something else, or was cut short)")
	// ErrDamaged: the file is an image, and something in it is not what was
	// written.
	ErrDamaged = errors.New("the image is damaged")
	// ErrMissing: a point in time needs a file that is not there.
	ErrMissing = errors.New("a file of the backup set is missing")
	// ErrUnsupported: the image is of a kind this version does not read.
	ErrUnsupported = errors.New("this version cannot read it")
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
