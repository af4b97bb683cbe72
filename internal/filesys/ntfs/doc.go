// Package ntfs tells which bytes of an NTFS volume matter and reads its files.
// It never writes and replays no journal.
//
// It owns the layout of the boot sector, MFT records, attributes, run lists,
// attribute lists, indexes, $Bitmap, $Volume, $Secure, reparse points and the
// restart pages of $LogFile, as they are described by the Linux-NTFS project's
// documentation and by ntfs-3g's layout.h. Multi-byte integers are
// little-endian.
//
// The main loop: Open parses the boot sector, finds $MFT through its own first
// record (or that record's copy in $MFTMirr), gathers the run list of $Bitmap
// and reads the bitmap once in pieces of 1 MiB. That pass counts the used
// clusters and proves that the clusters of the system files are among them.
// If all of that holds, Used walks the bitmap again on each call, in a few MiB
// of memory, and ends with an error when the count has changed. If something
// does not hold, Facts.WholeReason says what, and Used is all of the
// partition: a cluster is used until it is proven free.
//
// Files gives the tree of files. A path is followed from the root folder name
// by name, through the B+tree of each folder's index in the order that $UpCase
// makes; to list a folder all blocks of its index are read. Of a file, the run
// list of a stream is gathered when it is opened; the bytes come from clusters,
// holes, the record itself, compression units (LZNT1), or the chunks of a
// compacted file (XPRESS, LZX). A folder is where it says itself that it is,
// so no path leads in a circle.
//
// Unneeded finds the files that a copy can do without, and reads all of $MFT
// to know that nothing else has their clusters.
//
// Changes compares a volume with an earlier state of it: after a look at whether
// the two can be compared at all, it walks both $MFTs side by side in pieces of
// 1 MiB, notes in sets of one bit for each record which files have a record
// that differs, are open by the change journal, or are written in place by their
// name or folder, and in a second walk marks the clusters of those files and of
// all metadata. What it cannot read or understand ends it with a reason.
//
// What the package does not promise: it does not check a volume as chkdsk
// does, it reads no encrypted contents and none that Windows keeps elsewhere
// (deduplicated, in the cloud, in a WIM), it follows no links, links that
// ntfs-3g keeps as system files ("Interix") are files here as in Windows, it
// holds no files open over changes of its source, and Changes misses what the
// driver did not tell in the MFT.
package ntfs
