package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"ingot/internal/block"
)

// What is done about bytes of the source that cannot be read, after every try.
const (
	// OnReadErrorZero stores zeros in their place, and lists them.
	OnReadErrorZero = "zero"
	// OnReadErrorStop ends the run.
	OnReadErrorStop = "stop"
)

// BadRange is a range of a partition that could not be read.
type BadRange struct {
	Partition int    `json:"partition"`
	Off       int64  `json:"offset_bytes"`
	Len       int64  `json:"length_bytes"`
	Error     string `json:"error"`
}

const (
	// retries is how often a sector that cannot be read is tried again.
	retries = 2
	// maxBadRanges is how many ranges are listed.
	maxBadRanges = 10_000
	// badLeast and badShare bound what may be unreadable before a disk is taken to
	// have failed as a whole: an image of zeros helps nobody.
	badLeast = 64 << 20
	badShare = 20 // one of so many bytes
)

// ErrFailing is wrapped by the error for a source of which too much cannot be
// read.
var ErrFailing = errors.New("too much of the source cannot be read: it is failing")

func checkOnReadError(s string) error {
	switch s {
	case "", OnReadErrorZero, OnReadErrorStop:
		return nil
	}
	return fmt.Errorf("%w: on a read error %q: choose zero or stop", ErrOptions, s)
}

// salvager reads what can be read of a range.
type salvager struct {
	ctx    context.Context // of the run: trying a bad disk takes its time
	r      block.Reader
	sector int64 // bytes
	stop   bool  // at the first sector that cannot be read
	bad    []BadRange
}

// read fills p from byte at on. What fails is read again in ever smaller pieces,
// down to a sector; a sector that fails every time becomes zeros.
func (s *salvager) read(p []byte, at int64) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	n, err := s.r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if !salvageable(err) {
		return err
	}
	if int64(len(p)) > s.sector {
		half := int64(len(p)) / 2
		half = max(half-(at+half)%s.sector, s.sector-at%s.sector)
		if err := s.read(p[:half], at); err != nil {
			return err
		}
		return s.read(p[half:], at+half)
	}
	for range retries {
		if n, again := s.r.ReadAt(p, at); n == len(p) {
			return nil
		} else if again != nil {
			err = again
		}
	}
	if s.stop {
		return err
	}
	clear(p)
	if k := len(s.bad); k > 0 && s.bad[k-1].Off+s.bad[k-1].Len == at {
		s.bad[k-1].Len += int64(len(p))
		return nil
	}
	s.bad = append(s.bad, BadRange{Off: at, Len: int64(len(p)), Error: err.Error()})
	return nil
}

// salvageable says whether a read error is of the place that was read, and not of
// the source as a whole.
func salvageable(err error) bool {
	for _, whole := range []error{
		context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF,
		syscall.ENODEV, syscall.ENXIO, syscall.EBADF, syscall.EACCES, syscall.EPERM, syscall.EINVAL,
	} {
		if errors.Is(err, whole) {
			return false
		}
	}
	return err != nil
}

// lost notes ranges that became zeros, in the order of the partition. It ends the
// run when they are too many.
func (r *run) lost(part *Part, bad []BadRange) error {
	for _, b := range bad {
		b.Partition = part.Number
		r.badBytes += b.Len
		if k := len(r.bad); k > 0 && r.bad[k-1].Partition == b.Partition && r.bad[k-1].Off+r.bad[k-1].Len == b.Off {
			r.bad[k-1].Len += b.Len
			continue
		}
		if len(r.bad) < maxBadRanges {
			r.bad = append(r.bad, b)
			r.log.Warn("%s: bytes %d to %d cannot be read and are stored as zeros: %s", part.Name(), b.Off, b.Off+b.Len-1, b.Error)
		}
	}
	if r.badBytes > max(badLeast, r.Bytes/badShare) {
		return fmt.Errorf("%w (%d bytes so far)", ErrFailing, r.badBytes)
	}
	return nil
}
