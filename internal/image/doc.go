// Package image owns the image file: the Reflect X layout (.mrimgx), how it is
// written front to back and how a point in time is read out of it.
//
// Writing: Create gives a Writer. For each partition, blocks are brought into
// stored form by an Encoder (one for each worker) and handed to the Writer in
// ascending order as Batches; it appends their bytes to the file and their
// elements to the index. Commit writes the metadata behind the data: a list
// for each disk ($TRACK0, $EPT), one for each partition ($INDEX), the root list
// ($JSON) and the footer that makes the file an image.
//
// Reading: Open reads footer and JSON, finds the indexes and checks that all
// they say fits into the file; of what else of its set a point in time needs,
// ReadSets finds the files, by their content. It gives a Chain, one point in
// time, whose Volumes are block.Readers: bytes that are not stored read as zeros,
// and no byte is given out before the hash of its block in the index was right
// and, in a sealed set, its tag. Delta indexes are laid over a full one as a
// stream, into a flat index that lies in a temporary file when it is large.
// Verify goes through all of it and lists what is damaged.
//
// Keeping: a Base says what the parent of a new point holds; a Consolidation
// merges points; Set.Delete and Tidy remove files that nothing needs. A file of a
// set is never written to, only replaced as a whole.
//
// Compression, hashing and encryption of blocks are packages below internal/.
package image
