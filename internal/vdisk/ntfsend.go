package vdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"ingot/internal/block"
)

// ntfsEnd is an NTFS partition whose last sector is the copy of the boot sector
// that belongs there. It lies behind the last cluster, and partclone leaves it
// out.
type ntfsEnd struct {
	block.Reader
	boot [512]byte
}

// withEnd puts the copy of the boot sector at the end of an NTFS partition of
// whole sectors; what does not begin as NTFS stays as it is.
func withEnd(r block.Reader, used block.Map) (block.Reader, block.Map, error) {
	n := &ntfsEnd{Reader: r}
	if r.Size() < 2*512 || r.Size()%512 != 0 {
		return r, used, nil
	}
	if _, err := r.ReadAt(n.boot[:], 0); err != nil {
		return nil, nil, fmt.Errorf("read the boot sector: %w", err)
	}
	if !bytes.HasPrefix(n.boot[3:], []byte("NTFS    ")) {
		return r, used, nil
	}
	return n, block.Merge(used, block.Extents{{Off: r.Size() - 512, Len: 512}}), nil
}

// ReadAt implements block.Reader.
func (n *ntfsEnd) ReadAt(p []byte, off int64) (int, error) {
	got, err := n.Reader.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return got, err
	}
	end := n.Size() - 512
	if lo := max(off, end); lo < off+int64(got) {
		copy(p[lo-off:got], n.boot[lo-end:])
	}
	return got, err
}
