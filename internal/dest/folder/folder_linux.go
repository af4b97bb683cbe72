package folder

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// maxFile is how large a file may become there; 0 when nobody knows of a limit.
func maxFile(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	if st.Type == unix.MSDOS_SUPER_MAGIC {
		return fatFile, nil
	}
	return 0, nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// hold marks a file as being written, for as long as this process lives.
func hold(f *os.File) { _ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// abandoned says whether nobody holds a file.
func abandoned(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// forget has the kernel drop what it caches of a file; a hint.
func forget(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

// output writes a growing file. Where the file system says how, it writes past
// the page cache: an image is not read again soon, so caching it would cost a
// copy and throw out what the machine needs. Else it has the kernel begin to
// write out while the file still grows, so that the sync at the end finds
// little to do.
type output struct {
	f      *os.File
	direct *os.File // the same with O_DIRECT; nil: by way of the cache
	buf    []byte   // aligned; what is not written yet
	end    int64    // of what was written
	begun  int64    // of what was sent on its way
}

const (
	// outputBuffer is how much is written at once past the cache.
	outputBuffer = 4 << 20
	// flushStep is how much is begun at a time by way of it.
	flushStep = 32 << 20
	pageSize  = 4096
)

// newOutput begins at the start of a file.
func newOutput(f *os.File) *output {
	o, _ := outputFrom(f, 0) // which reads nothing
	return o
}

// outputFrom begins behind the first size bytes of a file.
func outputFrom(f *os.File, size int64) (*output, error) {
	o := openOutput(f)
	o.end, o.begun = size, size
	if o.direct == nil {
		return o, nil
	}
	o.end -= size % pageSize
	o.buf = o.buf[:size%pageSize]
	if _, err := f.ReadAt(o.buf, o.end); err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

func openOutput(f *os.File) *output {
	o := &output{f: f}
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	if err != nil || st.Mask&unix.STATX_DIOALIGN == 0 || st.Dio_offset_align == 0 || max(st.Dio_offset_align, st.Dio_mem_align) > pageSize {
		return o
	}
	if o.direct, err = os.OpenFile(f.Name(), os.O_WRONLY|unix.O_DIRECT, 0); err != nil {
		o.direct = nil
		return o
	}
	b := make([]byte, outputBuffer+pageSize)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % pageSize
	o.buf = b[skip:][:0:outputBuffer]
	return o
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if o.direct == nil {
		return o.throughCache(p)
	}
	done := 0
	for done < len(p) {
		k := copy(o.buf[len(o.buf):cap(o.buf)], p[done:])
		o.buf = o.buf[:len(o.buf)+k]
		if len(o.buf) == cap(o.buf) {
			if _, err := o.direct.WriteAt(o.buf, o.end); err != nil {
				return done, err
			}
			o.end += int64(len(o.buf))
			o.buf = o.buf[:0]
		}
		done += k
	}
	return done, nil
}

func (o *output) throughCache(p []byte) (int, error) {
	n, err := o.f.WriteAt(p, o.end)
	o.wrote(int64(n))
	return n, err
}

// wrote counts n bytes at the end, and has the kernel begin to write out.
func (o *output) wrote(n int64) {
	o.end += n
	if o.end-o.begun >= flushStep {
		// A hint: where it is not supported the sync at the end does the work.
		_ = unix.SyncFileRange(int(o.f.Fd()), o.begun, o.end-o.begun, unix.SYNC_FILE_RANGE_WRITE)
		o.begun = o.end
	}
}

// flush hands the odd rest to the system, by way of the cache; it is written once
// more when its page is complete.
func (o *output) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	_, err := o.f.WriteAt(o.buf, o.end)
	return err
}

// finish writes what is left; its odd length has to go through the cache.
func (o *output) finish() error {
	if o.direct == nil {
		return nil
	}
	_, err := o.throughCache(o.buf)
	return errors.Join(err, o.close())
}

// copyFrom appends bytes of another file: in the kernel where src, which may be
// nil, and the file system allow it, which costs no bytes at all where extents
// can be shared.
func (o *output) copyFrom(src *os.File, r io.ReaderAt, off, n int64) error {
	// What comes next has any length: it goes by way of the cache.
	if err := o.finish(); err != nil {
		return err
	}
	for n > 0 && src != nil {
		from, to := off, o.end
		k, err := unix.CopyFileRange(int(src.Fd()), &from, int(o.f.Fd()), &to, int(min(n, flushStep)), 0)
		if err != nil || k <= 0 {
			break // not between these two: the loop below has the last word
		}
		off, n = off+int64(k), n-int64(k)
		o.wrote(int64(k))
	}
	_, err := io.Copy(onlyWriter{o}, io.NewSectionReader(r, off, n))
	return err
}

// onlyWriter hides all but Write.
type onlyWriter struct{ io.Writer }

func (o *output) close() error {
	if o.direct == nil {
		return nil
	}
	d := o.direct
	o.direct, o.buf = nil, nil
	return d.Close()
}
