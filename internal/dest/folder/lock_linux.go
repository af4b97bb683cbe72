package folder

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow has a link in the place of a lock be an error: the folder may be one
// that others write to.
const noFollow = unix.O_NOFOLLOW

var errLocked error = unix.EWOULDBLOCK

// lockFile has the kernel hold f for this process. Where the file system knows
// no locks, what stands in the file must do.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
