// Package ntfs tells which bytes of an NTFS volume matter and whether a file
// exists on it. It never writes and replays no journal.
//
// It owns the layout of the boot sector, MFT records, attributes, run lists,
// attribute lists, index blocks, $Bitmap, $Volume and the restart pages of
// $LogFile, as they are described by the Linux-NTFS project's documentation
// and by ntfs-3g's layout.h. Multi-byte integers are little-endian.
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
// Changes compares a volume with an earlier state of it: after a look at whether
// the two can be compared at all, it walks both $MFTs side by side in pieces of
// 1 MiB, notes in sets of one bit for each record which files have a record
// that differs, are open by the change journal, or are written in place by their
// name or folder, and in a second walk marks the clusters of those files and of
// all metadata. What it cannot read or understand ends it with a reason.
//
// What the package does not promise: it does not check a volume as chkdsk
// does, it reads no compressed or encrypted contents, it does not follow
// reparse points, it holds no files open over changes of its source, and Changes
// misses what the driver did not tell in the MFT.
package ntfs
