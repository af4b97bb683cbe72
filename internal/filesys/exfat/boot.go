package exfat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"ingot/internal/block"
)

// BootSize is the number of bytes ParseBoot needs.
const BootSize = 512

// Boot is what the boot sector of a volume says (specification, 3.1): sizes and
// offsets in bytes from the start of the volume.
type Boot struct {
	SectorSize    int64
	ClusterSize   int64
	Size          int64 // of the volume
	TotalClusters int64
	FATOffset     int64 // of the first table
	FATSize       int64 // of one table
	FATs          int64 // 2 on TexFAT
	DataStart     int64 // cluster heap: cluster 2
	RootCluster   int64
	Serial        uint32
	Flags         uint16 // flagActive and the others
	Percent       byte   // of the clusters in use; unknownPercent when not known
	Backup        bool   // read from the backup boot region: Flags and Percent are stale
}

// Bits of VolumeFlags (specification, 3.1.13).
const (
	flagActive = 1 << iota // the second table and bitmap are in use
	flagDirty
	flagFailure
)

const unknownPercent = 0xff

// Limits of the format (specification, 3.1).
const (
	maxClusters    = 1<<32 - 11
	maxClusterLog  = 25 // 32 MiB
	regionSectors  = 12
	checksumSector = 11
)

// IsBoot reports whether b begins as an exFAT boot sector does.
func IsBoot(b []byte) bool {
	return len(b) >= BootSize && string(b[3:11]) == "EXFAT   "
}

// heapEnd is the offset behind the last cluster.
func (b *Boot) heapEnd() int64 { return b.DataStart + b.TotalClusters*b.ClusterSize }

// activeFAT is the offset of the table in use.
func (b *Boot) activeFAT() int64 {
	if b.FATs == 2 && b.Flags&flagActive != 0 {
		return b.FATOffset + b.FATSize
	}
	return b.FATOffset
}

// ParseBoot reads the boot sector in the first BootSize bytes of a boot region.
// Its errors name field and offset.
func ParseBoot(p []byte) (Boot, error) {
	var b Boot
	switch {
	case !IsBoot(p):
		return b, errors.New("exFAT boot sector: no file system name at offset 3")
	case p[510] != 0x55 || p[511] != 0xaa:
		return b, errors.New("exFAT boot sector: no mark at offset 510")
	case len(bytes.Trim(p[11:64], "\x00")) > 0:
		return b, errors.New("exFAT boot sector: the bytes from offset 11 on are not zero")
	case p[105] != 1:
		return b, fmt.Errorf("exFAT boot sector: revision at offset 104 is %d.%02d", p[105], p[104])
	}
	sector, cluster := p[108], p[109]
	if sector < 9 || sector > 12 || cluster > maxClusterLog-sector {
		return b, fmt.Errorf("exFAT boot sector: shifts at offset 108 are %d and %d", sector, cluster)
	}
	b.SectorSize = 1 << sector
	b.ClusterSize = b.SectorSize << cluster
	if b.FATs = int64(p[110]); b.FATs < 1 || b.FATs > 2 {
		return b, fmt.Errorf("exFAT boot sector: number of FATs at offset 110 is %d", b.FATs)
	}
	b.Serial = binary.LittleEndian.Uint32(p[100:])
	b.Flags = binary.LittleEndian.Uint16(p[106:])
	b.Percent = p[112]
	return b, b.areas(p)
}

// areas reads where tables and clusters lie, and that all of it lies inside the
// volume in this order.
func (b *Boot) areas(p []byte) error {
	sectors := binary.LittleEndian.Uint64(p[72:])
	if sectors > 1<<50 {
		return fmt.Errorf("exFAT boot sector: volume length at offset 72 is %d sectors", sectors)
	}
	b.Size = int64(sectors) * b.SectorSize
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(p[at:])) }
	b.FATOffset, b.FATSize = u32(80)*b.SectorSize, u32(84)*b.SectorSize
	b.DataStart, b.TotalClusters, b.RootCluster = u32(88)*b.SectorSize, u32(92), u32(96)
	switch {
	case b.TotalClusters == 0 || b.TotalClusters > maxClusters:
		return fmt.Errorf("exFAT boot sector: cluster count at offset 92 is %d", b.TotalClusters)
	case b.FATOffset < 2*regionSectors*b.SectorSize:
		return fmt.Errorf("exFAT boot sector: the FAT begins at byte %d (offset 80), inside the boot regions", b.FATOffset)
	case b.FATSize < 4*(b.TotalClusters+2):
		return fmt.Errorf("exFAT boot sector: the FAT of %d bytes (offset 84) is too short for %d clusters", b.FATSize, b.TotalClusters)
	case b.DataStart < b.FATOffset+b.FATs*b.FATSize:
		return fmt.Errorf("exFAT boot sector: the cluster heap begins at byte %d (offset 88), inside the FAT", b.DataStart)
	case b.TotalClusters > (b.Size-b.DataStart)/b.ClusterSize:
		return fmt.Errorf("exFAT boot sector: the volume of %d bytes (offset 72) is too short for %d clusters", b.Size, b.TotalClusters)
	case b.RootCluster < 2 || b.RootCluster >= b.TotalClusters+2:
		return fmt.Errorf("exFAT boot sector: root directory at offset 96 is cluster %d of %d", b.RootCluster, b.TotalClusters)
	}
	return nil
}

// readRegion reads the boot region at off: its boot sector and the checksum
// over all of its sectors.
func readRegion(r block.Reader, off int64) (Boot, error) {
	p := make([]byte, BootSize)
	if n, err := r.ReadAt(p, off); n < len(p) {
		return Boot{}, fmt.Errorf("read exFAT boot sector at byte %d: %w", off, err)
	}
	b, err := ParseBoot(p)
	if err != nil {
		return b, err
	}
	p = make([]byte, regionSectors*b.SectorSize)
	if n, err := r.ReadAt(p, off); n < len(p) {
		return b, fmt.Errorf("read exFAT boot region at byte %d: %w", off, err)
	}
	sums := p[checksumSector*b.SectorSize:]
	want := bootSum(p[:checksumSector*b.SectorSize])
	for i := 0; i < len(sums); i += 4 {
		if got := binary.LittleEndian.Uint32(sums[i:]); got != want {
			return b, fmt.Errorf("exFAT boot region at byte %d: its checksum is %#x, that of its sectors %#x", off, got, want)
		}
	}
	return b, nil
}

// bootSum is the checksum of a boot region (specification, 3.4). It leaves out
// the fields that change while the volume is in use.
func bootSum(p []byte) uint32 {
	var sum uint32
	for i, c := range p {
		if i != 106 && i != 107 && i != 112 {
			sum = sum<<31 | sum>>1
			sum += uint32(c)
		}
	}
	return sum
}

// readBoot reads the boot region that is good, the main one first. The warning
// is about one that is not.
func readBoot(r block.Reader) (b Boot, warning string, err error) {
	if b, err = readRegion(r, 0); err == nil {
		if _, bad := readRegion(r, regionSectors*b.SectorSize); bad != nil {
			warning = fmt.Sprintf("The backup boot region is damaged (%v). Run chkdsk /f on the volume in Windows or fsck.exfat in Linux.", bad)
		}
		return b, warning, nil
	}
	for size := int64(512); size <= 4096; size *= 2 {
		if b, bad := readRegion(r, regionSectors*size); bad == nil && b.SectorSize == size {
			b.Backup, b.Percent = true, unknownPercent
			return b, fmt.Sprintf("The main boot region is damaged (%v), its backup was used. Run chkdsk /f on the volume in Windows or fsck.exfat in Linux.", err), nil
		}
	}
	return b, "", err
}
