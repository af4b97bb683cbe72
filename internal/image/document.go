package image

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Document is the JSON of an image file ($JSON), with the names the layout
// gives. All offsets and lengths are bytes; "end" is the last byte, not the
// one behind it. Source: schema/required_schema.json, complete_schema.json of
// the published layout.
type Document struct {
	Auxiliary   Auxiliary   `json:"_auxiliary_data"`
	Compression Compression `json:"_compression"`
	Encryption  Encryption  `json:"_encryption"`
	Header      Header      `json:"_header"`
	Disks       []Disk      `json:"disks"`
}

// Auxiliary is what a restore does not need.
type Auxiliary struct {
	// Definition is the backup definition the image was made with.
	Definition json.RawMessage `json:"backup_definition,omitempty"`
	// Destination is the path the image was written to.
	Destination string `json:"destination,omitempty"`
	// Bootable says that the image holds what its system needs to start.
	Bootable bool `json:"bootable"`
	// UniquePrefix says what the file name begins with.
	UniquePrefix string `json:"unique_prefix_type,omitempty"`
	// Maker names the program that wrote the image, when it was Ingot.
	Maker string `json:"ingot_version,omitempty"`
	// Parent is the point in time that a differential or incremental made by
	// Ingot is based on: without it the file is worth nothing.
	Parent *ParentRef `json:"ingot_parent,omitempty"`
}

// ParentRef names a point in time of the same set.
type ParentRef struct {
	FileNumber int64  `json:"file_number"`
	GUID       string `json:"backup_guid"`
}

// Compression levels of the layout.
const (
	CompressionNone   = "none"
	CompressionMedium = "medium"
	CompressionHigh   = "high"
)

// Backup types of the layout.
const (
	TypeFull = "full"
	TypeDiff = "diff"
	TypeInc  = "inc"
)

// Compression says how the blocks of the image are stored.
type Compression struct {
	Level  string `json:"compression_level"`
	Method string `json:"compression_method,omitempty"`
}

// Encryption says how blocks and metadata are encrypted.
type Encryption struct {
	AESType       string `json:"aes_type"`
	Enable        bool   `json:"enable"`
	HMAC          string `json:"hmac"`
	KeyDerivation string `json:"key_derivation,omitempty"`
	KeyIterations int64  `json:"key_iterations"`
	// Conceal says that the index holds keyed hashes in the place of MD5s.
	Conceal bool `json:"ingot_conceal,omitempty"`
}

// Header identifies the file in its backup set.
type Header struct {
	BackupFormat    string  `json:"backup_format"`
	BackupGUID      string  `json:"backup_guid"`
	BackupTime      int64   `json:"backup_time"`    // seconds since 1970, UTC
	BackupsetTime   int64   `json:"backupset_time"` // the same, of the set's full
	BackupType      string  `json:"backup_type"`    // full, diff or inc
	DeltaIndex      bool    `json:"delta_index"`
	FileNumber      int64   `json:"file_number"`
	DiskCount       int64   `json:"imaged_disks_count"`
	ImageID         string  `json:"imageid"` // 16 hex digits, the same in all files of a set
	IncrementNumber int64   `json:"increment_number"`
	IndexPosition   int64   `json:"index_file_position"`
	JSONVersion     int64   `json:"json_version"`
	MergedFiles     []int64 `json:"merged_files"`
	NetBIOSName     string  `json:"netbios_name"`
	SplitFile       bool    `json:"split_file"`
}

// Disk is one imaged disk.
type Disk struct {
	Descriptor DiskDescriptor `json:"_descriptor"`
	Geometry   DiskGeometry   `json:"_geometry"`
	Header     DiskHeader     `json:"_header"`
	Partitions []Partition    `json:"partitions"`
}

// DiskDescriptor is what the hardware says of itself.
type DiskDescriptor struct {
	Description  string `json:"disk_description"`
	Manufacturer string `json:"disk_manufacturer"`
	ProductID    string `json:"disk_productid"`
	Revision     string `json:"disk_revisonno"` // spelt so in the layout
	Serial       string `json:"disk_serialno"`
}

// DiskGeometry is the size of the disk.
type DiskGeometry struct {
	BytesPerSector    int64  `json:"bytes_per_sector"`
	Cylinders         int64  `json:"cylinders"`
	DiskSize          int64  `json:"disk_size"`
	MediaType         string `json:"media_type,omitempty"`
	SectorsPerTrack   int64  `json:"sectors_per_track"`
	TracksPerCylinder int64  `json:"tracks_per_cylinder"`
}

// DiskHeader identifies the disk. A disk without a partition table is "mbr"
// with one partition that begins at 0, as Windows itself presents it.
type DiskHeader struct {
	Format         string `json:"disk_format"` // gpt or mbr
	Number         int64  `json:"disk_number"`
	Signature      string `json:"disk_signature"` // GPT: disk GUID; MBR: 8 hex digits
	ExtendedCount  int64  `json:"extended_partition_count"`
	PartitionCount int64  `json:"imaged_partition_count"`
}

// Partition is one imaged partition.
type Partition struct {
	FileSystem FileSystem        `json:"_file_system"`
	Geometry   PartitionGeometry `json:"_geometry"`
	Header     PartitionHeader   `json:"_header"`
	Entry      PartitionEntry    `json:"_partition_table_entry"`
}

// FileSystem is what lies in the partition. Start, End and LCN0 are offsets
// on the disk.
type FileSystem struct {
	BitLocker         string `json:"bitlocker_state"`
	DriveLetter       int64  `json:"drive_letter"`
	End               int64  `json:"end"`
	FATOffset         int64  `json:"fat_offset,omitempty"`
	FreeClusters      int64  `json:"free_clusters"`
	LCN0              int64  `json:"lcn0_offset"`
	MFTOffset         int64  `json:"mft_offset,omitempty"`
	MFTRecordSize     int64  `json:"mft_record_size,omitempty"`
	PartitionIndex    int64  `json:"partition_index"`
	ReservedLength    int64  `json:"reserved_sectors_byte_length"`
	SectorsPerCluster int64  `json:"sectors_per_cluster"`
	Start             int64  `json:"start"`
	TotalClusters     int64  `json:"total_clusters"`
	Type              string `json:"type"`
	VolumeGUID        string `json:"volume_guid"`
	VolumeLabel       string `json:"volume_label"`
	// Kind and Serial are what Ingot calls the contents, which the layout has
	// few words for, and their serial number or UUID.
	Kind   string `json:"ingot_type,omitempty"`
	Serial string `json:"ingot_serial,omitempty"`
	// RecoveryKeys are the ids of the recovery keys that open a BitLocker volume.
	RecoveryKeys []string `json:"ingot_recovery_keys,omitempty"`
}

// PartitionGeometry says where on the disk the partition lies.
type PartitionGeometry struct {
	BootSectorOffset int64 `json:"boot_sector_offset"` // from Start
	End              int64 `json:"end"`
	Length           int64 `json:"length"`
	Start            int64 `json:"start"`
}

// PartitionHeader says how the partition is cut into blocks.
type PartitionHeader struct {
	BlockCount   int64         `json:"block_count"`
	BlockSize    int64         `json:"block_size"`
	HistoryCount int64         `json:"file_history_count"`
	History      []FileHistory `json:"file_history"`
	FileOffset   int64         `json:"partition_file_offset"`
	Number       int64         `json:"partition_number"`
	// Changes says how it was found what changed, in files of Ingot, of NTFS
	// volumes; see docs/format/ingot-extensions.md.
	Changes *Changes `json:"ingot_changes,omitempty"`
}

// Values of Changes.
const (
	ChangesAll = "all" // every used block was read
	ChangesMFT = "mft" // blocks of files whose MFT records were as in the parent were not

	SourceStill    = "still"      // nothing wrote to the source
	SourceSnapshot = "snapshot"   // the source was of one moment of a running system
	SourceUnread   = "unreadable" // some of the source could not be read and was stored as zeros
	SourceLive     = "live"       // the source may have been written to while it was imaged
)

// Changes says how it was found which blocks of a partition changed since the
// parent.
type Changes struct {
	Method string `json:"method"`
	// Reason says why all blocks were read although it was to be done faster.
	Reason string `json:"reason,omitempty"`
	// Source says how still the source held.
	Source string `json:"source"`
	// Scope says by which rule it was decided which bytes are stored.
	Scope string `json:"scope"`
	// Row is how many points of the set, up to this one, were made one after the
	// other without reading all.
	Row int64 `json:"row"`
	// Missed is how many changed blocks the faster method was found to miss:
	// when this point was made or, if none then, when an earlier one of its set
	// was.
	Missed int64 `json:"missed"`
}

// FileHistory names a file that holds blocks of the partition.
type FileHistory struct {
	Name   string `json:"file_name"`
	Number int64  `json:"file_number"`
}

// PartitionEntry is the partition's entry in an MBR; for GPT the nearest to it.
type PartitionEntry struct {
	Active        bool   `json:"active"`
	BootSector    int64  `json:"boot_sector"`
	EndCylinder   int64  `json:"end_cylinder"`
	EndHead       int64  `json:"end_head"`
	Sectors       int64  `json:"num_sectors"`
	Kind          string `json:"partition_type"` // primary or logical
	StartCylinder int64  `json:"start_cylinder"`
	StartHead     int64  `json:"start_head"`
	Status        int64  `json:"status"`
	Type          int64  `json:"type"`
}

// Limits on what the JSON of an image may claim: far beyond any machine, far
// below what would exhaust one.
const (
	maxDisks      = 1024
	maxPartitions = 1024 // of one disk
	maxMerged     = 1 << 16
	minBlockSize  = 512
	maxBlockSize  = 16 << 20
	maxDiskSize   = 1 << 62
)

// check refuses a document that this version cannot read, or that contradicts
// itself. What is said of the file (positions, counts) is checked when the
// index is read.
func (d *Document) check() error {
	h := &d.Header
	switch {
	case h.BackupFormat != "" && h.BackupFormat != "partition":
		return fmt.Errorf("%w: backup_format is %q, not an image of partitions", ErrUnsupported, h.BackupFormat)
	case h.BackupType != TypeFull && h.BackupType != TypeDiff && h.BackupType != TypeInc:
		return fmt.Errorf("%w: backup_type is %q", ErrUnsupported, h.BackupType)
	case h.BackupType == TypeFull && h.DeltaIndex && !h.SplitFile:
		return damaged("JSON: a full backup has a delta index")
	case d.Encryption.KeyDerivation != "" && d.Encryption.KeyDerivation != keyDerivation:
		return fmt.Errorf("%w: key_derivation is %q", ErrUnsupported, d.Encryption.KeyDerivation)
	case d.Encryption.Conceal && !d.Encryption.Sealed():
		return damaged("JSON: the hashes are concealed in a set that is not sealed")
	case h.FileNumber < 0 || h.FileNumber > 0xFFFF:
		return damaged("JSON field _header.file_number is %d", h.FileNumber)
	case h.IncrementNumber < 0 || h.IncrementNumber > 0xFFFF:
		return damaged("JSON field _header.increment_number is %d", h.IncrementNumber)
	case len(h.MergedFiles) > maxMerged:
		return damaged("JSON field _header.merged_files lists %d files", len(h.MergedFiles))
	case len(d.Disks) == 0 || len(d.Disks) > maxDisks:
		return damaged("JSON lists %d disks", len(d.Disks))
	}
	if _, err := d.Encryption.bits(); err != nil {
		return err
	}
	switch d.Compression.Level {
	case CompressionNone, CompressionMedium, CompressionHigh:
	default:
		return fmt.Errorf("%w: compression_level is %q", ErrUnsupported, d.Compression.Level)
	}
	if m := d.Compression.Method; m != "" && m != "zstd" {
		return fmt.Errorf("%w: compression_method is %q", ErrUnsupported, m)
	}
	for i := range d.Disks {
		if err := d.Disks[i].check(); err != nil {
			return fmt.Errorf("disk %d: %w", i+1, err)
		}
	}
	return nil
}

// alone says whether the file needs no other: it is a full, and neither a part
// of a split one nor the last of several parts.
func (d *Document) alone() bool {
	h := &d.Header
	if h.BackupType != TypeFull || h.DeltaIndex || h.SplitFile {
		return false
	}
	for n := range h.FileNumber {
		if !slices.Contains(h.MergedFiles, n) {
			return false
		}
	}
	return true
}

func (d *Disk) check() error {
	g := &d.Geometry
	switch {
	case g.BytesPerSector < 512 || g.BytesPerSector > 64<<10 || g.BytesPerSector&(g.BytesPerSector-1) != 0:
		return damaged("JSON field _geometry.bytes_per_sector is %d", g.BytesPerSector)
	case g.DiskSize < g.BytesPerSector || g.DiskSize > maxDiskSize:
		return damaged("JSON field _geometry.disk_size is %d", g.DiskSize)
	case len(d.Partitions) > maxPartitions:
		return damaged("JSON lists %d partitions", len(d.Partitions))
	}
	for i := range d.Partitions {
		if err := d.Partitions[i].check(g.DiskSize); err != nil {
			return fmt.Errorf("partition %d: %w", d.Partitions[i].Header.Number, err)
		}
	}
	return nil
}

func (p *Partition) check(diskSize int64) error {
	g, f, size := &p.Geometry, &p.FileSystem, p.Header.BlockSize
	lcn0 := f.LCN0 - f.Start // of the partition; every term is bounded below
	switch {
	case g.Start < 0 || g.Length <= 0 || g.Start > diskSize || g.Length > diskSize-g.Start:
		return damaged("JSON fields _geometry: start %d, length %d do not lie on the disk of %d bytes", g.Start, g.Length, diskSize)
	case size < minBlockSize || size > maxBlockSize || size%512 != 0:
		return damaged("JSON field _header.block_size is %d", size)
	case f.LCN0 < 0 || f.Start < 0 || lcn0 < 0 || lcn0 > g.Length:
		return damaged("JSON fields _file_system: lcn0_offset %d, start %d", f.LCN0, f.Start)
	case g.BootSectorOffset < 0 || g.BootSectorOffset > g.Length,
		f.ReservedLength < 0 || f.ReservedLength > g.Length-g.BootSectorOffset:
		return damaged("JSON fields boot_sector_offset %d, reserved_sectors_byte_length %d", g.BootSectorOffset, f.ReservedLength)
	case f.TotalClusters < 0 || f.FreeClusters < 0 || f.FreeClusters > f.TotalClusters || f.TotalClusters > g.Length:
		return damaged("JSON fields total_clusters %d, free_clusters %d", f.TotalClusters, f.FreeClusters)
	case f.ReservedLength > 0 && g.BootSectorOffset+f.ReservedLength > lcn0:
		return damaged("JSON field reserved_sectors_byte_length %d reaches over lcn0_offset", f.ReservedLength)
	}
	return nil
}
