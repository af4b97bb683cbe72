// Package backup is the engine that makes an image: block.Reader and block.Map
// in, image file out.
//
// Prepare looks at the source: which partitions, what lies in them, which of
// their bytes matter. Run then goes through the partitions one after the other.
// The used map is cut into windows of neighbouring blocks; a window is read with
// one large read, what is free in it is set to zeros (so that deleted data
// neither leaks nor looks like change), and it is hashed, compressed and
// appended to the file. Blocks without a used byte are neither read nor stored.
// What a volume has as Zeroed, such as files that are left out, is stored as
// zeros, lest a restore leaves there what its target holds.
//
// With a parent, a block whose hash is that of the parent's is not stored. Where
// the MFT of an NTFS volume is asked what changed (Options.Changes), blocks that
// it shows as unchanged are not read either; every tenth time all are, and what
// that finds to have been missed is counted and kept in the image.
//
// The engine never writes to its source and knows nothing of snapshots: the
// caller hands it Readers that hold still.
package backup
