package filesys

import (
	"io"
	"strings"
)

// identities says where a file system keeps the number it is given when it is
// made: offset and length in bytes from the start of the partition.
func identities() map[string][2]int64 {
	return map[string][2]int64{
		"NTFS": {72, 8}, "FAT12": {39, 4}, "FAT16": {39, 4}, "FAT32": {67, 4}, "exFAT": {100, 4},
		"ext": {1024 + 104, 16}, "XFS": {32, 16}, "Btrfs": {65536 + 32, 16}, "LUKS1": {168, 40}, "LUKS2": {168, 40},
	}
}

// Identity gives the number a file system of this type was given when it was
// made, as the bytes on the disk: another one means that the partition was
// formatted anew. It is empty for types that have none, and where it cannot be
// read.
func Identity(typ string, r io.ReaderAt) string {
	if strings.HasPrefix(typ, "ext") {
		typ = "ext"
	}
	at, ok := identities()[typ]
	if !ok {
		return ""
	}
	b := make([]byte, at[1])
	if n, _ := r.ReadAt(b, at[0]); n < len(b) {
		return ""
	}
	return string(b)
}
