package raw

import (
	"errors"
	"fmt"
	"iter"
	"os"

	"golang.org/x/sys/unix"

	"ingot/internal/block"
)

// Allocated is the map of what the file system keeps of the first size bytes of
// f, as lseek(2) with SEEK_DATA and SEEK_HOLE tells it; a file system that knows
// no holes keeps all. The position of f changes.
func Allocated(f *os.File, size int64) block.Map { return allocated{f, size} }

type allocated struct {
	f    *os.File
	size int64
}

// Extents implements block.Map.
func (m allocated) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for off := int64(0); off < m.size; {
			e, err := m.after(off)
			if err != nil {
				yield(block.Extent{}, fmt.Errorf("ask %s for its holes: %w", m.f.Name(), err))
				return
			}
			if e.Len == 0 || !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}

// after is the next extent at or behind off, empty when there is none.
func (m allocated) after(off int64) (block.Extent, error) {
	fd := int(m.f.Fd())
	from, err := unix.Seek(fd, off, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) || err == nil && from >= m.size {
		return block.Extent{}, nil
	}
	if errors.Is(err, unix.EINVAL) {
		return block.Extent{Off: off, Len: m.size - off}, nil
	}
	if err != nil {
		return block.Extent{}, err
	}
	to, err := unix.Seek(fd, from, unix.SEEK_HOLE)
	if err != nil {
		return block.Extent{}, err
	}
	to = min(to, m.size)
	if to <= from {
		return block.Extent{}, fmt.Errorf("data at byte %d end at byte %d", from, to)
	}
	return block.Extent{Off: from, Len: to - from}, nil
}
