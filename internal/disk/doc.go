// Package disk knows the disks of this machine and how a disk is cut: MBR with
// its extended boot records, and GPT.
//
// It owns two things. A Layout is the partition table of one disk: Parse reads
// it from a disk, FromImage from the sectors an image keeps, and Writes gives
// the bytes that put it on a disk of another size. A File is an open disk or
// disk-image file: List finds the disks there are, Open reads one, OpenTarget
// takes one for writing, Users and HoldsPath say what the disk is used for now.
//
// Parse looks at the first sector. Without the signature 55 AA, without any
// used slot, with slots that cannot be a table, or with a file system's boot
// sector in the place of a table, the disk is one volume (SchemeNone) that is
// copied whole. A slot of type EE makes it a GPT disk: the primary header and
// its entries are read and their checksums compared, and the backup at the
// disk's end takes their place when they are damaged. Anything else is an MBR,
// whose extended partitions are walked link by link. What is odd but harmless
// is a warning in the Layout; what would make a copy wrong is an error that
// names the entry and the field.
//
// The package does not promise that nobody else writes to a disk it has open
// for reading, and Users sees the mounts of the caller's own mount namespace
// only. It creates no partitions and changes none: it moves a table from one
// disk to another. Sectors and LBAs are words of this package; everything it
// hands out is in bytes.
package disk
