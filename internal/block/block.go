package block

import (
	"fmt"
	"io"
)

// Reader holds the bytes of a disk, a partition, a snapshot or a point in
// time. ReadAt follows io.ReaderAt: it may be called from several goroutines
// at once and returns an error whenever it fills less than p.
type Reader interface {
	io.ReaderAt
	// Size is the number of bytes that can be read, fixed for the life of
	// the Reader.
	Size() int64
}

// Device is a Reader that can also be written. Sync returns when everything
// written before is on stable storage.
type Device interface {
	Reader
	io.WriterAt
	Sync() error
}

// Section returns the n bytes of r that begin at off as a Reader of their own,
// as a partition is seen on its disk. It fails when the range does not lie
// inside r.
func Section(r Reader, off, n int64) (Reader, error) {
	if off < 0 || n < 0 || off > r.Size()-n {
		return nil, fmt.Errorf("section [%d,+%d) lies outside of the %d bytes there are", off, n, r.Size())
	}
	return section{io.NewSectionReader(r, off, n)}, nil
}

type section struct{ *io.SectionReader }

func (s section) Size() int64 { return s.SectionReader.Size() }
