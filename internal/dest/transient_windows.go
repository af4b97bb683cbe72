package dest

import (
	"errors"
	"slices"

	"golang.org/x/sys/windows"
)

// transient says that an error of a write may pass: somebody makes room, or the
// place comes back.
func transient(err error) bool {
	return slices.ContainsFunc([]error{
		windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED,
		windows.ERROR_IO_DEVICE, windows.ERROR_NOT_READY, windows.ERROR_DEV_NOT_EXIST, windows.ERROR_GEN_FAILURE,
		windows.ERROR_NETNAME_DELETED, windows.ERROR_UNEXP_NET_ERR, windows.ERROR_BAD_NETPATH, windows.ERROR_BAD_NET_NAME,
		windows.ERROR_NETWORK_BUSY, windows.ERROR_SEM_TIMEOUT, windows.ERROR_NETWORK_UNREACHABLE, windows.ERROR_CONNECTION_ABORTED,
	}, func(e error) bool { return errors.Is(err, e) })
}
