package xfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The log is a ring of sectors of 512 bytes. Each begins with the number of
// the lap it was written in, or, at the start of a record, with a mark and then
// that number (xfs_log_format.h, struct xlog_rec_header). An orderly unmount
// ends it with a record of one operation that says so.
const (
	recordMark      = 0xfeedbabe
	flagUnmount     = 0x20
	maxRecord       = 256 << 10 // bytes of one record
	maxRecordHeader = 8 * unit
	perHeader       = 32 << 10 // bytes of a record for which one header sector is enough
	recordUUID      = 304
	recordSizeAt    = 320
)

// ring reads the sectors of the log.
type ring struct {
	v       *Volume
	at      int64 // byte of the volume
	sectors int64
}

// read fills p, of whole sectors, from sector n on, around the end of the ring.
func (l ring) read(p []byte, n int64) error {
	for len(p) > 0 {
		n = (n%l.sectors + l.sectors) % l.sectors
		piece := p[:min(int64(len(p)), (l.sectors-n)*unit)]
		if got, err := l.v.r.ReadAt(piece, l.at+n*unit); got < len(piece) {
			return fmt.Errorf("read the log at byte %d: %w", l.at+n*unit, err)
		}
		p, n = p[len(piece):], n+int64(len(piece)/unit)
	}
	return nil
}

// lap is the number of the lap in which sector n was written.
func (l ring) lap(n int64) (uint32, error) {
	var b [unit]byte
	if err := l.read(b[:], n); err != nil {
		return 0, err
	}
	return lapOf(b[:]), nil
}

func lapOf(sector []byte) uint32 {
	if first := binary.BigEndian.Uint32(sector); first != recordMark {
		return first
	}
	return binary.BigEndian.Uint32(sector[4:])
}

// head finds the sector behind the newest one: where the number of the lap
// falls. After an unmount there is one such place; after a crash there can be
// more, and the record before any of them is none of an unmount, or one that
// recovery too would take for the end.
func (l ring) head() (int64, error) {
	first, err := l.lap(0)
	if err != nil {
		return 0, err
	}
	lo, hi := int64(0), l.sectors // lo is of the first lap; hi is not, or does not exist
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		n, err := l.lap(mid)
		if err != nil {
			return 0, err
		}
		if n == first {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi % l.sectors, nil
}

// logClean reports whether the log ends with the record of an unmount. Any
// doubt is a no.
func (v *Volume) logClean() (bool, error) {
	l := ring{v, v.super.LogStart * v.super.BlockSize, v.super.LogBlocks * v.super.BlockSize / unit}
	head, err := l.head()
	if err != nil {
		return false, err
	}
	tail := make([]byte, min(maxRecord+maxRecordHeader, l.sectors*unit))
	from := head - int64(len(tail)/unit)
	if err := l.read(tail, from); err != nil {
		return false, err
	}
	for at := len(tail) - unit; at >= 0; at -= unit {
		if binary.BigEndian.Uint32(tail[at:]) == recordMark {
			place := (from + int64(at/unit) + l.sectors) % l.sectors
			return unmounted(tail[at:], uint32(place), v.super.UUID), nil
		}
	}
	return false, nil
}

// unmounted reports whether b, which are the sectors of the log from the last
// record's start to the head, is the record of an unmount. place is its sector.
func unmounted(b []byte, place uint32, uuid [16]byte) bool {
	be := binary.BigEndian
	lap, size := be.Uint32(b[4:]), int64(be.Uint32(b[12:]))
	headers := int64(unit)
	if most := int64(be.Uint32(b[recordSizeAt:])); be.Uint32(b[8:])&2 != 0 && most > perHeader {
		headers = min((most+perHeader-1)/perHeader*unit, maxRecordHeader)
	}
	body := (size + unit - 1) / unit * unit
	if size == 0 || headers+body != int64(len(b)) {
		return false
	}
	op := b[headers:] // operation: id, length, client, flags (struct xlog_op_header)
	return be.Uint32(b[40:]) == 1 && op[9]&flagUnmount != 0 &&
		be.Uint32(b[16:]) == lap && be.Uint32(b[20:]) == place &&
		bytes.Equal(b[recordUUID:recordUUID+16], uuid[:])
}
