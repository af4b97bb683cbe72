// Package vdisk knows a virtual disk from its file, whatever its format, and
// writes one in any of them.
//
// Open looks at how the file begins, hands it to the package of its format, and
// opens the files that it names: backing files, parents, extents, the parts of a
// disk that is cut. A name in a file is not trusted: only regular files in the
// folder of the disk that was asked for, below it, or in folders that the caller
// allows are opened, never devices or addresses; a chain ends after 32 files and
// does not come back to one of them. The result is a block.Reader with a map of
// what is not known to be zeros.
//
// Write is the way back, and Format the name of each format it writes.
//
// What lies on the disk (a partition table, file systems) is no concern of this
// package.
package vdisk
