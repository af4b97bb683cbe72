// Package qcow2 reads and writes the disk format of QEMU, versions 2 and 3.
//
// It owns the format: header and extensions, the two levels of tables, zero and
// compressed clusters (deflate and zstd), subclusters, and the reference counts
// of what it writes. Open reads the header and the first level, checks both
// against the length of the file, and asks its caller for the files the image
// names: a backing file, whose bytes show through where the image has none, and
// an external data file. ReadAt then looks up run after run of one kind and
// reads it at once; second-level tables are held in a cache of bounded size.
// Used walks the tables as it goes.
//
// Write puts the used clusters of a disk one behind the other, each second-level
// table behind its clusters, and a block of reference counts at the start of
// each stretch that it counts; the header comes last, so that an unfinished file
// is no image.
//
// What is read is the active state: internal snapshots and bitmaps are left
// alone. An image marked corrupt, an encrypted one, and one with features that
// are not known are refused. The reference counts of a file that is read are not
// looked at, as reading does not need them.
//
// The facts are those of docs/interop/qcow2.rst of QEMU; comments name its
// sections.
package qcow2
