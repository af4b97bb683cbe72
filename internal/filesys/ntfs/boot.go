package ntfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// BootSize is the number of bytes ParseBoot needs; a boot sector of larger
// sectors carries nothing more behind them.
const BootSize = 512

// Limits of the format as mkntfs and Windows make it.
const (
	maxClusterSize = 2 << 20
	maxRecordSize  = 64 << 10
	fixupStride    = 512 // bytes, also on disks with 4096-byte sectors
)

// Boot is what the boot sector of an NTFS volume says: sizes in bytes, places
// in clusters from the start of the volume.
type Boot struct {
	SectorSize    int64
	ClusterSize   int64
	TotalSectors  int64 // without the backup boot sector behind them
	TotalClusters int64
	MFT           int64 // first cluster of $MFT
	Mirror        int64 // first cluster of $MFTMirr
	RecordSize    int64 // of an MFT record
	Serial        uint64
}

// IsBoot reports whether b begins like the boot sector of an NTFS volume: the
// system id "NTFS    " at offset 3.
func IsBoot(b []byte) bool {
	return len(b) >= 11 && bytes.Equal(b[3:11], []byte("NTFS    "))
}

// ParseBoot reads the BIOS parameter block in the first BootSize bytes of a
// volume (ntfs-3g layout.h, NTFS_BOOT_SECTOR). Its errors name the field and
// its offset.
func ParseBoot(b []byte) (Boot, error) {
	var s Boot
	if len(b) < BootSize {
		return s, fmt.Errorf("NTFS boot sector: %d bytes instead of %d", len(b), BootSize)
	}
	if !IsBoot(b) {
		return s, errors.New("NTFS boot sector: no system id \"NTFS\" at offset 3")
	}
	if b[510] != 0x55 || b[511] != 0xaa {
		return s, errors.New("NTFS boot sector: no mark 55 AA at offset 510")
	}
	s.SectorSize = int64(binary.LittleEndian.Uint16(b[11:]))
	if s.SectorSize < 256 || s.SectorSize > 4096 || !powerOfTwo(s.SectorSize) {
		return s, fmt.Errorf("NTFS boot sector: bytes per sector at offset 11 is %d", s.SectorSize)
	}
	if err := s.clusters(b); err != nil {
		return s, err
	}
	var err error
	s.RecordSize, err = s.sized(b, 64, "MFT record size")
	s.Serial = binary.LittleEndian.Uint64(b[72:])
	return s, err
}

// clusters reads the fields that count and name clusters.
func (s *Boot) clusters(b []byte) error {
	per := int64(b[13])
	if per >= 0xf4 { // 2^(256-v) sectors, for what does not fit into the byte
		per = 1 << (256 - per)
	}
	s.ClusterSize = per * s.SectorSize
	if !powerOfTwo(per) || s.ClusterSize > maxClusterSize {
		return fmt.Errorf("NTFS boot sector: sectors per cluster at offset 13 is %#x", b[13])
	}
	// Only the low 63 bits can be meant, and the product must be a byte offset.
	sectors := binary.LittleEndian.Uint64(b[40:])
	if sectors == 0 || sectors > uint64(1<<62/s.SectorSize) {
		return fmt.Errorf("NTFS boot sector: total sectors at offset 40 is %d", sectors)
	}
	s.TotalSectors = int64(sectors)
	s.TotalClusters = s.TotalSectors / per
	for _, f := range []struct {
		name string
		off  int
		to   *int64
	}{{"$MFT cluster", 48, &s.MFT}, {"$MFTMirr cluster", 56, &s.Mirror}} {
		lcn := binary.LittleEndian.Uint64(b[f.off:])
		if lcn >= uint64(s.TotalClusters) {
			return fmt.Errorf("NTFS boot sector: %s at offset %d is %d of %d clusters", f.name, f.off, lcn, s.TotalClusters)
		}
		*f.to = int64(lcn)
	}
	return nil
}

// sized reads a size that is a number of clusters when positive and the power
// of two of a number of bytes when negative.
func (s *Boot) sized(b []byte, off int, name string) (int64, error) {
	v := int8(b[off])
	n := int64(v) * s.ClusterSize
	if v < 0 {
		n = 1 << min(-int(v), 62)
	}
	if n < fixupStride || n > maxRecordSize || !powerOfTwo(n) {
		return 0, fmt.Errorf("NTFS boot sector: %s at offset %d is encoded as %d, which makes %d bytes", name, off, v, n)
	}
	return n, nil
}

// bytes is the size of the part of the volume that clusters are made of.
func (s *Boot) bytes() int64 { return s.TotalClusters * s.ClusterSize }

func powerOfTwo(n int64) bool { return n > 0 && n&(n-1) == 0 }
