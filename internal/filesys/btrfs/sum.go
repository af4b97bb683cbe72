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
	sum, err := sumOf(kind, b[sumSize:])
	return err == nil && bytes.HasPrefix(b, sum), err
}

// sumOf is the checksum of b.
func sumOf(kind uint16, b []byte) ([]byte, error) {
	switch kind {
	case sumCRC32C:
		return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), nil
	case sumXXHash:
		return binary.LittleEndian.AppendUint64(nil, xxhash.Sum64(b)), nil
	case sumSHA256:
		s := sha256.Sum256(b)
		return s[:], nil
	case sumBLAKE2:
		s := blake2b.Sum256(b)
		return s[:], nil
	}
	return nil, fmt.Errorf("unknown kind of checksum %d", kind)
}
