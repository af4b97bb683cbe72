// Package overlay lets somebody write to what must not change, such as a point
// in time of a backup set: writes go to a temporary file, and reads see them over
// what lies below.
//
// A Disk is cut into granules of 4 KiB. Each is in one of three states:
//
//	below    as the Reader below has it; so are all at first
//	written  in the temporary file, at its own place: the file is sparse
//	zero     set to zeros, without a place in the file
//
// A write of a part of a granule takes the rest of it from where it is. Memory
// grows with what was written, not with the disk: 8 KiB for each 128 MiB that
// have a granule that is not below.
//
// What was written is as secret as the set it belongs to, so the file holds it
// encrypted with AES-256-XTS, under a key that is made for the Disk, kept in
// memory only and gone with the program. The file has no name where the system
// allows that: nothing is left of it, even when the program is killed.
//
// Nothing here is durable: Sync is done when all is in the file, since there is
// no way to come back to it.
package overlay
