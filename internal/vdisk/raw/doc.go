// Package raw reads and writes disks that lie in files as they are: in one file,
// whose holes the file system tells, or cut into several.
//
// Parts finds the files of a cut disk by the name of its first one. Join reads
// them as one disk. Allocated is the map of what a file system keeps of a file:
// the rest is holes, which read as zeros. Write copies what matters of a disk to
// the same place in a file of zeros, and leaves zeros out, so that it stays
// sparse.
//
// The package does not promise that a hole was one when it is read later: the
// file must hold still.
package raw
