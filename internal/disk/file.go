package disk

import (
	"errors"
	"fmt"
	"io"

	"ingot/internal/block"
)

// File is an open disk, partition or disk-image file: a block.Reader, and a
// block.Device when it comes from OpenTarget. Requests of any offset and length
// are served, also where the hardware wants whole sectors. It may be used by
// several goroutines at once.
type File struct {
	Info Info

	raw rawFile
	os  platform
}

var _ block.Device = (*File)(nil)

// rawFile is what reads and writes reach in the end.
type rawFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// Open opens the disk, partition or regular file at path for reading.
func Open(path string) (*File, error) {
	f, err := openRead(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return f, nil
}

// OpenTarget opens the disk or existing regular file at path for reading and
// writing and takes it for itself. What is mounted, swapped to or held by
// another device is refused with an error that wraps ErrInUse. On Windows the
// disk's volumes are locked and dismounted until Close.
func OpenTarget(path string) (*File, error) {
	f, err := openTarget(path)
	if err != nil {
		return nil, fmt.Errorf("open %s for writing: %w", path, err)
	}
	return f, nil
}

// Size is the size in bytes when the disk was opened.
func (f *File) Size() int64 { return f.Info.Size }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	size := f.Info.Size
	switch {
	case off < 0:
		return 0, fmt.Errorf("read %s: negative offset %d", f.Info.Path, off)
	case len(p) == 0:
		return 0, nil
	case off >= size:
		return 0, io.EOF
	case off > size-int64(len(p)):
		n, err := f.ReadAt(p[:size-off], off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	n, err := f.raw.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // it has shrunk since it was opened
	}
	return n, fmt.Errorf("read %s at byte %d: %w", f.Info.Path, off+int64(n), err)
}

// WriteAt implements io.WriterAt. A disk does not grow: bytes behind its end
// are an error, also for a file.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > f.Info.Size-int64(len(p)) {
		return 0, fmt.Errorf("write %s: bytes %d to %d lie outside of its %d bytes", f.Info.Path, off, off+int64(len(p)), f.Info.Size)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.raw.WriteAt(p, off)
	if err != nil {
		return n, fmt.Errorf("write %s at byte %d: %w", f.Info.Path, off+int64(n), err)
	}
	return n, nil
}

// Sync implements block.Device.
func (f *File) Sync() error {
	if err := f.raw.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.Info.Path, err)
	}
	return nil
}

// String says the use in words, for messages.
func (u Use) String() string {
	mode := "read-only"
	if u.Writable {
		mode = "read-write"
	}
	switch u.Kind {
	case UseMount:
		return fmt.Sprintf("%s is mounted on %s (%s)", u.Device, u.Where, mode)
	case UseSwap:
		return u.Device + " is swap"
	}
	return fmt.Sprintf("%s is part of %s (%s)", u.Device, u.Where, mode)
}
