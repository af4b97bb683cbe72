// Package btrfs tells which bytes of a Btrfs volume on a single device matter.
// It never writes, replays no log tree, and reads no files: those are reached
// through a mount.
//
// It owns the layout of the superblock with its copies, of tree blocks and of
// the items of the chunk, root, extent and block group trees, as the Btrfs
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
// What the package does not promise: volumes of several devices, RAID
// profiles, zones and extent tree version 2 are not read, and nothing is
// checked as btrfs check does.
package btrfs
