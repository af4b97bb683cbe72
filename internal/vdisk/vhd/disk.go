package vhd

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
	r      io.ReaderAt
	data   int64 // bytes of the file before its footer
	foot   footer
	size   int64
	head   header   // not of fixed disks
	table  []uint32 // the sector of each block
	torn   bool
	parent *Disk
	closer io.Closer // of this file; nil for the one that was given to Open
}

// Open reads the disk in a file of size bytes. Its parents are looked for where
// diskchain.Places says, from path on, and opened with open; a disk without
// parents needs neither. The file must not change as long as the Disk is in use;
// it is not closed by Close.
func Open(r io.ReaderAt, size int64, path string, open diskchain.Opener) (*Disk, error) {
	d, err := openFile(r, size, path)
	if err != nil {
		return nil, fmt.Errorf("VHD: %w", err)
	}
	if err := d.openParents(open); err != nil {
		return nil, errors.Join(fmt.Errorf("VHD: %w", err), d.Close())
	}
	return d, nil
}

// openFile reads what one file says, without its parents.
func openFile(r io.ReaderAt, size int64, path string) (*Disk, error) {
	d := &Disk{path: path, r: r}
	var err error
	if d.foot, d.data, d.torn, err = readFooter(r, size); err != nil {
		return nil, err
	}
	d.size = d.foot.diskSize()
	if d.foot.kind == typeFixed {
		if d.size > d.data {
			return nil, corrupt("a fixed disk of %d bytes in a file of %d", d.size, size)
		}
		return d, nil
	}
	if d.head, err = readHeader(r, d.foot.header); err != nil {
		return nil, err
	}
	d.table, err = readTable(r, &d.head, (d.size+d.head.block-1)/d.head.block, size)
	return d, err
}

// Size implements block.Reader: the bytes of the virtual disk.
func (d *Disk) Size() int64 { return d.size }

// LogicalSector is the size of a sector: 512, the format knows no other.
func (d *Disk) LogicalSector() int64 { return sectorSize }

// PhysicalSector is the same.
func (d *Disk) PhysicalSector() int64 { return sectorSize }

// Kind is fixed, dynamic or differencing.
func (d *Disk) Kind() string {
	return map[uint32]string{typeFixed: "fixed", typeDynamic: "dynamic", typeDifferencing: "differencing"}[d.foot.kind]
}

// BlockSize is the size of a block in bytes, 0 for a fixed disk.
func (d *Disk) BlockSize() int64 { return d.head.block }

// Torn reports whether the footer at the end of the file, or of that of a
// parent, is not whole: what was written last may be missing.
func (d *Disk) Torn() bool { return d.torn || d.parent != nil && d.parent.Torn() }

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
	if rest := max(d.size-off, 0); int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	if d.foot.kind == typeFixed {
		if err := full(d.r, p, off); err != nil {
			return 0, fmt.Errorf("VHD: %w", err)
		}
		return len(p), end
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		b, in := at/d.head.block, at%d.head.block
		n := int(min(int64(len(p)-done), d.head.block-in))
		if err := d.readBlock(p[done:][:n], b, in); err != nil {
			return done, err
		}
		done += n
	}
	return done, end
}

// readBlock fills p from byte in of a block on.
func (d *Disk) readBlock(p []byte, b, in int64) error {
	if d.table[b] == noBlock {
		return d.fromParent(p, b*d.head.block+in)
	}
	if d.foot.kind == typeDynamic {
		return d.payload(p, b, in)
	}
	first, end := in/sectorSize, (in+int64(len(p))+sectorSize-1)/sectorSize
	bits, err := d.bitmap(b)
	if err != nil {
		return err
	}
	for r := range bits.Runs(first, end-first) {
		lo := max((first+r.From)*sectorSize, in)
		hi := min((first+r.From+r.Len)*sectorSize, in+int64(len(p)))
		part := p[lo-in : hi-in]
		if r.Set {
			err = d.payload(part, b, lo)
		} else {
			err = d.fromParent(part, b*d.head.block+lo)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// payload fills p with the bytes that the file has of a block.
func (d *Disk) payload(p []byte, b, in int64) error {
	off := int64(d.table[b])*sectorSize + d.head.bitmap() + in
	if err := full(d.r, p, off); err != nil {
		return fmt.Errorf("VHD: block %d: %w", b, err)
	}
	return nil
}

// bitmap is that of a block: the highest bit of a byte is the first.
func (d *Disk) bitmap(b int64) (diskchain.Bitmap, error) {
	bits := make([]byte, d.head.bitmap())
	if err := full(d.r, bits, int64(d.table[b])*sectorSize); err != nil {
		return diskchain.Bitmap{}, fmt.Errorf("VHD: bitmap of block %d: %w", b, err)
	}
	return diskchain.Bitmap{Bytes: bits, HighFirst: true}, nil
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

// Used is the map of what this file and its parents hold. Bytes outside of it
// read as zeros; bytes inside may be zeros as well.
func (d *Disk) Used() block.Map {
	if d.foot.kind == typeFixed {
		return block.Whole(d.size)
	}
	if d.parent == nil {
		return d.held()
	}
	below := block.Clip(d.parent.Used(), 0, d.size)
	return block.Merge(d.held(), block.Subtract(below, d.held()))
}

// held is the map of what this file holds.
func (d *Disk) held() block.Map {
	return block.Joined(func(add func(block.Extent) bool) error {
		for b, at := range d.table {
			off := int64(b) * d.head.block
			all := block.Extent{Off: off, Len: min(d.head.block, d.size-off)}
			if at == noBlock {
				continue
			}
			if d.foot.kind == typeDynamic {
				if !add(all) {
					return nil
				}
				continue
			}
			bits, err := d.bitmap(int64(b))
			if err != nil {
				return err
			}
			for r := range bits.Runs(0, all.Len/sectorSize) {
				if r.Set && !add(block.Extent{Off: off + r.From*sectorSize, Len: r.Len * sectorSize}) {
					return nil
				}
			}
		}
		return nil
	})
}
