// Package btrfs tells which bytes of a Btrfs volume on a single device matter,
// and reads its files. It never writes and replays no log tree.
//
// It owns the layout of the superblock with its copies, of tree blocks and of
// the items of the chunk, root, extent, block group, checksum and file trees,
// and how LZO is used in them, as the Btrfs
// documentation ("On-disk Format", btrfs.readthedocs.io) and Linux
// include/uapi/linux/btrfs_tree.h describe them. Multi-byte integers are
// little-endian.
//
// The main loop: Open reads the superblock, learns from the chunks listed in
// it where the chunk tree lies, and from that one where everything else does:
// Btrfs counts in logical bytes, which chunks map to the device, once (single)
// or twice (DUP); the device tree must say the same of that. For each chunk it
// takes from its block group how many bytes are in use, then walks the chunks
// in the order of the device and for each of them its part of the extent tree,
// and proves that the extents add up to what the block group says, and those to
// what the superblock says; and, where there is a valid free space tree, that
// what it calls free is exactly what no extent holds. What lies in no chunk is
// free, but for the first MiB and the copies of the superblock. Used walks the
// extent tree again on each call, holding one path of tree blocks and the list
// of chunks. If something does not hold, Facts.WholeReason says what, and Used
// is all of the partition.
//
// Each tree block must have the right checksum, place, owner, level,
// generation and first key, and all keys of a tree must ascend; a block whose
// first copy is damaged is read from its second one.
//
// Tree reads the files, from the top level on (subvolume 5), as a mount with
// subvolid=5 shows them: subvolumes and snapshots are folders in it, whichever
// of them the volume is mounted with by default. What a snapshot does not have
// of the subvolumes in it are empty folders. Data must have its checksum, unless
// its file has none (nodatasum), and is read from another copy where there is one
// and the first is damaged. A folder is opened where it says that it belongs, so
// that no tree goes in circles. Of a volume with several devices or a RAID
// profile what lies on this device can be read; the rest is an error that says
// so. Of a volume whose log tree was not replayed the last commit is read, and a
// warning says so.
//
// What the package does not promise: the map is for volumes of one device
// without RAID; RAID5 and RAID6, zones, extent tree version 2, and files that
// are encrypted or use the RAID stripe tree are not read; nothing is checked as
// btrfs check does.
package btrfs
