package vhd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	footerSize = 512
	footerMark = "conectix"
	sectorSize = 512
	// noOffset stands where a structure has nothing to point to.
	noOffset = 1<<64 - 1
	version1 = 0x00010000
)

// Types of disks (VHD specification, "Disk Type").
const (
	typeFixed        = 2
	typeDynamic      = 3
	typeDifferencing = 4
)

// The largest geometry: a disk that has it is this large or larger
// (specification, appendix "CHS Calculation").
const (
	maxCylinders  = 65535
	maxHeads      = 16
	maxPerTrack   = 255
	maxCHSSectors = maxCylinders * maxHeads * maxPerTrack
)

// footer is the footer of a file; sizes in bytes.
type footer struct {
	header  int64 // where the header of a dynamic disk is
	made    time.Time
	creator string
	size    int64 // as it is written there
	chs     geometry
	kind    uint32
	id      [16]byte
}

type geometry struct {
	cylinders    uint16
	heads, track byte // track is sectors per track
}

func (g geometry) sectors() int64 { return int64(g.cylinders) * int64(g.heads) * int64(g.track) }

// Probe reports whether a file that begins with head and ends with tail (its
// last 512 bytes) is a VHD file. The head alone tells dynamic disks.
func Probe(head, tail []byte) bool {
	return bytes.HasPrefix(head, []byte(footerMark)) || bytes.HasPrefix(tail, []byte(footerMark))
}

// checksum is the ones' complement of the sum of all bytes, with the four at
// offset at taken for zeros.
func checksum(b []byte, at int) uint32 {
	var sum uint32
	for i, c := range b {
		if i < at || i >= at+4 {
			sum += uint32(c)
		}
	}
	return ^sum
}

// epoch is the start of the clock of the format: 2000-01-01 UTC.
func epoch() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// readFooter takes the footer at the end of the file, which had 511 bytes before
// Virtual PC 2004, or the copy at the start that all but fixed disks have. data
// is what of the file lies before the footer.
func readFooter(r io.ReaderAt, size int64) (f footer, data int64, torn bool, err error) {
	var errs []error
	for _, n := range []int64{footerSize, footerSize - 1} {
		f, err := footerAt(r, size-n, n)
		if err == nil {
			return f, size - n, false, nil
		}
		errs = append(errs, fmt.Errorf("footer at byte %d: %w", size-n, err))
	}
	f, err = footerAt(r, 0, footerSize)
	if err == nil && f.kind == typeFixed {
		err = corrupt("it is that of a fixed disk, which has none there")
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("copy of the footer at byte 0: %w", err))
		return f, 0, false, errors.Join(errs...)
	}
	return f, size, true, nil
}

func footerAt(r io.ReaderAt, off, n int64) (footer, error) {
	if off < 0 {
		return footer{}, corrupt("the file is too short")
	}
	b := make([]byte, footerSize)
	if err := full(r, b[:n], off); err != nil {
		return footer{}, err
	}
	return parseFooter(b)
}

func parseFooter(b []byte) (footer, error) {
	be := binary.BigEndian
	var f footer
	if string(b[:8]) != footerMark {
		return f, corrupt("no cookie at offset 0")
	}
	if sum := be.Uint32(b[64:]); sum != checksum(b, 64) {
		return f, corrupt("checksum at offset 64 is %#x and should be %#x", sum, checksum(b, 64))
	}
	if v := be.Uint32(b[12:]); v>>16 != version1>>16 {
		return f, fmt.Errorf("version at offset 12 is %#x, only %#x is known", v, version1)
	}
	f.made = epoch().Add(time.Duration(be.Uint32(b[24:])) * time.Second)
	f.creator = string(b[28:32])
	f.chs = geometry{be.Uint16(b[56:]), b[58], b[59]}
	f.kind = be.Uint32(b[60:])
	copy(f.id[:], b[68:84])
	size, header := be.Uint64(b[48:]), be.Uint64(b[16:])
	if size == 0 || size > maxDisk || size%sectorSize != 0 {
		return f, corrupt("current size at offset 48 is %d", size)
	}
	f.size = int64(size)
	switch f.kind {
	case typeFixed:
	case typeDynamic, typeDifferencing:
		if header > maxDisk {
			return f, corrupt("data offset at offset 16 is %d", header)
		}
		f.header = int64(header)
	default:
		return f, corrupt("disk type at offset 60 is %d", f.kind)
	}
	return f, nil
}

// maxDisk bounds all sizes and offsets.
const maxDisk = 1 << 46

// diskSize is the size of the virtual disk. Windows, and so most others, means
// the current size; a guest of Virtual PC saw what the geometry says, and QEMU
// did as it does unless told to force the size.
func (f *footer) diskSize() int64 {
	chs := f.chs.sectors()
	if slices.Contains([]string{"vpc ", "vs  ", "qemu"}, f.creator) && chs > 0 && chs < maxCHSSectors {
		return min(f.size, chs*sectorSize)
	}
	return f.size
}

// chs is the geometry of a disk of so many sectors (specification, appendix "CHS
// Calculation"). Its product is at most sectors.
func chs(sectors int64) geometry {
	sectors = min(sectors, maxCHSSectors)
	if sectors >= maxCylinders*16*63 {
		return geometry{uint16(sectors / maxPerTrack / maxHeads), maxHeads, maxPerTrack}
	}
	track := int64(17)
	cylTimesHeads := sectors / track
	heads := max((cylTimesHeads+1023)/1024, 4)
	if cylTimesHeads >= heads*1024 || heads > 16 {
		track, heads = 31, 16
		cylTimesHeads = sectors / track
	}
	if cylTimesHeads >= heads*1024 {
		track, heads = 63, 16
		cylTimesHeads = sectors / track
	}
	return geometry{uint16(cylTimesHeads / heads), byte(heads), byte(track)}
}
