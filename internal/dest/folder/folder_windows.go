package folder

import (
	"io"
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

// maxFile is how large a file may become there; 0 when nobody knows of a limit.
func maxFile(path string) (int64, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	root := make([]uint16, windows.MAX_PATH+1)
	if err := windows.GetVolumePathName(p, &root[0], uint32(len(root))); err != nil {
		return 0, err
	}
	kind := make([]uint16, windows.MAX_PATH+1)
	if err := windows.GetVolumeInformation(&root[0], nil, 0, nil, nil, nil, &kind[0], uint32(len(kind))); err != nil {
		return 0, err
	}
	if name := windows.UTF16ToString(kind); name == "FAT32" || name == "FAT" {
		return fatFile, nil
	}
	return 0, nil
}

// syncFolder does nothing: Windows gives no way to sync a folder, and NTFS
// journals the names.
func syncFolder(string) error { return nil }

// hold does nothing: Windows deletes no file that is open.
func hold(*os.File) {}

// abandoned says whether nobody has a file open.
func abandoned(path string) bool {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return false
	}
	h, err := windows.CreateFile(p, windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return false
	}
	_ = windows.CloseHandle(h)
	return true
}

// forget does nothing: Windows knows no such hint.
func forget(*os.File) {}

// output writes a growing file by way of the cache manager of Windows, which
// writes behind by itself.
type output struct{ *os.File }

func newOutput(f *os.File) *output { return &output{f} }

// outputFrom begins behind the first size bytes of a file.
func outputFrom(f *os.File, size int64) (*output, error) {
	_, err := f.Seek(size, io.SeekStart)
	return &output{f}, err
}

func (*output) flush() error { return nil }

// copyFrom appends bytes of another file.
func (o *output) copyFrom(_ *os.File, r io.ReaderAt, off, n int64) error {
	_, err := io.Copy(o.File, io.NewSectionReader(r, off, n))
	return err
}

func (*output) finish() error { return nil }

func (*output) close() error { return nil }
