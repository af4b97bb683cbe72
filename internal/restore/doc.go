// Package restore is the engine that makes a disk out of block.Readers and
// block.Maps: the partitions of an image, of another disk, of a virtual disk.
//
// Prepare compares the source with what the target holds now and says what will
// be written and what will be lost; it changes nothing. Run then takes away the
// target's table and the front of the partitions it will fill, writes the
// contents but for that front, syncs, writes the fronts, syncs, and writes the
// table last, its very first sector at the end: a restore cut short cannot be
// taken for a whole one. What the source does not hold is left as the target has
// it: free space keeps its old bytes.
//
// The engine does not decide whether it may: who uses the target, and whether
// the user agrees, is the caller's to find out before Run.
package restore
