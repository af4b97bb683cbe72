// Package vhdx reads and writes virtual disks of the VHDX format ([MS-VHDX]):
// fixed, dynamic and differencing ones, with their parents.
//
// Open finds the current one of the two headers, replays the log if there is
// one to replay, reads the region table and the metadata, and opens the
// parents. The replay happens in memory: what the log would change is laid over
// the file, which is only read. The table of blocks is read in pages as it is
// needed. A Disk is a block.Reader of the virtual disk; Used is the map of what
// the file or its parents hold, and all bytes outside of it read as zeros.
//
// Write makes a dynamic disk of a block.Reader and a map of what matters in it:
// pieces of up to a mebibyte are read by several goroutines and written in their
// order; blocks that are free or all zeros get no place. The headers come last,
// so that a file that was not finished is none.
//
// What it does not promise: it does not write into existing files, does not
// write differencing disks, does not check that no two blocks share a place,
// and takes the tracking of changes of Hyper-V (.rct, .mrt files) for what it
// is, files of their own.
package vhdx
