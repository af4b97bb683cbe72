package image

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"ingot/internal/image/internal/frame"
)

// Names of metadata blocks, padded with spaces to 8 bytes.
const (
	nameJSON   = "$JSON   "
	nameTrack0 = "$TRACK0 "
	nameEPT    = "$EPT    "
	nameIndex  = "$INDEX  "
)

const (
	metaHeaderSize = 32
	footerSize     = 20
	footerMagic    = "MACRIUM_FILE"

	flagLast       = 1
	flagCompressed = 2
	flagEncrypted  = 4

	// maxMetaBlocks is how many blocks a list may have: readers skip names
	// they do not know, but not for ever.
	maxMetaBlocks = 4096
	// maxJSON and maxDiskMeta bound what is decompressed into memory.
	maxJSON     = 4 << 20
	maxDiskMeta = 4 << 20
	// maxJSONItems bounds what the JSON may become when it is decoded: a few
	// bytes of text can be a structure of some hundred.
	maxJSONItems = 1 << 17
)

// metaBlock is the header of one metadata block, and where its payload lies.
// Source: FILE_LAYOUT.md, MetadataBlockHeader.
type metaBlock struct {
	name  string
	pos   int64 // of the payload in the file
	size  int64 // of the payload as stored
	sum   [md5.Size]byte
	flags byte
}

// encode gives the 32 bytes of the header.
func (m *metaBlock) encode() []byte {
	b := make([]byte, metaHeaderSize)
	copy(b, m.name)
	binary.LittleEndian.PutUint32(b[8:], uint32(m.size))
	copy(b[12:], m.sum[:])
	b[28] = m.flags
	return b
}

// parseMetaHeader reads a header that stands at off, whose payload must end
// before limit.
func parseMetaHeader(b []byte, off, limit int64) (metaBlock, error) {
	m := metaBlock{
		name:  string(b[:8]),
		pos:   off + metaHeaderSize,
		size:  int64(binary.LittleEndian.Uint32(b[8:])),
		flags: b[28],
	}
	copy(m.sum[:], b[12:28])
	if b[0] != '$' {
		return m, damaged("no metadata block begins at byte %d", off)
	}
	if m.size > limit-m.pos {
		return m, damaged("metadata block %q at byte %d: length %d reaches over the end of the file", m.name, off, m.size)
	}
	return m, nil
}

// readList reads the headers of the list that begins at off; next is the byte
// behind it.
func readList(r io.ReaderAt, off, limit int64) (list []metaBlock, next int64, err error) {
	for len(list) < maxMetaBlocks {
		if off < 0 || off > limit-metaHeaderSize {
			return nil, 0, damaged("a metadata list runs over the end of the file at byte %d", off)
		}
		var b [metaHeaderSize]byte
		if _, err := r.ReadAt(b[:], off); err != nil {
			return nil, 0, fmt.Errorf("read metadata header at byte %d: %w", off, err)
		}
		m, err := parseMetaHeader(b[:], off, limit)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, m)
		off = m.pos + m.size
		if m.flags&flagLast != 0 {
			return list, off, nil
		}
	}
	return nil, 0, damaged("a metadata list has more than %d blocks", maxMetaBlocks)
}

// check reads the payload and compares its MD5. A payload of no length has
// none (seen in images of the vendor).
func (m *metaBlock) check(r io.ReaderAt) error {
	if m.size == 0 {
		return nil
	}
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, m.pos, m.size)); err != nil {
		return fmt.Errorf("read metadata block %q at byte %d: %w", m.name, m.pos, err)
	}
	if !bytes.Equal(h.Sum(nil), m.sum[:]) {
		return damaged("metadata block %q at byte %d: its MD5 is wrong", m.name, m.pos)
	}
	return nil
}

// payload gives the checked and decompressed payload, of at most limit bytes.
func (m *metaBlock) payload(r io.ReaderAt, limit int64) ([]byte, error) {
	if m.flags&flagEncrypted != 0 {
		return nil, fmt.Errorf("%w: metadata block %q is encrypted", ErrUnsupported, m.name)
	}
	if m.size > limit {
		return nil, damaged("metadata block %q at byte %d: length %d is more than the %d that make sense", m.name, m.pos, m.size, limit)
	}
	if err := m.check(r); err != nil {
		return nil, err
	}
	b := make([]byte, m.size)
	if _, err := r.ReadAt(b, m.pos); err != nil {
		return nil, fmt.Errorf("read metadata block %q at byte %d: %w", m.name, m.pos, err)
	}
	if m.flags&flagCompressed == 0 {
		return b, nil
	}
	out, err := decompressMeta(b, limit)
	if err != nil {
		return nil, damaged("metadata block %q at byte %d: %v", m.name, m.pos, err)
	}
	return out, nil
}

// decompressMeta decodes one zstd frame of metadata, of at most limit bytes.
func decompressMeta(b []byte, limit int64) ([]byte, error) {
	var head zstd.Header
	if err := head.Decode(b); err != nil {
		return nil, err
	}
	if !head.HasFCS || head.FrameContentSize > uint64(limit) {
		return nil, fmt.Errorf("the frame holds %d bytes (known: %t), more than the %d that make sense", head.FrameContentSize, head.HasFCS, limit)
	}
	out := make([]byte, head.FrameContentSize)
	n, err := frame.NewDecoder(frame.Medium).Decode(out, b)
	return out[:n], err
}

// newMeta makes a metadata block of a payload, compressed when that is smaller.
func newMeta(name string, payload []byte, last bool) (metaBlock, []byte) {
	m := metaBlock{name: name}
	if packed := frame.NewEncoder(frame.High).Encode(nil, payload); len(packed) < len(payload) {
		payload = packed
		m.flags |= flagCompressed
	}
	if last {
		m.flags |= flagLast
	}
	m.size, m.sum = int64(len(payload)), md5.Sum(payload)
	return m, payload
}

// footer is the end of an image file.
func footer(root int64) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(root)), footerMagic...)
}

// readFooter gives the offset of the root list.
func readFooter(r io.ReaderAt, size int64) (int64, error) {
	if size < footerSize+metaHeaderSize {
		return 0, ErrNotImage
	}
	var b [footerSize]byte
	if _, err := r.ReadAt(b[:], size-footerSize); err != nil {
		return 0, fmt.Errorf("read the footer at byte %d: %w", size-footerSize, err)
	}
	if string(b[8:]) != footerMagic {
		return 0, ErrNotImage
	}
	root := binary.LittleEndian.Uint64(b[:])
	if root > uint64(size-footerSize-metaHeaderSize) {
		return 0, damaged("footer: the root metadata is said to be at byte %d of %d", root, size)
	}
	return int64(root), nil
}
