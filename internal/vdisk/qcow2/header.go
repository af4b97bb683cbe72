package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Magic is how an image begins.
const Magic = "QFI\xfb"

var (
	// ErrCorrupt is wrapped by the error for an image that contradicts itself
	// or has been marked as corrupt.
	ErrCorrupt = errors.New("the qcow2 image is damaged")
	// ErrUnsupported is wrapped by the error for what is not read here.
	ErrUnsupported = errors.New("this kind of qcow2 image is not read here")
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// Bits of the incompatible features (section Header).
const (
	featDirty = 1 << iota
	featCorrupt
	featData
	featCompression
	featExtended

	featKnown = featDirty | featCorrupt | featData | featCompression | featExtended
)

// Kinds of header extensions (section Header extensions).
const (
	extEnd      = 0
	extBacking  = 0xE2792ACA
	extFeatures = 0x6803F857
	extData     = 0x44415441
)

// Limits of what is believed. The first level of the largest image that QEMU
// makes is 32 MiB long.
const (
	minClusterBits = 9
	maxClusterBits = 21
	maxL1          = 32 << 20
	maxName        = 1023
)

// header is the head of an image.
type header struct {
	version       uint32
	clusterBits   uint32
	size          int64 // of the disk, bytes
	l1Size        int64 // entries
	l1Offset      int64
	incompatible  uint64
	compression   byte // 0 deflate, 1 zstd
	backing       string
	backingFormat string
	data          string // name of an external data file
}

func (h *header) clusterSize() int64 { return 1 << h.clusterBits }
func (h *header) extended() bool     { return h.incompatible&featExtended != 0 }
func (h *header) external() bool     { return h.incompatible&featData != 0 }

// entrySize is the size of an entry of the second level in bytes.
func (h *header) entrySize() int64 {
	if h.extended() {
		return 16
	}
	return 8
}

// l2Entries is the number of entries in a table of the second level.
func (h *header) l2Entries() int64 { return h.clusterSize() / h.entrySize() }

// parseHeader reads the head of f, an image file of size bytes.
func parseHeader(f io.ReaderAt, size int64) (*header, error) {
	b := make([]byte, min(size, 4096))
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if len(b) < 72 || !bytes.HasPrefix(b, []byte(Magic)) {
		return nil, corrupt("it does not begin as one")
	}
	be := binary.BigEndian
	h := &header{version: be.Uint32(b[4:]), clusterBits: be.Uint32(b[20:])}
	if h.version != 2 && h.version != 3 {
		return nil, fmt.Errorf("%w: version %d", ErrUnsupported, h.version)
	}
	if h.clusterBits < minClusterBits || h.clusterBits > maxClusterBits {
		return nil, corrupt("cluster_bits is %d", h.clusterBits)
	}
	if err := cipher(be.Uint32(b[32:])); err != nil {
		return nil, err
	}
	length := int64(72)
	if h.version == 3 {
		if len(b) < 104 {
			return nil, corrupt("the header is cut short")
		}
		h.incompatible, length = be.Uint64(b[72:]), int64(be.Uint32(b[100:]))
		if length < 104 || length > min(h.clusterSize(), int64(len(b))) {
			return nil, corrupt("header_length is %d", length)
		}
		if length > 104 {
			h.compression = b[104]
		}
	}
	if err := h.parseExtensions(f, size, length); err != nil {
		return nil, err
	}
	return h, h.geometry(b, size)
}

// cipher refuses an encrypted image.
func cipher(method uint32) error {
	switch method {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%w: it is encrypted (AES)", ErrUnsupported)
	case 2:
		return fmt.Errorf("%w: it is encrypted (LUKS)", ErrUnsupported)
	}
	return corrupt("crypt_method is %d", method)
}

// geometry checks the sizes of the disk and of the first level.
func (h *header) geometry(b []byte, size int64) error {
	be := binary.BigEndian
	disk, l1Size, l1Offset := be.Uint64(b[24:]), be.Uint32(b[36:]), be.Uint64(b[40:])
	perTable := h.l2Entries() << h.clusterBits
	h.size, h.l1Size, h.l1Offset = int64(disk), int64(l1Size), int64(l1Offset)
	if disk > 1<<62 {
		return corrupt("the disk would have %d bytes", disk)
	}
	need := (h.size + perTable - 1) / perTable
	switch {
	case h.l1Size*8 > maxL1:
		return corrupt("l1_size is %d", h.l1Size)
	case h.l1Size < need:
		return corrupt("l1_size is %d, a disk of %d bytes needs %d", h.l1Size, h.size, need)
	case h.l1Size > 0 && (l1Offset%uint64(h.clusterSize()) != 0 || h.l1Offset <= 0 || h.l1Offset > size-h.l1Size*8):
		return corrupt("the l1 table at byte %d does not lie in the file", l1Offset)
	}
	h.l1Size = need
	return nil
}

// parseExtensions reads what follows the header up to the first cluster's end,
// and the name of the backing file, and refuses features that are not known.
func (h *header) parseExtensions(f io.ReaderAt, size, length int64) error {
	b := make([]byte, min(h.clusterSize(), size, 64<<10))
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the header extensions: %w", err)
	}
	be := binary.BigEndian
	nameOff, nameLen := be.Uint64(b[8:]), be.Uint32(b[16:])
	if nameOff != 0 {
		if nameLen > maxName || nameOff > uint64(len(b)) || nameOff+uint64(nameLen) > uint64(len(b)) {
			return corrupt("the backing file's name of %d bytes at byte %d lies outside of the first cluster", nameLen, nameOff)
		}
		h.backing = string(b[nameOff:][:nameLen])
		b = b[:max(int64(nameOff), length)] // extensions end before it
	}
	names := map[byte]string{}
	for at := length; at+8 <= int64(len(b)); {
		kind, n := be.Uint32(b[at:]), int64(be.Uint32(b[at+4:]))
		if kind == extEnd {
			break
		}
		if n > int64(len(b))-at-8 {
			return corrupt("header extension %08X at byte %d has %d bytes", kind, at, n)
		}
		h.extension(kind, b[at+8:][:n], names)
		at += 8 + (n+7)/8*8
	}
	return h.features(names)
}

// extension takes in one header extension; those that do not matter to a reader
// are passed over.
func (h *header) extension(kind uint32, b []byte, names map[byte]string) {
	switch kind {
	case extBacking:
		h.backingFormat = string(b)
	case extData:
		h.data = string(b)
	case extFeatures:
		for ; len(b) >= 48; b = b[48:] {
			if b[0] == 0 { // of the incompatible ones
				names[b[1]] = strings.TrimRight(string(b[2:48]), "\x00")
			}
		}
	}
}

// features refuses what cannot be read soundly. A dirty image is one whose
// reference counts are behind, which a reader does not need.
func (h *header) features(names map[byte]string) error {
	for bit := range byte(64) {
		if h.incompatible&^featKnown&(1<<bit) != 0 {
			return fmt.Errorf("%w: it has the feature %q (bit %d)", ErrUnsupported, names[bit], bit)
		}
	}
	switch {
	case h.incompatible&featCorrupt != 0:
		return fmt.Errorf("%w: QEMU has marked it as corrupt; 'qemu-img check -r all' may repair it", ErrCorrupt)
	case h.compression > 1:
		return fmt.Errorf("%w: compression type %d", ErrUnsupported, h.compression)
	case (h.compression != 0) != (h.incompatible&featCompression != 0):
		return corrupt("compression type %d, and the feature bit says something else", h.compression)
	case h.extended() && h.clusterBits < 14:
		return corrupt("subclusters in clusters of %d bytes", h.clusterSize())
	case h.external() && h.data == "":
		return corrupt("its external data file has no name")
	}
	return nil
}
