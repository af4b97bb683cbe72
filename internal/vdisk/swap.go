package vdisk

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// swapPage is how much of a swap area its header takes: a page of a PC.
const swapPage = 4096

// swapArea is a swap area that is empty: a header, and zeros.
type swapArea struct {
	head []byte
	size int64
}

var swapUUID = regexp.MustCompile(`(?m)\bUUID="?([0-9A-Fa-f-]{36})"?`)
var swapLabel = regexp.MustCompile(`(?m)\bLABEL="?([^"\n]*)"?`)

// newSwap makes a swap area of size bytes as mkswap does (union swap_header of
// Linux, include/linux/swap.h), with the UUID and label that info has.
func newSwap(info []byte, size int64) (*swapArea, error) {
	if size < 10*swapPage {
		return nil, fmt.Errorf("a swap area of %d bytes", size)
	}
	b := make([]byte, swapPage)
	binary.LittleEndian.PutUint32(b[1024:], 1)
	binary.LittleEndian.PutUint32(b[1028:], uint32(min(size/swapPage-1, 1<<32-1)))
	if m := swapUUID.FindSubmatch(info); m != nil {
		id, err := hex.DecodeString(strings.ReplaceAll(string(m[1]), "-", ""))
		if err != nil || len(id) != 16 {
			return nil, errors.New("the UUID of its swap area cannot be read")
		}
		copy(b[1036:], id)
	}
	if m := swapLabel.FindSubmatch(info); m != nil {
		copy(b[1052:1068], m[1])
	}
	copy(b[swapPage-10:], "SWAPSPACE2")
	return &swapArea{b, size}, nil
}

// Size implements block.Reader.
func (s *swapArea) Size() int64 { return s.size }

// ReadAt implements block.Reader.
func (s *swapArea) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.size {
		return 0, fmt.Errorf("read byte %d of a swap area of %d bytes", off, s.size)
	}
	n := min(int64(len(p)), s.size-off)
	clear(p[:n])
	if off < swapPage {
		copy(p[:n], s.head[off:])
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}
