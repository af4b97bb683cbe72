// Package vmdk reads and writes virtual disks of VMware.
//
// It owns the text descriptor and the hosted sparse extent, plain
// (monolithicSparse, twoGbMaxExtentSparse) and compressed with its tables at the
// end (streamOptimized). Open takes a descriptor or a sparse extent that has one
// inside; flat and sparse extents that a descriptor names are opened through its
// caller, by bare names: they lie beside it. A disk that is the difference to a
// parent shows the parent's bytes where it has no grains. ReadAt finds the
// extent, in that the grain by directory and table, and reads what is contiguous
// at once; tables and unpacked grains are held in a cache of bounded size.
//
// Write makes either a monolithicSparse file, whose tables come first and whose
// grains follow in the order of the disk, or a streamOptimized one, written from
// front to end. What makes the file a disk is written last.
//
// Refused are extents of ESX hosts (VMFSSPARSE, SESPARSE), raw devices, and what
// is marked as in use by an unclean shutdown is read as it is.
//
// The facts are those of "Virtual Disk Format 5.0" of VMware, Inc.; comments name
// its terms.
package vmdk
