// Package browse looks into partitions: those of a point in time, of a disk or of
// a file that holds one, without a mount and without restoring anything.
//
// ParseRef takes IMAGE[@TIME]:PARTITION/PATH apart, FromImage and FromDisk give
// the partitions there are, and Find the one that is meant. Partition.Open finds
// the files of its file system through a cache of blocks, so that listing a
// folder costs the few blocks its names lie in. Resolve, Find and Tree are what
// ls, cat, find and tree do.
//
// Whatever lies in an image is taken for hostile: names are checked before they
// are used, depths are bounded, and links are followed within their volume only.
// The package never writes to what it reads.
package browse
