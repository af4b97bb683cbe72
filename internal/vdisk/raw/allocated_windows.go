package raw

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"ingot/internal/block"
)

// fsctlQueryAllocatedRanges is FSCTL_QUERY_ALLOCATED_RANGES of winioctl.h.
const fsctlQueryAllocatedRanges = 0x940CF

// Allocated is the map of what the file system keeps of the first size bytes of
// f, as FSCTL_QUERY_ALLOCATED_RANGES tells it; a file system that knows no holes
// keeps all.
func Allocated(f *os.File, size int64) block.Map { return allocated{f, size} }

type allocated struct {
	f    *os.File
	size int64
}

// Extents implements block.Map.
func (m allocated) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for off := int64(0); off < m.size; {
			list, more, err := m.after(off)
			if err != nil {
				yield(block.Extent{}, fmt.Errorf("ask %s for its holes: %w", m.f.Name(), err))
				return
			}
			for _, e := range list {
				lo, hi := max(e.Off, off), min(e.End(), m.size)
				if lo >= hi {
					continue
				}
				if !yield(block.Extent{Off: lo, Len: hi - lo}, nil) {
					return
				}
				off = hi
			}
			if !more || len(list) == 0 {
				return
			}
		}
	}
}

// after are the next extents from off on, and whether there may be others.
func (m allocated) after(off int64) (list []block.Extent, more bool, err error) {
	ask := [2]int64{off, m.size - off}
	var got [512][2]int64 // FILE_ALLOCATED_RANGE_BUFFER: offset, length
	var n uint32
	err = windows.DeviceIoControl(windows.Handle(m.f.Fd()), fsctlQueryAllocatedRanges, (*byte)(unsafe.Pointer(&ask)), uint32(unsafe.Sizeof(ask)),
		(*byte)(unsafe.Pointer(&got)), uint32(unsafe.Sizeof(got)), &n, nil)
	switch {
	case errors.Is(err, windows.ERROR_MORE_DATA):
		more = true
	case errors.Is(err, windows.ERROR_INVALID_FUNCTION), errors.Is(err, windows.ERROR_NOT_SUPPORTED):
		return []block.Extent{{Off: off, Len: m.size - off}}, false, nil
	case err != nil:
		return nil, false, err
	}
	for _, r := range got[:n/uint32(unsafe.Sizeof(got[0]))] {
		list = append(list, block.Extent{Off: r[0], Len: r[1]})
	}
	return list, more, nil
}
