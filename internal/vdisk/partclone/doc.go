// Package partclone reads the images of partitions that partclone writes, of
// versions 0001 and 0002, as Clonezilla keeps them: compressed or not.
//
// An image is a stream: a header, a bitmap of the blocks of the file system, and
// the blocks that are in use, with checksums between them. It has no places one
// could go to, so Unpack goes through it once, from a reader that Decompress
// gives, and puts each block in its place in a sparse file, with the bitmap
// behind the end of the partition. The result is a Volume: a block.Reader of the
// partition, with the map of its used blocks, which is read from the file as it is
// walked. Checksums of the header, the bitmap and the blocks are compared on the
// way; those of version 0001 cover little, as the program that made them was in
// error (only the first byte of a block counts).
//
// gzip, zstd and bzip2 are undone; other compressions are refused by name. The
// facts are those of IMAGE_FORMATS.md of partclone.
package partclone
