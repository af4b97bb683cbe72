// Package xfs tells which bytes of an XFS volume matter, and reads its files. It
// never writes and replays no log.
//
// It owns the layout of the superblock, of the headers of an allocation group
// (AGF, AGI, AGFL), of the two free-space btrees, of the log's record headers,
// and of inodes, extents, folders, links and attributes, as "XFS Algorithms & Data Structures" (kernel.org,
// xfs-documentation) describes them, versions 4 and 5. Multi-byte integers are
// big-endian, but for the checksums.
//
// The main loop: Open reads the superblock, then the first sectors of each
// allocation group. It walks the leaves of the group's free-space btree by
// block number (bnobt) along their sibling pointers, and then those of the one
// by size (cntbt), and proves that both hold the same extents, that they are as
// many blocks as the group's header says, and that nothing known to be in use
// (headers, btree roots, blocks set aside in the AGFL, the log) is among them.
// The sum over all groups must be the superblock's count. Used then walks the
// by-number trees again on each call, holding one btree block at a time. If
// something does not hold, Facts.WholeReason says what, and Used is all of the
// partition.
//
// A volume whose log does not end with an unmount record is Unsettled: its
// trees may be older than what the log says.
//
// Tree reads the files. In version 5 it believes no block of metadata whose
// checksum, place, volume or owner is wrong: it is an error, but for the index
// of a folder, without which all names are looked at. Version 4 has no checksums,
// and what cannot be is all that is seen there. A folder is opened where it says
// that it belongs, so that no tree goes in circles. Files are read as they lie:
// of a volume whose log is open, or that is marked as needing repair, a warning
// says so. The contents of files on a realtime device are an error.
//
// What the package does not promise: it does not check a volume as xfs_repair
// does, and it knows nothing of realtime devices and external logs but that
// there are some. Metadata directories and zones are not read.
package xfs
