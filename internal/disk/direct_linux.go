package disk

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cached is a file or device that is read and written past the page cache
// where that is possible: a disk is read once, so caching it costs a copy and
// throws out what the machine needs. What lies in the cache already is taken
// from there, which is faster still. The kernel keeps both ways coherent.
type cached struct {
	*os.File
	direct *os.File // the same, opened with O_DIRECT; nil when it cannot be
	align  int64    // of offsets and lengths, bytes
}

// directMin is the least length of a request that goes past the cache: small
// ones gain nothing, and metadata is read again and again.
const directMin = 128 << 10

// pastCache opens f once more with O_DIRECT when its file system, or the
// device, says how that wants its requests; network file systems, which read
// ahead better than we do, say nothing.
func pastCache(f *os.File, flag int) *cached {
	c := &cached{File: f}
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	if err != nil || st.Mask&unix.STATX_DIOALIGN == 0 || st.Dio_offset_align == 0 || st.Dio_mem_align > memAlign {
		return c
	}
	// By way of /proc, so that it is surely the same file.
	d, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), flag&(os.O_RDONLY|os.O_RDWR)|unix.O_DIRECT, 0)
	if err == nil {
		c.direct, c.align = d, int64(st.Dio_offset_align)
	}
	return c
}

// fits says that a request may go past the cache.
func (c *cached) fits(p []byte, off int64) bool {
	return c.direct != nil && len(p) >= directMin && off%c.align == 0 && int64(len(p))%c.align == 0 &&
		uintptr(unsafe.Pointer(unsafe.SliceData(p)))%memAlign == 0
}

// ReadAt implements io.ReaderAt. What cannot be read past the cache is tried
// by way of it before it is an error.
func (c *cached) ReadAt(p []byte, off int64) (int, error) {
	if c.fits(p, off) {
		if n, err := unix.Preadv2(int(c.Fd()), [][]byte{p}, off, unix.RWF_NOWAIT); n == len(p) && err == nil {
			return n, nil
		}
		if n, err := c.direct.ReadAt(p, off); err == nil {
			return n, nil
		}
	}
	return c.File.ReadAt(p, off)
}

// WriteAt implements io.WriterAt.
func (c *cached) WriteAt(p []byte, off int64) (int, error) {
	if c.fits(p, off) {
		if n, err := c.direct.WriteAt(p, off); !errors.Is(err, unix.EINVAL) {
			return n, err
		}
	}
	return c.File.WriteAt(p, off)
}

// dropCache has the kernel forget what it keeps of the file in memory.
func (c *cached) dropCache() error {
	return unix.Fadvise(int(c.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// Close closes both.
func (c *cached) Close() error {
	if c.direct == nil {
		return c.File.Close()
	}
	return errors.Join(c.direct.Close(), c.File.Close())
}
