package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
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

// flusher has the kernel begin to write a growing file out while it still
// grows, so that the sync at the end finds little to do and memory does not
// fill with pages that wait.
type flusher struct {
	f          *os.File
	end, begun int64
}

// flushStep is how much is begun at a time.
const flushStep = 32 << 20

func newFlusher(f *os.File) *flusher { return &flusher{f: f} }

func (fl *flusher) wrote(n int) {
	fl.end += int64(n)
	if fl.end-fl.begun < flushStep {
		return
	}
	// A hint: where it is not supported the sync at the end does the work.
	_ = unix.SyncFileRange(int(fl.f.Fd()), fl.begun, fl.end-fl.begun, unix.SYNC_FILE_RANGE_WRITE)
	fl.begun = fl.end
}
