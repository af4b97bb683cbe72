package filesys

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"ingot/internal/block"
	"ingot/internal/filesys/btrfs"
	"ingot/internal/filesys/xfs"
)

// unread is a volume of a known type that its package could not open.
func unread(r block.Reader, typ string, err error) Volume {
	return volume{info: Info{Type: typ, Size: r.Size(), UsedBytes: r.Size(), WholeReason: err.Error()}}
}

// openXFS makes a Volume of a partition that begins as XFS does.
func openXFS(r block.Reader) Volume {
	v, err := xfs.Open(r)
	if err != nil {
		return unread(r, markXFS, err)
	}
	f := v.Facts()
	var tree Files
	if t := v.Files(); t != nil {
		tree = t
	}
	return settle(v, Info{
		Type: markXFS, Label: f.Label, Serial: f.UUID, Size: r.Size(), SectorSize: f.SectorSize, ClusterSize: f.ClusterSize,
		TotalClusters: f.TotalClusters, FreeClusters: f.FreeClusters, UsedBytes: f.UsedBytes,
		WholeReason: f.WholeReason, Unsettled: f.Unsettled, Warnings: f.Warnings,
	}, further(r, markXFS), tree)
}

// openBtrfs makes a Volume of a partition with the mark of Btrfs.
func openBtrfs(r block.Reader) Volume {
	v, err := btrfs.Open(r)
	if err != nil {
		return unread(r, markBtrfs, err)
	}
	f := v.Facts()
	var tree Files
	if t := v.Files(); t != nil {
		tree = t
	}
	return settle(v, Info{
		Type: markBtrfs, Label: f.Label, Serial: f.UUID, Size: r.Size(), ClusterSize: f.ClusterSize,
		TotalClusters: f.TotalClusters, FreeClusters: f.FreeClusters, UsedBytes: f.UsedBytes,
		WholeReason: f.WholeReason, Warnings: f.Warnings,
	}, further(r, markBtrfs), tree)
}

// noFiles are contents without files.
type noFiles struct{ used block.Map }

func (n noFiles) Used() block.Map               { return n.used }
func (n noFiles) Contains(string) (bool, error) { return false, nil }

// Offsets in the first page of a swap area (Linux include/linux/swap.h, union
// swap_header): the boot loader's space, then version, last page, number of bad
// pages, UUID and label, and from 1536 on the bad pages themselves. The mark
// ends the page.
const (
	swapVersion, swapLastPage, swapBadPages = 1024, 1028, 1032
	swapUUID, swapLabel, swapEnd            = 1036, 1052, 1068
	swapMark                                = "SWAPSPACE2"
	minPage, maxPage                        = 4096, 65536
)

// openSwap makes a Volume of a swap area, of which only the first page is
// kept: what swapon needs, with UUID and label. What the pages hold ends with
// the running system.
func openSwap(r block.Reader) Volume {
	info := Info{Type: markSwap, Size: r.Size()}
	used, err := info.swap(r)
	if err != nil {
		info.WholeReason = err.Error()
	}
	info.UsedBytes, _ = block.Bytes(used)
	return settle(noFiles{used}, info, further(r, markSwap), nil)
}

// suspendMarks are what a hibernated system leaves in the place of the mark
// (Linux kernel/power/swap.c; older and other ways to suspend as util-linux
// libblkid knows them).
func suspendMarks() []string {
	return []string{"S1SUSPEND\x00", "S2SUSPEND\x00", "ULSUSPEND\x00", "LINHIB0001"}
}

// swap reads the header of a swap area.
func (info *Info) swap(r block.Reader) (block.Extents, error) {
	for page := int64(minPage); page <= min(maxPage, r.Size()); page *= 2 {
		b := bytesAt(r, 0, page)
		if b == nil {
			return nil, fmt.Errorf("the first %d bytes of the swap area cannot be read", page)
		}
		switch mark := string(b[page-int64(len(swapMark)):]); {
		case mark == swapMark:
			return info.swapHeader(b)
		case slices.Contains(suspendMarks(), mark):
			_, err := info.swapHeader(b) // for its UUID
			info.TotalClusters, info.FreeClusters, info.Suspended = 0, 0, true
			info.Warnings = append(info.Warnings, "A hibernated system is stored in the swap area, and its other volumes are not in order without it. Start that system and shut it down before making the image.")
			return nil, cmp.Or(err, errors.New("a hibernated system is stored in it"))
		}
	}
	return nil, errors.New("it is not a swap area of version 1")
}

func (info *Info) swapHeader(b []byte) (block.Extents, error) {
	le, page := binary.LittleEndian, int64(len(b))
	if v := le.Uint32(b[swapVersion:]); v != 1 {
		return nil, fmt.Errorf("swap area: the version at offset %d is %d", swapVersion, v)
	}
	pages := int64(le.Uint32(b[swapLastPage:])) + 1
	if pages < 2 || pages > info.Size/page {
		return nil, fmt.Errorf("swap area: it has %d pages of %d bytes, the partition has %d bytes", pages, page, info.Size)
	}
	info.ClusterSize, info.TotalClusters, info.FreeClusters = page, pages, pages-1
	info.Serial = uuidText(b[swapUUID:swapLabel])
	info.Label = cString(b[swapLabel:swapEnd])
	if bad := le.Uint32(b[swapBadPages:]); bad > 0 {
		info.Warnings = append(info.Warnings, fmt.Sprintf("Pages marked as bad: %d. The disk has damaged places. Replace the disk; after a restore, mkswap frees the marks.", bad))
	}
	end := pages * page
	return block.NewExtents(block.Extent{Off: 0, Len: page}, block.Extent{Off: end, Len: info.Size - end}), nil
}
