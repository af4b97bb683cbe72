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
// The engine never writes to its source and knows nothing of snapshots: the
// caller hands it Readers that hold still.
package backup
