// Package fat tells which bytes of a FAT12, FAT16 or FAT32 volume matter, and
// reads its tree of files. It never writes.
//
// It owns the layout of the boot sector, the file allocation tables and
// directory entries with long names, as Microsoft's "FAT: General Overview of
// On-Disk Format" (version 1.03, the FAT specification) describes them.
// Multi-byte integers are little-endian.
//
// The main loop: Open parses the boot sector, reads all tables once in pieces
// of 1 MiB side by side and counts. A cluster is used when its entry in any of
// the tables is not zero; a bad one counts as used. If what was read holds
// together, and no file or folder of the first 500 folders (up to a million
// clusters) lies in a cluster that is marked as free, Used is everything before
// the first cluster and the used clusters, and each walk reads the tables anew
// and ends with an error when the count has changed. If not, Facts.WholeReason says why, and Used is all of the
// partition.
//
// Files are read by way of the table in use. A file has its long name, and is
// found by its short one too; names are compared without regard to case by the
// tables of Unicode, short names are taken to be of code page 437, and times
// to be of this machine's zone, for the disk does not say.
//
// What the package does not promise: it does not check a volume as fsck does
// (cross-linked or lost chains are used clusters like others), and exFAT is
// another format.
package fat
