package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"ingot/internal/fatchain"
)

// BootSize is the number of bytes ParseBoot needs.
const BootSize = 512

// Limits of the format (FAT specification, "FAT Type Determination"): a table
// of fewer clusters has narrower entries.
const (
	minFAT16Clusters = 4085
	minFAT32Clusters = 65525
	maxFAT32Clusters = 0x0ffffff5
	maxClusterSize   = 512 << 10
)

// Boot is what the boot sector of a FAT volume says: sizes and offsets in
// bytes from the start of the volume.
type Boot struct {
	Bits          int // of an entry of the table: 12, 16 or 32
	SectorSize    int64
	ClusterSize   int64
	Size          int64 // of the volume
	TotalClusters int64
	FATOffset     int64 // of the first table
	FATSize       int64 // of one table
	FATs          int64
	Mirrored      bool  // all tables are kept alike; else only Active is
	Active        int64 // the table in use
	RootOffset    int64 // root directory of FAT12 and FAT16
	RootSize      int64
	RootCluster   int64 // root directory of FAT32
	DataStart     int64 // cluster 2
	FSInfo        int64 // offset of the FSInfo sector of FAT32, 0 if there is none
	Media         byte
	Dirty         bool // the state byte that NT and Linux keep
	Serial        uint32
	Label         string
}

// Type is the name of the format: FAT12, FAT16 or FAT32.
func (b *Boot) Type() string { return fmt.Sprintf("FAT%d", b.Bits) }

// IsBoot reports whether b begins as FAT boot sectors do: a jump over a
// parameter block with a possible sector size, and the mark 55 AA.
func IsBoot(b []byte) bool {
	if len(b) < BootSize || b[510] != 0x55 || b[511] != 0xaa {
		return false
	}
	size := binary.LittleEndian.Uint16(b[11:])
	return (b[0] == 0xeb && b[2] == 0x90 || b[0] == 0xe9) && possibleSector(int64(size)) && b[16] != 0
}

func possibleSector(n int64) bool { return n >= 512 && n <= 4096 && n&(n-1) == 0 }

// ParseBoot reads the parameter block in the first BootSize bytes of a volume
// (FAT specification, "Boot Sector and BPB"). Its errors name field and offset.
func ParseBoot(p []byte) (Boot, error) {
	var b Boot
	if !IsBoot(p) {
		return b, errors.New("FAT boot sector: no jump at offset 0, sector size at offset 11, count of FATs at offset 16 or mark at offset 510")
	}
	b.SectorSize = int64(binary.LittleEndian.Uint16(p[11:]))
	per := int64(p[13])
	b.ClusterSize = per * b.SectorSize
	if per == 0 || per&(per-1) != 0 || b.ClusterSize > maxClusterSize {
		return b, fmt.Errorf("FAT boot sector: sectors per cluster at offset 13 is %d", per)
	}
	b.FATs = int64(p[16])
	if b.FATs > 2 {
		return b, fmt.Errorf("FAT boot sector: count of FATs at offset 16 is %d", b.FATs)
	}
	b.Media = p[21]
	if b.Media != 0xf0 && b.Media < 0xf8 {
		return b, fmt.Errorf("FAT boot sector: media at offset 21 is %#x", b.Media)
	}
	if err := b.areas(p); err != nil {
		return b, err
	}
	b.extended(p)
	if err := b.fat32(p); err != nil {
		return b, err
	}
	return b, b.checkTable()
}

// areas reads where the tables, the root directory and the clusters are, and
// with that which kind of FAT it is. Linux and Windows take a volume whose
// 16-bit table size is 0 as FAT32 however few clusters it has, and mkfs.fat
// makes such volumes for small partitions.
func (b *Boot) areas(p []byte) error {
	reserved := int64(binary.LittleEndian.Uint16(p[14:]))
	if reserved == 0 {
		return errors.New("FAT boot sector: reserved sectors at offset 14 is 0")
	}
	table := int64(binary.LittleEndian.Uint16(p[22:]))
	if table == 0 {
		b.Bits = 32
		table = int64(binary.LittleEndian.Uint32(p[36:]))
	}
	sectors := int64(binary.LittleEndian.Uint16(p[19:]))
	if sectors == 0 {
		sectors = int64(binary.LittleEndian.Uint32(p[32:]))
	}
	b.FATOffset = reserved * b.SectorSize
	b.FATSize = table * b.SectorSize
	b.Size = sectors * b.SectorSize
	b.RootOffset = b.FATOffset + b.FATs*b.FATSize
	rootEntries := int64(binary.LittleEndian.Uint16(p[17:]))
	b.RootSize = (rootEntries*32 + b.SectorSize - 1) / b.SectorSize * b.SectorSize
	b.DataStart = b.RootOffset + b.RootSize
	if table == 0 || b.DataStart >= b.Size {
		return fmt.Errorf("FAT boot sector: %d sectors, of which the tables at offset 22 or 36 and the root directory leave none", sectors)
	}
	b.TotalClusters = (b.Size - b.DataStart) / b.ClusterSize
	switch {
	case b.Bits == 32:
		if rootEntries != 0 {
			return fmt.Errorf("FAT boot sector: root entries at offset 17 is %d on FAT32", rootEntries)
		}
	case rootEntries == 0:
		return errors.New("FAT boot sector: root entries at offset 17 is 0")
	case b.TotalClusters < minFAT16Clusters:
		b.Bits = 12
	case b.TotalClusters < minFAT32Clusters:
		b.Bits = 16
	default:
		return fmt.Errorf("FAT boot sector: %d clusters do not go with a 16-bit table size at offset 22", b.TotalClusters)
	}
	return nil
}

// checkTable fails unless each cluster has an entry in the table.
func (b *Boot) checkTable() error {
	if b.TotalClusters == 0 || b.Bits == 32 && b.TotalClusters > maxFAT32Clusters {
		return fmt.Errorf("FAT boot sector: %d clusters", b.TotalClusters)
	}
	if need := b.tableBytes(); need > b.FATSize {
		return fmt.Errorf("FAT boot sector: the table of %d bytes (size at offset 22 or 36) is too short for %d clusters", b.FATSize, b.TotalClusters)
	}
	return nil
}

// space is the clusters of the volume in r, by way of the table in use.
func (b *Boot) space(r io.ReaderAt) *fatchain.Space {
	bits := b.Bits
	if bits == 32 {
		bits = 28
	}
	return fatchain.New(r, fatchain.Geometry{
		Table: b.FATOffset + b.Active*b.FATSize, Bits: bits, Data: b.DataStart, Size: b.ClusterSize, Count: b.TotalClusters,
	})
}

// tableBytes is the size of the part of a table that has a meaning.
func (b *Boot) tableBytes() int64 { return ((b.TotalClusters+2)*int64(b.Bits) + 7) / 8 }

// extended reads state, serial number and label, which lie behind the table
// size on FAT32.
func (b *Boot) extended(p []byte) {
	at := 36
	if b.Bits == 32 {
		at = 64
	}
	b.Mirrored = true
	b.Dirty = p[at+1]&1 != 0
	if sig := p[at+2]; sig != 0x28 && sig != 0x29 {
		return
	}
	b.Serial = binary.LittleEndian.Uint32(p[at+3:])
	if p[at+2] == 0x29 {
		b.Label = labelText(p[at+7 : at+18])
	}
}

// fat32 reads the fields only FAT32 has.
func (b *Boot) fat32(p []byte) error {
	if b.Bits != 32 {
		return nil
	}
	if v := binary.LittleEndian.Uint16(p[42:]); v != 0 {
		return fmt.Errorf("FAT boot sector: version at offset 42 is %#x", v)
	}
	flags := binary.LittleEndian.Uint16(p[40:])
	if b.Mirrored = flags&0x80 == 0; !b.Mirrored {
		b.Active = int64(flags & 15)
	}
	if b.Active >= b.FATs {
		return fmt.Errorf("FAT boot sector: active FAT at offset 40 is %d of %d", b.Active, b.FATs)
	}
	b.RootCluster = int64(binary.LittleEndian.Uint32(p[44:]))
	if b.RootCluster < 2 || b.RootCluster >= b.TotalClusters+2 {
		return fmt.Errorf("FAT boot sector: root cluster at offset 44 is %d of %d", b.RootCluster, b.TotalClusters)
	}
	info := int64(binary.LittleEndian.Uint16(p[48:])) * b.SectorSize
	if info > 0 && info < b.FATOffset {
		b.FSInfo = info
	}
	return nil
}

// labelText is a label of 11 bytes, padded with spaces. Bytes beyond ASCII
// depend on the code page of the machine that wrote them and become "?".
func labelText(b []byte) string {
	s := strings.TrimRight(asciiText(b), " \x00")
	if s == "NO NAME" {
		return ""
	}
	return s
}

func asciiText(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if out[i] = c; c >= 0x80 {
			out[i] = '?'
		}
	}
	return string(out)
}
