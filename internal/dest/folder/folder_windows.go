package folder

import (
	"os"

	"golang.org/x/sys/windows"
)

func freeBytes(path string) (int64, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var n uint64
	if err := windows.GetDiskFreeSpaceEx(p, &n, nil, nil); err != nil {
		return 0, err
	}
	return int64(n), nil
}

// syncFolder does nothing: Windows gives no way to sync a folder, and NTFS
// journals the names.
func syncFolder(string) error { return nil }

// flusher does nothing on Windows, whose cache manager writes behind by itself.
type flusher struct{}

func newFlusher(*os.File) *flusher { return &flusher{} }

func (*flusher) wrote(int) {}
