package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openRaw gives the way f is read and written, past the page cache where that
// is possible: a disk is read once, so caching it costs a copy and throws out
// what the machine needs.
//
// For a device there is a stronger reason. The page cache of a whole disk is
// not that of its partitions: what was read of the disk once stays in it as long
// as any partition is open, whatever is written to the partitions since. So all
// requests to a device go past it, the odd ones by way of a buffer.
func openRaw(f *os.File, flag int) (rawFile, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	device := !fi.Mode().IsRegular()
	if device {
		// What programs have written to partitions is to be on the disk.
		unix.Sync()
	}
	var st unix.Statx_t
	err = unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	known := err == nil && st.Mask&unix.STATX_DIOALIGN != 0 && st.Dio_offset_align > 0 && st.Dio_mem_align <= memAlign
	unit := int64(st.Dio_offset_align)
	if !known && device { // a kernel before 6.1
		_, unit, err = askSizes(f)
		if err != nil {
			return nil, err
		}
	} else if !known {
		return plain{f}, nil // a network file system, which reads ahead better than we do
	}
	// By way of /proc, so that it is surely the same file.
	d, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), flag&(os.O_RDONLY|os.O_RDWR)|unix.O_DIRECT, 0)
	switch {
	case err == nil && device:
		return &direct{aligned{rawFile: plain{d}, unit: unit}, f}, nil
	case err == nil:
		return &cached{plain{f}, d, unit}, nil
	case device:
		return plain{f}, dropCache(f)
	}
	return plain{f}, nil
}

func dropCache(f *os.File) error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// plain is a file whose errors do not name it, as their callers do.
type plain struct{ f *os.File }

func (p plain) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.f.ReadAt(b, off)
	return n, bare(err)
}

func (p plain) WriteAt(b []byte, off int64) (int, error) {
	n, err := p.f.WriteAt(b, off)
	return n, bare(err)
}

func (p plain) Sync() error  { return bare(p.f.Sync()) }
func (p plain) Close() error { return bare(p.f.Close()) }

// direct is a device opened with O_DIRECT, and without, for what is not reading
// or writing.
type direct struct {
	aligned
	f *os.File
}

func (d *direct) Close() error { return errors.Join(d.aligned.Close(), d.f.Close()) }

// cached is a regular file whose large requests go past the page cache, but for
// what lies in there already; the kernel keeps both ways coherent.
type cached struct {
	plain
	direct *os.File // the same, opened with O_DIRECT
	align  int64    // of offsets and lengths, bytes
}

// directMin is the least length of a request that goes past the cache: small
// ones gain nothing, and metadata is read again and again.
const directMin = 128 << 10

// fits says that a request may go past the cache.
func (c *cached) fits(p []byte, off int64) bool {
	return len(p) >= directMin && off%c.align == 0 && int64(len(p))%c.align == 0 &&
		uintptr(unsafe.Pointer(unsafe.SliceData(p)))%memAlign == 0
}

// ReadAt implements io.ReaderAt. What cannot be read past the cache is tried
// by way of it before it is an error.
func (c *cached) ReadAt(p []byte, off int64) (int, error) {
	if c.fits(p, off) {
		if c.inCache(off, len(p)) {
			if n, err := unix.Preadv2(int(c.f.Fd()), [][]byte{p}, off, unix.RWF_NOWAIT); n == len(p) && err == nil {
				return n, nil
			}
		}
		if n, err := c.direct.ReadAt(p, off); err == nil {
			return n, nil
		}
	}
	return c.plain.ReadAt(p, off)
}

// inCache says whether all of a range may lie in the page cache. It is asked
// since a read that must not wait has the kernel read ahead all the same, which
// would bring the range in a second time. A kernel before 6.5 cannot tell.
func (c *cached) inCache(off int64, n int) bool {
	var st unix.Cachestat_t
	err := unix.Cachestat(uint(c.f.Fd()), &unix.CachestatRange{Off: uint64(off), Len: uint64(n)}, &st, 0)
	return err != nil || st.Cache*uint64(os.Getpagesize()) >= uint64(n)
}

// WriteAt implements io.WriterAt.
func (c *cached) WriteAt(p []byte, off int64) (int, error) {
	if c.fits(p, off) {
		if n, err := c.direct.WriteAt(p, off); !errors.Is(err, unix.EINVAL) {
			return n, bare(err)
		}
	}
	return c.plain.WriteAt(p, off)
}

// Close closes both.
func (c *cached) Close() error { return errors.Join(bare(c.direct.Close()), c.plain.Close()) }

// DropCache has the system forget what it keeps of the disk and its partitions
// in memory, so that what is read next comes from the medium, also by others.
// Call Sync before.
func (f *File) DropCache() error {
	err := dropCache(f.os.f)
	for _, node := range f.partitionNodes() {
		err = errors.Join(err, flushNode(node))
	}
	if err != nil {
		return fmt.Errorf("drop the cache of %s: %w", f.Info.Path, err)
	}
	return nil
}

// partitionNodes are the device files of the disk's partitions.
func (f *File) partitionNodes() []string {
	fi, err := f.os.f.Stat()
	if err != nil || fi.Mode().IsRegular() {
		return nil
	}
	h := thisHost()
	numbers, _ := filepath.Glob(filepath.Join(h.dir(devNumber(fi.Sys().(*syscall.Stat_t).Rdev)), "*", "partition"))
	var out []string
	for _, n := range numbers {
		out = append(out, h.node(filepath.Base(filepath.Dir(n))))
	}
	return out
}

// flushNode drops what is cached of a partition.
func flushNode(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKFLSBUF, 0)
	if e != 0 {
		return errors.Join(e, f.Close())
	}
	return f.Close()
}
