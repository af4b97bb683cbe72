// Package exfat tells which bytes of an exFAT volume matter, and reads its tree of
// files. It never writes.
//
// It owns the layout of the boot regions, the allocation bitmap, the up-case
// table and directory entry sets, as Microsoft's "exFAT file system
// specification" (the specification, revision 1.00) describes them. Multi-byte
// integers are little-endian.
//
// The main loop: Open reads the main boot region and compares its checksum; is
// it damaged, the backup boot region takes its place. The root directory leads
// to the allocation bitmap, which is read once in pieces and counted. A cluster
// is used when its bit is set. Used is everything before the cluster heap, the
// used clusters, and everything behind the heap up to the end of the partition
// (which is less than a cluster, unless the partition is larger than the
// volume): nobody says that it is free. Each walk reads the bitmap anew and
// ends with an error when the count has changed. TexFAT volumes have two
// bitmaps, one of which is that of the last consistent state: a cluster is used
// when either has its bit set.
//
// Files are read by way of the table that VolumeFlags names, the bytes behind
// ValidDataLength as zeros. Names are compared by the volume's own up-case
// table; should it be damaged, without regard to the case of ASCII letters.
//
// What shows that the bitmap is right: exFAT keeps no count of clusters, only
// PercentInUse, which many drivers (that of Linux among them) do not keep up to
// date. So the clusters of the root directory, the bitmaps and the up-case
// table, and of the files and folders in the first 500 folders (level by level,
// up to 64 MiB of entries; of chains in the table, the first million clusters),
// must have their bits set.
// Are fewer clusters in use than PercentInUse says, all directories are read,
// and all clusters of all files must have their bits set. Where this fails,
// Facts.WholeReason says so and Used is all of the partition. More clusters in
// use than PercentInUse says do no harm.
//
// What the package does not promise: it does not check a volume as fsck does
// (lost or cross-linked clusters are used clusters like others); it counts bad
// clusters only in tables of up to 32 MiB; what vendor extensions store is in
// the used map but in no file's Extents.
package exfat
