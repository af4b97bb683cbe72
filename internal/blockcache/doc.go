// Package blockcache keeps the blocks of a block.Reader that were read last, for
// readers whose blocks are dear: those of an image have to be fetched,
// decrypted, decompressed and hashed before one byte of them is given out, and
// file systems ask for a few bytes at a time.
//
// A read takes what lies in the cache. A block that does not is loaded by the
// one who asks first, while all others wait for it; so a cold read of 4 KiB
// costs one block, however many ask. Reads that follow each other have some
// blocks more loaded with the one they need, twice as many each time, on
// several cores. Large reads go to the Reader itself and leave the cache alone.
//
// The cache is bounded: the blocks that nobody has asked for longest go first,
// and their memory is used again. No goroutine outlives the call of ReadAt that
// started it. Errors are not kept: the next read tries again. What is cached is
// never looked at again, so the Reader must not change.
package blockcache
