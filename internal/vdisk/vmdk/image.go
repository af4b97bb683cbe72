package vmdk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"ingot/internal/block"
)

// OpenFile opens a file that a disk names: an extent, in the format raw, which
// lies beside it, or its parent, in the format vmdk, which is an Image.
type OpenFile func(name, format string) (block.Reader, block.Map, error)

// Image is the disk: a block.Reader. It does not close the files.
type Image struct {
	kind    string
	cid     string // of the content, as the descriptor has it
	extents []extent
	size    int64
	parent  block.Reader
	below   block.Map // what of parent matters
}

var _ block.Reader = (*Image)(nil)

// extent is a range of the disk: one of flat and sparse, or zeros.
type extent struct {
	start, size int64
	flat        block.Reader
	flatOff     int64
	used        block.Map // of flat
	sparse      *sparse
}

func (e *extent) end() int64 { return e.start + e.size }

// Is says whether a file that begins with head is a disk, or a part of one.
func Is(head []byte) bool {
	return bytes.HasPrefix(head, []byte(Magic)) || bytes.HasPrefix(head, []byte("COWD")) ||
		bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n\ufeff"), []byte(descriptorMark))
}

// Open reads the descriptor or sparse extent f of size bytes, and what it names
// by way of open.
func Open(f block.Reader, open OpenFile) (*Image, error) {
	head := make([]byte, min(f.Size(), maxDescriptor))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the start of the file: %w", err)
	}
	if bytes.HasPrefix(head, []byte("COWD")) {
		return nil, fmt.Errorf("%w: a sparse extent of an ESX host", ErrUnsupported)
	}
	if open == nil {
		open = func(name, _ string) (block.Reader, block.Map, error) {
			return nil, nil, fmt.Errorf("%w: it needs the file %q", ErrUnsupported, name)
		}
	}
	if bytes.HasPrefix(head, []byte(Magic)) {
		return openMonolith(f, open)
	}
	d, err := parseDescriptor(head)
	if err != nil {
		return nil, err
	}
	im := &Image{kind: d.createType, cid: d.cid}
	for i := range d.extents {
		if err := im.add(&d.extents[i], open); err != nil {
			return nil, err
		}
	}
	return im, im.openParent(d, open)
}

// openMonolith opens a sparse extent with a descriptor inside, which names it by
// the name it had when it was made.
func openMonolith(f block.Reader, open OpenFile) (*Image, error) {
	s, err := openSparse(f, f.Size())
	if err != nil {
		return nil, err
	}
	im := &Image{kind: "monolithicSparse", extents: []extent{{size: s.h.capacity, sparse: s}}, size: s.h.capacity}
	if s.h.descriptorOff == 0 {
		return nil, fmt.Errorf("%w: it is one extent of several; open the descriptor, a small .vmdk file without a number", ErrUnsupported)
	}
	text := make([]byte, s.h.descriptorLen)
	if err := fillFrom(f, f.Size(), text, s.h.descriptorOff); err != nil {
		return nil, fmt.Errorf("read the descriptor inside: %w", err)
	}
	d, err := parseDescriptor(text)
	if err != nil {
		return nil, err
	}
	if len(d.extents) != 1 {
		return nil, fmt.Errorf("%w: a descriptor of %d extents inside of an extent", ErrUnsupported, len(d.extents))
	}
	im.kind, im.cid = d.createType, d.cid
	return im, im.openParent(d, open)
}

// add opens the next extent of the disk.
func (im *Image) add(line *extentLine, open OpenFile) error {
	e := extent{start: im.size, size: line.size}
	im.size += line.size
	if im.size > 1<<62 {
		return corrupt("its extents are %d bytes together", im.size)
	}
	if line.kind != "ZERO" {
		r, used, err := open(line.name, "raw")
		if err != nil {
			return fmt.Errorf("open the extent %q: %w", line.name, err)
		}
		if line.kind == "SPARSE" {
			if e.sparse, err = openSparse(r, r.Size()); err != nil {
				return fmt.Errorf("extent %q: %w", line.name, err)
			}
			if e.sparse.h.capacity < e.size {
				return corrupt("the extent %q has %d bytes, and should have %d", line.name, e.sparse.h.capacity, e.size)
			}
		} else {
			e.flat, e.flatOff, e.used = r, line.start, used
			if r.Size()-line.start < e.size {
				return corrupt("the extent %q has %d bytes from byte %d on, and should have %d", line.name, r.Size()-line.start, line.start, e.size)
			}
		}
	}
	im.extents = append(im.extents, e)
	return nil
}

// openParent opens the disk to which this one is the difference.
func (im *Image) openParent(d *descriptor, open OpenFile) error {
	if d.parentCID == noParent || d.parentCID == "" {
		return nil
	}
	if d.parentHint == "" {
		return corrupt("it is the difference to a parent (CID %s) that it does not name", d.parentCID)
	}
	var err error
	if im.parent, im.below, err = open(d.parentHint, "vmdk"); err != nil {
		return fmt.Errorf("open the parent %q: %w", d.parentHint, err)
	}
	p, ok := im.parent.(*Image)
	if !ok || p.cid != d.parentCID {
		return corrupt("the parent %q is not what it was (CID %s): it was written to since, or it is another disk", d.parentHint, d.parentCID)
	}
	return nil
}

// Kind is the createType of the descriptor.
func (im *Image) Kind() string { return im.kind }

// Size implements block.Reader: that of the disk in bytes.
func (im *Image) Size() int64 { return im.size }

// ReadAt implements block.Reader.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > im.size {
		return 0, fmt.Errorf("read byte %d of a disk of %d bytes", off, im.size)
	}
	whole := len(p)
	p = p[:min(int64(len(p)), im.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		n, err := im.readSome(p[done:], at)
		if err != nil {
			return done, fmt.Errorf("read byte %d of the disk: %w", at, err)
		}
		done += n
	}
	if len(p) < whole {
		return len(p), io.EOF
	}
	return len(p), nil
}

// at is the extent of byte off of the disk, which has one.
func (im *Image) at(off int64) *extent {
	i, _ := slices.BinarySearchFunc(im.extents, off, func(e extent, at int64) int { return cmp.Compare(e.end(), at+1) })
	return &im.extents[i]
}

// readSome reads what is of one run at off, and says how much that was.
func (im *Image) readSome(p []byte, off int64) (int, error) {
	e := im.at(off)
	r, err := e.lookup(off-e.start, int64(len(p)))
	if err != nil {
		return 0, err
	}
	p = p[:r.n]
	switch {
	case r.kind == absent && im.parent != nil:
		if err := fillFrom(im.parent, im.parent.Size(), p, off); err != nil {
			return 0, fmt.Errorf("parent: %w", err)
		}
	case r.kind == absent || r.kind == zero:
		clear(p)
	case e.flat != nil:
		err = fillFrom(e.flat, e.flat.Size(), p, r.host)
	default:
		err = e.sparse.fill(p, off-e.start, r)
	}
	return len(p), err
}

// lookup says what lies at off of the extent.
func (e *extent) lookup(off, n int64) (run, error) {
	n = min(n, e.size-off)
	switch {
	case e.flat != nil:
		return run{kind: data, n: n, host: e.flatOff + off}, nil
	case e.sparse != nil:
		return e.sparse.lookup(off, n)
	}
	return run{kind: zero, n: n}, nil
}

// Used is the map of what is not known to be zeros. Each walk reads the tables
// anew.
func (im *Image) Used() block.Map {
	own := owned{im, func(k kind) bool { return k == data || k == packed }}
	if im.parent == nil {
		return block.Merge(own)
	}
	here := owned{im, func(k kind) bool { return k != absent }}
	return block.Merge(own, block.Subtract(block.Clip(im.below, 0, im.size), here))
}

// owned is the map of the runs of some kinds.
type owned struct {
	im   *Image
	want func(kind) bool
}

// Extents implements block.Map. Extents may touch.
func (m owned) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for i := range m.im.extents {
			if !m.walk(&m.im.extents[i], yield) {
				return
			}
		}
	}
}

func (m owned) walk(e *extent, yield func(block.Extent, error) bool) bool {
	if e.flat != nil && m.im.parent == nil { // holes of a flat extent do not show a parent
		for x, err := range block.Shift(block.Clip(e.used, e.flatOff, e.size), e.start).Extents() {
			if !yield(x, err) || err != nil {
				return false
			}
		}
		return true
	}
	for off := int64(0); off < e.size; {
		r, err := e.lookup(off, e.size-off)
		if err != nil {
			yield(block.Extent{}, fmt.Errorf("walk the tables at byte %d of the disk: %w", e.start+off, err))
			return false
		}
		if m.want(r.kind) && !yield(block.Extent{Off: e.start + off, Len: r.n}, nil) {
			return false
		}
		off += r.n
	}
	return true
}
