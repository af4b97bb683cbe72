package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
)

// The structures that Windows answers device controls with, as bytes. Names and
// offsets are those of ntddstor.h, ntdddisk.h and winioctl.h for 64 bits; on 32
// bits the layouts are the same, since their 8-byte fields are aligned to 8.

// winGeometry is DISK_GEOMETRY_EX.
type winGeometry struct {
	sector, size int64 // bytes
	removable    bool  // MediaType RemovableMedia
}

func decodeGeometry(b []byte) (winGeometry, error) {
	if err := need("DISK_GEOMETRY_EX", b, 32); err != nil {
		return winGeometry{}, err
	}
	le := binary.LittleEndian
	g := winGeometry{sector: int64(le.Uint32(b[20:])), size: int64(le.Uint64(b[24:])), removable: le.Uint32(b[8:]) == 11}
	if !plausibleSector(g.sector) {
		return winGeometry{}, fmt.Errorf("DISK_GEOMETRY_EX: BytesPerSector at offset 20 is %d", g.sector)
	}
	if g.size < 0 {
		return winGeometry{}, fmt.Errorf("DISK_GEOMETRY_EX: DiskSize at offset 24 is %d", g.size)
	}
	return g, nil
}

// winPartition is a used PARTITION_INFORMATION_EX.
type winPartition struct {
	number   int
	off, len int64 // bytes
}

// decodeDriveLayout gives the used partitions of DRIVE_LAYOUT_INFORMATION_EX.
func decodeDriveLayout(b []byte) ([]winPartition, error) {
	const head, each = 48, 144
	if err := need("DRIVE_LAYOUT_INFORMATION_EX", b, head); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	count := int64(le.Uint32(b[4:]))
	if count > int64(len(b)-head)/each {
		return nil, fmt.Errorf("DRIVE_LAYOUT_INFORMATION_EX: PartitionCount at offset 4 is %d, there are bytes for %d", count, (len(b)-head)/each)
	}
	var out []winPartition
	for i := range int(count) {
		e := b[head+i*each:][:each]
		p := winPartition{number: int(le.Uint32(e[24:])), off: int64(le.Uint64(e[8:])), len: int64(le.Uint64(e[16:]))}
		if p.len == 0 {
			continue // an MBR always has four entries for each record
		}
		if p.off < 0 || p.len < 0 || p.off > p.off+p.len {
			return nil, fmt.Errorf("DRIVE_LAYOUT_INFORMATION_EX: entry %d: StartingOffset %d and PartitionLength %d are no range", i, p.off, p.len)
		}
		out = append(out, p)
	}
	return out, nil
}

// winDescriptor is STORAGE_DEVICE_DESCRIPTOR.
type winDescriptor struct {
	vendor, product, revision, serial, bus string
	removable                              bool
}

func decodeDeviceDescriptor(b []byte) (winDescriptor, error) {
	if err := need("STORAGE_DEVICE_DESCRIPTOR", b, 32); err != nil {
		return winDescriptor{}, err
	}
	at := func(off int) string { return descriptorText(b, binary.LittleEndian.Uint32(b[off:])) }
	return winDescriptor{
		vendor: at(12), product: at(16), revision: at(20), serial: at(24),
		bus: winBus(binary.LittleEndian.Uint32(b[28:])), removable: b[10] != 0,
	}, nil
}

// descriptorText is the zero-ended text at off of a descriptor, "" when there
// is none (offset 0, or one outside of the answer).
func descriptorText(b []byte, off uint32) string {
	if off == 0 || int64(off) >= int64(len(b)) {
		return ""
	}
	text, _, _ := bytes.Cut(b[off:], []byte{0})
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) {
			return -1
		}
		return r
	}, string(text)))
}

// winBus is the word for a STORAGE_BUS_TYPE, in the spelling of Linux where
// both know the bus.
func winBus(t uint32) string {
	names := []string{
		"", "scsi", "atapi", "ata", "ieee1394", "ssa", "fc", "usb", "raid", "iscsi", "sas", "sata", "sd", "sd",
		"virtual", "file", "spaces", "nvme", "scm", "ufs",
	}
	if t < uint32(len(names)) {
		return names[t]
	}
	return ""
}

// decodeAlignment gives the bytes of a physical sector out of
// STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR.
func decodeAlignment(b []byte) (int64, error) {
	if err := need("STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR", b, 28); err != nil {
		return 0, err
	}
	n := int64(binary.LittleEndian.Uint32(b[20:]))
	if !plausibleSector(n) {
		return 0, fmt.Errorf("STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR: BytesPerPhysicalSector at offset 20 is %d", n)
	}
	return n, nil
}

// decodeLength gives the bytes of a disk out of GET_LENGTH_INFORMATION.
func decodeLength(b []byte) (int64, error) {
	if err := need("GET_LENGTH_INFORMATION", b, 8); err != nil {
		return 0, err
	}
	n := int64(binary.LittleEndian.Uint64(b))
	if n < 0 {
		return 0, fmt.Errorf("GET_LENGTH_INFORMATION: Length at offset 0 is %d", n)
	}
	return n, nil
}

// decodeDeviceNumber gives the disk's number out of STORAGE_DEVICE_NUMBER.
func decodeDeviceNumber(b []byte) (int, error) {
	if err := need("STORAGE_DEVICE_NUMBER", b, 12); err != nil {
		return 0, err
	}
	return int(binary.LittleEndian.Uint32(b[4:])), nil
}

// winExtent is a DISK_EXTENT: a piece of a volume on a disk.
type winExtent struct {
	disk     int
	off, len int64 // bytes
}

// decodeExtents gives the pieces of VOLUME_DISK_EXTENTS.
func decodeExtents(b []byte) ([]winExtent, error) {
	const head, each = 8, 24
	if err := need("VOLUME_DISK_EXTENTS", b, head); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	count := int64(le.Uint32(b))
	if count > int64(len(b)-head)/each {
		return nil, fmt.Errorf("VOLUME_DISK_EXTENTS: NumberOfDiskExtents at offset 0 is %d, there are bytes for %d", count, (len(b)-head)/each)
	}
	var out []winExtent
	for i := range int(count) {
		e := b[head+i*each:]
		out = append(out, winExtent{int(le.Uint32(e)), int64(le.Uint64(e[8:])), int64(le.Uint64(e[16:]))})
	}
	return out, nil
}

// need is the error for an answer that is shorter than n bytes.
func need(name string, b []byte, n int) error {
	if len(b) < n {
		return fmt.Errorf("%s: %d bytes, at least %d are needed", name, len(b), n)
	}
	return nil
}

// plausibleSector says that n bytes can be a sector.
func plausibleSector(n int64) bool { return n >= 512 && n <= 65536 && n&(n-1) == 0 }
