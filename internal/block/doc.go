// Package block holds the few words everything else is said in: an Extent is
// a range of bytes, a Map is an ordered set of extents, a Reader is anything
// that holds the bytes of a disk, a partition or a point in time, and a Device
// is a Reader that can be written.
//
// All offsets and lengths are bytes (int64). Sectors and clusters are words of
// the packages that parse them and do not appear here.
//
// The package does no I/O of its own and starts no goroutine. It promises
// nothing about alignment: a Reader over hardware that wants aligned requests
// hides that from its callers.
package block
