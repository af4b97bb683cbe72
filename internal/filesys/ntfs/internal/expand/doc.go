// Package expand undoes the compressions in which NTFS keeps the contents of
// files: LZNT1 of compressed files, XPRESS (with Huffman codes) and LZX of the
// files that Windows 10 and 11 compact.
//
// Each function takes all of the compressed bytes of one unit or chunk and
// fills dst, whose length is that of the expanded bytes; the caller knows it
// from the file system. A function takes no more memory than a few KiB of
// tables, whatever it is given, and its time is bounded by the lengths of both.
// Bytes that are no such compression are an error, and dst is then undefined.
//
// Sources: [MS-XCA] 2.1, 2.2 and 2.5 for LZNT1 and XPRESS; [MS-PATCH] for LZX,
// with what differs in the form that WIM files and the Windows Overlay Filter
// use: a window of 32 KiB, blocks of 32 KiB unless they say otherwise, and the
// call translation with a fixed size of 12,000,000 bytes.
package expand
