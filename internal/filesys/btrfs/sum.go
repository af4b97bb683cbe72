package btrfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/blake2b"
)

// sumSize is the space for the checksum at the start of superblock and tree
// blocks; the checksum is of what follows it.
const sumSize = 32

// The kinds of checksums (btrfs_tree.h, enum btrfs_csum_type).
const (
	sumCRC32C = iota
	sumXXHash
	sumSHA256
	sumBLAKE2
)

// summed reports whether b begins with the checksum of the rest of it.
func summed(kind uint16, b []byte) (bool, error) {
	var sum []byte
	rest := b[sumSize:]
	switch kind {
	case sumCRC32C:
		sum = binary.LittleEndian.AppendUint32(nil, crc32.Checksum(rest, crc32.MakeTable(crc32.Castagnoli)))
	case sumXXHash:
		sum = binary.LittleEndian.AppendUint64(nil, xxhash.Sum64(rest))
	case sumSHA256:
		s := sha256.Sum256(rest)
		sum = s[:]
	case sumBLAKE2:
		s := blake2b.Sum256(rest)
		sum = s[:]
	default:
		return false, fmt.Errorf("unknown kind of checksum %d", kind)
	}
	return bytes.HasPrefix(b, sum), nil
}
