package vhdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// Places and sizes of the header section ([MS-VHDX] 2.2), in bytes.
const (
	kib          = 1 << 10
	mib          = 1 << 20
	headerSize   = 4 * kib
	tableSize    = 64 * kib
	sectionSize  = mib // the header section, before anything else
	maxEntries   = 2047
	fileMark     = "vhdxfile"
	headerMark   = "head"
	regionMark   = "regi"
	headerAt0    = 64 * kib
	headerAt1    = 128 * kib
	regionAt0    = 192 * kib
	regionAt1    = 256 * kib
	maxFileSize  = 1 << 52 // no offset in a file may lie behind: sums of two stay far from overflow
	formatNumber = 1
)

// Probe reports whether a file that begins with head is a VHDX file.
func Probe(head []byte) bool { return bytes.HasPrefix(head, []byte(fileMark)) }

// header is the current header ([MS-VHDX] 2.2.2).
type header struct {
	sequence  uint64
	dataWrite guid // what children of this disk know it by
	log       guid // zero: there is nothing to replay
	logOffset int64
	logLength int64
}

// checksum is the CRC-32C of b with the four bytes at 4 taken for zeros.
func checksum(b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:4])
	sum = crc32.Update(sum, table, make([]byte, 4))
	return crc32.Update(sum, table, b[8:])
}

// readHeader finds the current header: the valid one, or of two the one with the
// higher sequence number.
func readHeader(r io.ReaderAt) (header, error) {
	var heads [2]header
	var errs [2]error
	var raw [2][]byte
	for i, at := range []int64{headerAt0, headerAt1} {
		raw[i] = make([]byte, headerSize)
		if errs[i] = full(r, raw[i], at); errs[i] == nil {
			heads[i], errs[i] = parseHeader(raw[i])
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("header at byte %d: %w", at, errs[i])
		}
	}
	switch {
	case errs[0] != nil && errs[1] != nil:
		return header{}, errors.Join(errs[0], errs[1])
	case errs[0] != nil:
		return heads[1], nil
	case errs[1] != nil || heads[0].sequence > heads[1].sequence:
		return heads[0], nil
	case heads[0].sequence == heads[1].sequence && !bytes.Equal(raw[0], raw[1]):
		return header{}, corrupt("both headers have the sequence number %d and differ", heads[0].sequence)
	}
	return heads[1], nil
}

func parseHeader(b []byte) (header, error) {
	var h header
	if string(b[:4]) != headerMark {
		return h, corrupt("no signature at offset 0")
	}
	if sum := binary.LittleEndian.Uint32(b[4:]); sum != checksum(b) {
		return h, corrupt("checksum at offset 4 is %#x and should be %#x", sum, checksum(b))
	}
	h.sequence = binary.LittleEndian.Uint64(b[8:])
	h.dataWrite, h.log = guid(b[32:48]), guid(b[48:64])
	if v := binary.LittleEndian.Uint16(b[66:]); v != formatNumber {
		return h, fmt.Errorf("version at offset 66 is %d, only %d is known", v, formatNumber)
	}
	if h.log == (guid{}) {
		return h, nil
	}
	if v := binary.LittleEndian.Uint16(b[64:]); v != 0 {
		return h, fmt.Errorf("log version at offset 64 is %d, only 0 is known", v)
	}
	h.logLength = int64(binary.LittleEndian.Uint32(b[68:]))
	at := binary.LittleEndian.Uint64(b[72:])
	h.logOffset = int64(at)
	if h.logLength == 0 || h.logLength%mib != 0 || at < sectionSize || at%mib != 0 || at > maxFileSize {
		return h, corrupt("log of %d bytes at %d (offsets 68 and 72)", h.logLength, at)
	}
	return h, nil
}

// region is a part of the file ([MS-VHDX] 2.2.3.2).
type region struct {
	id       guid
	off, len int64
	required bool
}

// regions are the two that a disk is made of.
type regions struct{ bat, metadata region }

// readRegions takes the first of the two region tables that is valid.
func readRegions(r io.ReaderAt) (regions, error) {
	var errs []error
	for _, at := range []int64{regionAt0, regionAt1} {
		b := make([]byte, tableSize)
		err := full(r, b, at)
		var all []region
		if err == nil {
			all, err = parseRegions(b)
		}
		if err == nil {
			return chooseRegions(all)
		}
		errs = append(errs, fmt.Errorf("region table at byte %d: %w", at, err))
	}
	return regions{}, errors.Join(errs...)
}

func parseRegions(b []byte) ([]region, error) {
	if string(b[:4]) != regionMark {
		return nil, corrupt("no signature at offset 0")
	}
	if sum := binary.LittleEndian.Uint32(b[4:]); sum != checksum(b) {
		return nil, corrupt("checksum at offset 4 is %#x and should be %#x", sum, checksum(b))
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n > maxEntries {
		return nil, corrupt("%d entries (offset 8)", n)
	}
	out := make([]region, n)
	for i := range out {
		e := b[16+32*i:][:32]
		off, size := binary.LittleEndian.Uint64(e[16:]), binary.LittleEndian.Uint32(e[24:])
		out[i] = region{guid(e[:16]), int64(off), int64(size), e[28]&1 != 0}
		if off < sectionSize || off%mib != 0 || off > maxFileSize || size == 0 || size%mib != 0 {
			return nil, corrupt("entry %d: %d bytes at %d", i, size, off)
		}
	}
	return out, apart(out)
}

// apart fails when two regions share bytes.
func apart(rs []region) error {
	sorted := slices.SortedFunc(slices.Values(rs), func(a, b region) int { return int((a.off - b.off) / mib) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i-1].off+sorted[i-1].len > sorted[i].off {
			return corrupt("the regions at %d and %d overlap", sorted[i-1].off, sorted[i].off)
		}
	}
	return nil
}

func chooseRegions(all []region) (regions, error) {
	var out regions
	for _, g := range all {
		switch {
		case g.id == regionBAT() && out.bat.len == 0:
			out.bat = g
		case g.id == regionMetadata() && out.metadata.len == 0:
			out.metadata = g
		case g.id == regionBAT() || g.id == regionMetadata():
			return out, corrupt("region table: region %v stands there twice", g.id)
		case g.required:
			return out, fmt.Errorf("region table: region %v is required and not known", g.id)
		}
	}
	if out.bat.len == 0 || out.metadata.len == 0 {
		return out, corrupt("region table: a disk has a block table and metadata, and one of them is missing")
	}
	return out, nil
}
