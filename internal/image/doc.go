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
// they say fits into the file. It gives a Chain, one point in time, whose
// Volumes are block.Readers: bytes that are not stored read as zeros, and no
// byte is given out before the MD5 of its block was right. Verify goes through
// all of it and lists what is damaged. Indexes are never held in memory.
//
// Compression and hashing of blocks are packages below internal/. Encrypted,
// split, differential and incremental files are refused by name.
package image
