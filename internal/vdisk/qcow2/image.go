package qcow2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"ingot/internal/block"
)

// OpenFile opens a file that an image names: its backing file, in the format
// that it gives or "" when it gives none, or its data file, in the format raw.
// It decides whether the name may be followed.
type OpenFile func(name, format string) (block.Reader, block.Map, error)

// Image is the disk in an image: a block.Reader. It does not close the files.
type Image struct {
	h       *header
	t       *tables
	data    io.ReaderAt // what data lie in
	size    int64       // of that, bytes
	backing block.Reader
	below   block.Map // what of backing matters
	packs   *unpacker
}

var _ block.Reader = (*Image)(nil)

// Open reads the header of the image file f of size bytes. open may be nil, and
// an image that names other files is then refused.
func Open(f io.ReaderAt, size int64, open OpenFile) (*Image, error) {
	h, err := parseHeader(f, size)
	if err != nil {
		return nil, err
	}
	im := &Image{h: h, t: &tables{f: f, h: h, size: size, held: block.NewShelf(maxSlices)}, data: f, size: size}
	im.packs = newUnpacker(f, h)
	if err := im.t.readL1(); err != nil {
		return nil, err
	}
	if open == nil {
		open = func(name, _ string) (block.Reader, block.Map, error) {
			return nil, nil, fmt.Errorf("%w: it needs the file %q", ErrUnsupported, name)
		}
	}
	if h.external() {
		r, _, err := open(h.data, "raw")
		if err != nil {
			return nil, fmt.Errorf("open the data file %q: %w", h.data, err)
		}
		im.data, im.size = r, r.Size()
	}
	if h.backing != "" {
		if im.backing, im.below, err = open(h.backing, h.backingFormat); err != nil {
			return nil, fmt.Errorf("open the backing file %q: %w", h.backing, err)
		}
	}
	return im, nil
}

// Size implements block.Reader: that of the disk in bytes.
func (im *Image) Size() int64 { return im.h.size }

// ReadAt implements block.Reader.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > im.h.size {
		return 0, fmt.Errorf("read byte %d of a disk of %d bytes", off, im.h.size)
	}
	whole := len(p)
	p = p[:min(int64(len(p)), im.h.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		r, err := im.t.lookup(at, int64(len(p)-done))
		if err == nil {
			err = im.fill(p[done:][:r.n], at, r)
		}
		if err != nil {
			return done, fmt.Errorf("read byte %d of the disk: %w", at, err)
		}
		done += int(r.n)
	}
	if len(p) < whole {
		return len(p), io.EOF
	}
	return len(p), nil
}

// fill reads the run r, which begins at byte at of the disk and is as long as p.
func (im *Image) fill(p []byte, at int64, r run) error {
	switch r.kind {
	case zero:
		clear(p)
		return nil
	case data:
		return fillFrom(im.data, im.size, p, r.host)
	case packed:
		return im.packs.read(p, at%im.h.clusterSize(), r)
	}
	if im.backing == nil {
		clear(p)
		return nil
	}
	if err := fillFrom(im.backing, im.backing.Size(), p, at); err != nil {
		return fmt.Errorf("backing file: %w", err)
	}
	return nil
}

// fillFrom reads p at off of f, which has size bytes and zeros behind them.
func fillFrom(f io.ReaderAt, size int64, p []byte, off int64) error {
	n := max(min(int64(len(p)), size-off), 0)
	clear(p[n:])
	if n == 0 {
		return nil
	}
	if got, err := f.ReadAt(p[:n], off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %d bytes at byte %d of the file: %w", n, off, err)
	}
	return nil
}

// Used is the map of what is not known to be zeros. Each walk reads the tables
// anew.
func (im *Image) Used() block.Map {
	own := owned{im, func(k kind) bool { return k == data || k == packed }}
	if im.backing == nil {
		return own
	}
	here := owned{im, func(k kind) bool { return k != absent }}
	return block.Merge(own, block.Subtract(block.Clip(im.below, 0, im.h.size), here))
}

// owned is the map of the runs of some kinds.
type owned struct {
	im   *Image
	want func(kind) bool
}

// Extents implements block.Map.
func (m owned) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		var cur block.Extent
		for off := int64(0); off < m.im.h.size; {
			r, err := m.im.t.lookup(off, m.im.h.size-off)
			if err != nil {
				yield(block.Extent{}, fmt.Errorf("walk the tables at byte %d of the disk: %w", off, err))
				return
			}
			if m.want(r.kind) && cur.Len > 0 && cur.End() == off {
				cur.Len += r.n
			} else if m.want(r.kind) {
				if cur.Len > 0 && !yield(cur, nil) {
					return
				}
				cur = block.Extent{Off: off, Len: r.n}
			}
			off += r.n
		}
		if cur.Len > 0 {
			yield(cur, nil)
		}
	}
}

// Is says whether a file that begins with head is an image.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(Magic)) }
