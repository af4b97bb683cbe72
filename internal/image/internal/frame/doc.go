// Package frame turns one block of a partition into the form in which an image
// file stores it, and back: the raw bytes when the image is not compressed,
// else one Zstandard frame (RFC 8878) that states its content size.
//
// How Encode runs: a block of one repeated byte becomes a ready frame of a few
// bytes. A block whose samples look like noise (data that is compressed or
// encrypted already) is wrapped in raw blocks without trying. All others go to
// the compressor: the C library where cgo is on, else the pure Go one. The
// frames of the two differ, the rules they follow do not.
//
// How Decode runs: header and block headers are walked first, which checks the
// content size against the room there is and finds the end of the frame; then
// exactly those bytes and exactly as much room as the header states are given to
// the decoder: the C library where cgo is on, else the pure Go one.
//
// The package promises nothing about the content: some damage gives other bytes
// and no error, more often with the C library than with the other decoder. It
// is the hash of the block that finds this. The package does not encrypt.
// Encoders and Decoders keep their buffers, so each worker has its own.
package frame
