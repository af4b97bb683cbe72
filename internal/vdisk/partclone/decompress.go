package partclone

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the most memory a zstd stream may ask for, that of the zstd
// program.
const maxWindow = 128 << 20

// Is says whether a file that begins with head is an image that is not
// compressed.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }

// Decompress undoes the compression that the stream r begins with, if any. Close
// the result.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, _ := br.Peek(6) // a shorter stream is no image, which its reader finds out
	for _, c := range []struct {
		mark string
		open func(io.Reader) (io.ReadCloser, error)
		name string
	}{
		{"\x1f\x8b", func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }, "gzip"},
		{"\x28\xb5\x2f\xfd", openZstd, "zstd"},
		{"BZh", func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil }, "bzip2"},
		{"\xfd7zXZ\x00", nil, "xz"}, {"\x04\x22\x4d\x18", nil, "lz4"}, {"\x89LZO", nil, "lzop"}, {"LZIP", nil, "lzip"}, {"LRZI", nil, "lrzip"},
		{"\x5d\x00\x00", nil, "lzma"},
	} {
		if !bytes.HasPrefix(head, []byte(c.mark)) {
			continue
		}
		if c.open == nil {
			return nil, fmt.Errorf("%w: it is compressed with %s; decompress the files first, or save with zstd or gzip", ErrUnsupported, c.name)
		}
		out, err := c.open(br)
		if err != nil {
			return nil, corrupt("%s: %v", c.name, err)
		}
		return out, nil
	}
	return io.NopCloser(br), nil
}

func openZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
