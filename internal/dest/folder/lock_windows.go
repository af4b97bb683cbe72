package folder

import (
	"os"

	"golang.org/x/sys/windows"
)

const noFollow = 0

var errLocked error = windows.ERROR_LOCK_VIOLATION

// lockFile has Windows hold a byte far behind the end of f, so that others can
// read who holds it.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 20})
}
