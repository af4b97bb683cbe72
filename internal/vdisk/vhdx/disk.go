package vhdx

import (
	"errors"
	"fmt"
	"io"

	"ingot/internal/block"
	"ingot/internal/diskchain"
)

// Disk is a virtual disk: a block.Reader of its bytes.
type Disk struct {
	path   string
	head   header
	meta   metadata
	m      *image
	tables *cache
	bat    region
	parent *Disk
	closer io.Closer // of this file; nil for the one that was given to Open
}

// Open reads the disk in a file of size bytes. Its parents are looked for where
// diskchain.Places says, from path on, and opened with open; a disk without
// parents needs neither. The file must not change as long as the Disk
// is in use; it is not closed by Close.
func Open(r io.ReaderAt, size int64, path string, open diskchain.Opener) (*Disk, error) {
	d, err := openFile(r, size, path)
	if err != nil {
		return nil, fmt.Errorf("VHDX: %w", err)
	}
	if err := d.openParents(open); err != nil {
		return nil, errors.Join(fmt.Errorf("VHDX: %w", err), d.Close())
	}
	return d, nil
}

// openFile reads what one file says, without its parents.
func openFile(r io.ReaderAt, size int64, path string) (*Disk, error) {
	mark := make([]byte, len(fileMark))
	if err := full(r, mark, 0); err != nil {
		return nil, err
	}
	if !Probe(mark) {
		return nil, corrupt("no signature at byte 0")
	}
	d := &Disk{path: path, m: &image{r: r, real: size, size: size, pages: map[int64]logPage{}}}
	var err error
	if d.head, err = readHeader(r); err != nil {
		return nil, err
	}
	if err := d.m.replay(d.head); err != nil {
		return nil, err
	}
	all, err := readRegions(d.m)
	if err != nil {
		return nil, err
	}
	if d.meta, err = readMetadata(d.m, all.metadata); err != nil {
		return nil, fmt.Errorf("metadata at byte %d: %w", all.metadata.off, err)
	}
	d.bat, d.tables = all.bat, &cache{m: d.m, pages: map[int64][]byte{}}
	if need := d.entries() * 8; need > d.bat.len || d.bat.off > d.m.size-need {
		return nil, corrupt("block table of %d bytes at %d, a disk of %d bytes needs %d", d.bat.len, d.bat.off, d.meta.size, need)
	}
	return d, nil
}

// Size implements block.Reader: the bytes of the virtual disk.
func (d *Disk) Size() int64 { return d.meta.size }

// LogicalSector is the size of a sector of the virtual disk, 512 or 4096.
func (d *Disk) LogicalSector() int64 { return d.meta.logical }

// PhysicalSector is the size that the disk says its sectors really have.
func (d *Disk) PhysicalSector() int64 { return d.meta.physical }

// Kind is fixed, dynamic or differencing.
func (d *Disk) Kind() string {
	switch {
	case d.meta.hasParent:
		return "differencing"
	case d.meta.fixed:
		return "fixed"
	}
	return "dynamic"
}

// BlockSize is the size of a block, in bytes.
func (d *Disk) BlockSize() int64 { return d.meta.block }

// Replayed reports whether the file, or one of its parents, had a log to replay:
// it was not closed by the one that wrote it last.
func (d *Disk) Replayed() bool {
	return d.head.log != guid{} || d.parent != nil && d.parent.Replayed()
}

// TornLog reports whether the log of the file, or of that of a parent, holds
// entries of which none is whole. That is so when a machine stopped while the
// first was written; nothing it was about has been done to the file then.
func (d *Disk) TornLog() bool {
	return d.m.torn || d.parent != nil && d.parent.TornLog()
}

// Parent is the disk this one is the difference to; nil if there is none.
func (d *Disk) Parent() *Disk { return d.parent }

// Path is what the file was opened by.
func (d *Disk) Path() string { return d.path }

// Close closes the parents.
func (d *Disk) Close() error {
	var err error
	if d.parent != nil {
		err = d.parent.Close()
	}
	if d.closer != nil {
		err = errors.Join(err, d.closer.Close())
	}
	return err
}

// ReadAt implements block.Reader.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at byte %d", off)
	}
	var end error
	if rest := max(d.meta.size-off, 0); int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		b, in := at/d.meta.block, at%d.meta.block
		n := int(min(int64(len(p)-done), d.meta.block-in))
		if err := d.readBlock(p[done:][:n], b, in); err != nil {
			return done, err
		}
		done += n
	}
	return done, end
}

// readBlock fills p from byte in of a block on.
func (d *Disk) readBlock(p []byte, b, in int64) error {
	e, err := d.entry(b)
	if err != nil {
		return err
	}
	switch e.state {
	case statePresent:
		return d.payload(p, b, e.off+in)
	case statePartial:
		return d.readPartial(p, b, in, e)
	case stateAbsent:
		return d.fromParent(p, b*d.meta.block+in)
	}
	clear(p)
	return nil
}

func (d *Disk) payload(p []byte, b, off int64) error {
	if _, err := d.m.ReadAt(p, off); err != nil {
		return fmt.Errorf("VHDX: read block %d: %d bytes at byte %d: %w", b, len(p), off, err)
	}
	return nil
}

// fromParent fills p with what the parent has at off: zeros where there is none
// or it is shorter.
func (d *Disk) fromParent(p []byte, off int64) error {
	n := 0
	if d.parent != nil {
		n = int(min(int64(len(p)), max(d.parent.Size()-off, 0)))
	}
	clear(p[n:])
	if n == 0 {
		return nil
	}
	_, err := d.parent.ReadAt(p[:n], off)
	return err
}

// readPartial fills p from a block of which the bitmap says which sectors are
// here.
func (d *Disk) readPartial(p []byte, b, in int64, e batEntry) error {
	bits, first, err := d.bitmap(b, in, int64(len(p)))
	if err != nil {
		return err
	}
	end := in + int64(len(p))
	for r := range bits.Runs(first%8, (end+d.meta.logical-1)/d.meta.logical-first) {
		lo, hi := max((first+r.From)*d.meta.logical, in), min((first+r.From+r.Len)*d.meta.logical, end)
		part := p[lo-in : hi-in]
		if r.Set {
			err = d.payload(part, b, e.off+lo)
		} else {
			err = d.fromParent(part, b*d.meta.block+lo)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Used is the map of what this file and its parents hold. Bytes outside of it
// read as zeros; bytes inside may be zeros as well.
func (d *Disk) Used() block.Map {
	if d.parent == nil {
		return d.blocks(isHeld)
	}
	below := block.Clip(d.parent.Used(), 0, d.meta.size)
	return block.Merge(d.blocks(isHeld), block.Subtract(below, d.blocks(isDecided)))
}
