package filesys

import (
	"cmp"
	"fmt"

	"ingot/internal/block"
	"ingot/internal/filesys/exfat"
	"ingot/internal/filesys/ext"
	"ingot/internal/filesys/fat"
	"ingot/internal/filesys/ntfs"
)

// Info is what is known about a partition's contents. Sizes and offsets are
// bytes, offsets count from the partition's start.
type Info struct {
	Type                     string // "NTFS", "FAT12", "FAT16", "FAT32", "exFAT", "ext2", "ext3", "ext4", "XFS", "Btrfs", "swap", "LUKS1", "LUKS2", a name of the magic table, or "unknown"
	Label, Serial            string // volume label; serial as hex text, or UUID
	Size                     int64  // of the partition
	SectorSize, ClusterSize  int64  // 0 when not known
	TotalClusters            int64
	FreeClusters             int64
	UsedBytes                int64    // bytes in the map that Used gives
	ZeroedBytes              int64    // of these, bytes that Zeroed holds
	DataStart                int64    // cluster 2 of FAT: what lies before is its reserved area; 0 for all others
	FATOffset                int64    // first table of FAT; 0 for all others
	MFTOffset, MFTRecordSize int64    // 0 if there is none
	WholeReason              string   // why the volume is to be copied whole; "" when the used map is proven
	Unsettled                string   // why clusters that are free now may be in use once the system has mounted the volume; "" when they are not
	Hibernated               bool     // Windows will go on from hibernation; then this is the first of Warnings
	Warnings                 []string // for the owner, each with what to do
	Suspended                bool     // a hibernated system is stored here, whose other volumes are not settled
	RecoveryKeys             []string // ids of the recovery keys that open a BitLocker volume, in the form the owner knows
}

// Volume is the contents of a partition. Its methods may be called from
// several goroutines.
type Volume interface {
	Info() Info
	// Used is the map of the bytes that matter, from the partition's start.
	// Each walk reads anew from the partition, in bounded memory, and ends
	// with an error when the partition cannot be read or has changed.
	Used() block.Map
	// Zeroed is what of Used is to be stored as zeros, whatever lies there.
	Zeroed() block.Extents
	// Contains reports whether a file or folder exists, such as
	// \EFI\Microsoft\Boot\BCD, without regard to case. It is false for file
	// systems whose folders cannot be read here.
	Contains(path string) (bool, error)
	// Files is the tree of files, or nil when it cannot be read here.
	Files() Files
}

// probeSize is what is read at a partition's start to know its kind.
const probeSize = 4096

// Open probes partition r. It fails only when the first bytes of r cannot be
// read; a damaged or unknown file system is a Volume to be copied whole.
func Open(r block.Reader) (Volume, error) {
	head := make([]byte, min(probeSize, r.Size()))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, fmt.Errorf("read the first %d bytes of the partition: %w", len(head), err)
	}
	switch name := atStart(head); name {
	case "":
	case markXFS:
		return openXFS(r), nil
	default:
		return other(r, name), nil
	}
	// Marks further on may be remains, or the contents of a file.
	rival := further(r, "")
	switch {
	case ntfs.IsBoot(head):
		return openNTFS(r, rival), nil
	case exfat.IsBoot(head):
		return openExFAT(r, rival), nil
	case fat.IsBoot(head):
		return openFAT(r, rival), nil
	}
	return marked(r, rival), nil
}

// marked makes a Volume of a partition that is known by a mark behind its
// start.
func marked(r block.Reader, name string) Volume {
	switch name {
	case markExt:
		return openExt(r)
	case markBtrfs:
		return openBtrfs(r)
	case markSwap:
		return openSwap(r)
	}
	return other(r, name)
}

// openExt makes a Volume of a partition with the mark of ext.
func openExt(r block.Reader) Volume {
	v, err := ext.Open(r)
	if err != nil {
		return volume{info: Info{Type: markExt, Size: r.Size(), UsedBytes: r.Size(), WholeReason: err.Error()}}
	}
	f := v.Facts()
	var tree Files
	if t := v.Files(); t != nil {
		tree = t
	}
	return settle(v, Info{
		Type: f.Type, Label: f.Label, Serial: f.UUID, Size: r.Size(), ClusterSize: f.ClusterSize,
		TotalClusters: f.TotalClusters, FreeClusters: f.FreeClusters, UsedBytes: f.UsedBytes,
		WholeReason: f.WholeReason, Unsettled: f.Unsettled, Warnings: f.Warnings,
	}, further(r, markExt), tree)
}

// openNTFS makes a Volume of a partition that begins as NTFS does.
func openNTFS(r block.Reader, rival string) Volume {
	v, err := ntfs.Open(r)
	if err != nil {
		return volume{info: Info{Type: "NTFS", Size: r.Size(), UsedBytes: r.Size(), WholeReason: err.Error()}}
	}
	f := v.Facts()
	var tree Files
	if t := v.Files(); t != nil {
		tree = t
	}
	return settle(v, Info{
		Type: "NTFS", Label: f.Label, Serial: f.Serial, Size: r.Size(),
		SectorSize: f.SectorSize, ClusterSize: f.ClusterSize,
		TotalClusters: f.TotalClusters, FreeClusters: f.FreeClusters, UsedBytes: f.UsedBytes,
		MFTOffset: f.MFTOffset, MFTRecordSize: f.RecordSize,
		WholeReason: f.WholeReason, Unsettled: f.Unsettled, Hibernated: f.Hibernated, Warnings: f.Warnings,
	}, rival, tree)
}

// openExFAT makes a Volume of a partition that begins as exFAT does.
func openExFAT(r block.Reader, rival string) Volume {
	v, err := exfat.Open(r)
	if err != nil {
		return volume{info: Info{Type: "exFAT", Size: r.Size(), UsedBytes: r.Size(), WholeReason: err.Error()}}
	}
	f := v.Facts()
	return settle(v, Info{
		Type: "exFAT", Label: f.Label, Serial: f.Serial, Size: r.Size(),
		SectorSize: f.SectorSize, ClusterSize: f.ClusterSize,
		TotalClusters: f.TotalClusters, FreeClusters: f.FreeClusters, UsedBytes: f.UsedBytes,
		WholeReason: f.WholeReason, Warnings: f.Warnings,
	}, rival, v.Files())
}

// openFAT makes a Volume of a partition that begins as FAT does. Boot sectors
// of other systems may look alike at first; they go by their other name.
func openFAT(r block.Reader, rival string) Volume {
	v, err := fat.Open(r)
	if err != nil {
		return marked(r, rival)
	}
	f := v.Facts()
	info := Info{
		Type: f.Type, Label: f.Label, Serial: f.Serial, Size: r.Size(),
		SectorSize: f.SectorSize, ClusterSize: f.ClusterSize,
		TotalClusters: f.TotalClusters, FreeClusters: f.FreeClusters, UsedBytes: f.UsedBytes,
		DataStart: f.DataStart, FATOffset: f.FATOffset,
		WholeReason: f.WholeReason, Warnings: f.Warnings,
	}
	if info.DataStart > info.Size { // of a partition that was cut off
		info.DataStart, info.FATOffset = 0, 0
	}
	return settle(v, info, rival, v.Files())
}

// settle decides between a volume and a rival name found in the same bytes:
// one of them is stale, and which one cannot be known, so all is kept.
func settle(v contents, info Info, rival string, tree Files) Volume {
	if rival != "" && info.WholeReason == "" {
		info.WholeReason = fmt.Sprintf("the partition has the marks of both %s and %s", info.Type, rival)
	}
	if info.WholeReason != "" {
		info.UsedBytes = info.Size
		return volume{info, v, block.Whole(info.Size), tree}
	}
	return volume{info, v, v.Used(), tree}
}

// other is a partition known by name, or not at all.
func other(r block.Reader, name string) Volume {
	info := Info{Type: name, Size: r.Size(), UsedBytes: r.Size()}
	if info.WholeReason = "the contents of " + name + " are not read here"; name == "" {
		info.Type, info.WholeReason = "unknown", "no known file system"
	}
	describe(r, &info)
	return volume{info: info}
}

// Whole is v with all of its bytes in use, for copying every sector of it.
func Whole(v Volume) Volume {
	info := v.Info()
	info.UsedBytes, info.ZeroedBytes = info.Size, 0
	info.WholeReason = cmp.Or(info.WholeReason, info.Unsettled, "all of its sectors are asked for")
	return volume{info, v, block.Whole(info.Size), v.Files()}
}

// contents is what the volumes of the packages that read a format have in
// common.
type contents interface {
	Used() block.Map
	Contains(path string) (bool, error)
}

// volume is the one kind of Volume: facts, a map, and the files where they can
// be read.
type volume struct {
	info  Info
	files contents  // may be nil
	used  block.Map // nil: everything
	tree  Files     // nil: cannot be read
}

func (v volume) Info() Info { return v.info }

func (v volume) Used() block.Map {
	if v.used == nil {
		return block.Whole(v.info.Size)
	}
	return v.used
}

// Zeroed implements Volume; Leave adds to it.
func (v volume) Zeroed() block.Extents { return nil }

// Files implements Volume.
func (v volume) Files() Files { return v.tree }

func (v volume) Contains(path string) (bool, error) {
	if v.files == nil {
		return false, nil
	}
	return v.files.Contains(path)
}
