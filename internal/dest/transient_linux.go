package dest

import (
	"errors"
	"slices"
	"syscall"
)

// transient says that an error of a write may pass: somebody makes room, or the
// place comes back.
func transient(err error) bool {
	return slices.ContainsFunc([]error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.ESTALE, syscall.EAGAIN, syscall.ETIMEDOUT, syscall.ENODEV, syscall.ENXIO,
		syscall.ENOTCONN, syscall.ECONNRESET, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.ENETUNREACH,
	}, func(e error) bool { return errors.Is(err, e) })
}
