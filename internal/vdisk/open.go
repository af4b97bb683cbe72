package vdisk

import (
	"context"
	"errors"
	"fmt"
	"os"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/vdisk/qcow2"
	"ingot/internal/vdisk/raw"
	"ingot/internal/vdisk/vhd"
	"ingot/internal/vdisk/vhdx"
	"ingot/internal/vdisk/vmdk"
)

// ErrUnsupported is wrapped by the error for a format that is known and not read
// here.
var ErrUnsupported = errors.New("this format of virtual disks is not read here")

// Options say what may be opened.
type Options struct {
	// Folders may hold files that a disk names, besides the folder of the disk
	// itself and those below it.
	Folders []string
	// TempDir is where images of partclone are unpacked to; "" is the system's
	// folder for temporary files.
	TempDir string
	// Raw takes the file as it is, whatever it begins with.
	Raw bool
}

// Disk is a virtual disk: a block.Reader. Close it.
type Disk struct {
	Format Format
	// Kind says more of the format, in its own words: dynamic, streamOptimized.
	Kind string
	// Sector is the size of a logical sector in bytes; 0: the format does not
	// tell.
	Sector int64
	// Files are the paths of all files it consists of, first the one that was
	// opened.
	Files []string
	// Notes are worth knowing.
	Notes []string

	block.Reader
	used  block.Map
	files *files
}

// Used is the map of what is not known to be zeros. Each walk asks anew.
func (d *Disk) Used() block.Map { return d.used }

// Close closes all files.
func (d *Disk) Close() error { return d.files.close() }

// probeSize is how much of a file tells its format.
const probeSize = 4096

// Open opens the virtual disk in the regular file at path. An image of partclone
// is unpacked, which takes a while.
func Open(ctx context.Context, path string, opts Options) (*Disk, error) {
	fs, err := newFiles(path, opts)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	d, err := fs.open(ctx, path, "", opts.Raw)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), fs.close())
	}
	d.Files, d.files = fs.names, fs
	return d, nil
}

// open opens one file of the chain. format is what names it says it is, "" for
// finding out.
func (fs *files) open(ctx context.Context, path, format string, asIs bool) (*Disk, error) {
	asIs = asIs || format == "raw"
	f, err := fs.take(path, asIs)
	if err != nil {
		return nil, err
	}
	fs.depth++
	defer func() { fs.depth-- }()
	if fs.depth > maxDepth {
		return nil, fmt.Errorf("more than %d files stand on each other", maxDepth)
	}
	if asIs {
		return fs.raw(f)
	}
	head := make([]byte, min(probeSize, f.Size()))
	tail := make([]byte, min(512, f.Size()))
	// What cannot be read there is no container, but a disk that fails.
	_, err1 := f.ReadAt(head, 0)
	if _, err2 := f.ReadAt(tail, f.Size()-int64(len(tail))); err1 != nil || err2 != nil {
		return fs.raw(f)
	}
	return fs.probe(ctx, f, head, tail)
}

// probe goes by how the file begins and, for a VHD of full size, ends.
func (fs *files) probe(ctx context.Context, f *file, head, tail []byte) (*Disk, error) {
	switch {
	case qcow2.Is(head):
		im, err := qcow2.Open(f, f.Size(), fs.named(ctx, f))
		if err != nil {
			return nil, err
		}
		return &Disk{Format: QCOW2, Reader: im, used: im.Used()}, nil
	case vmdk.Is(head):
		im, err := vmdk.Open(f, fs.named(ctx, f))
		if err != nil {
			return nil, err
		}
		return &Disk{Format: VMDK, Kind: im.Kind(), Reader: im, used: im.Used()}, nil
	case vhdx.Probe(head):
		d, err := vhdx.Open(f, f.Size(), f.path, fs.parent)
		if err != nil {
			return nil, err
		}
		out := &Disk{Format: VHDX, Kind: d.Kind(), Sector: d.LogicalSector(), Reader: d, used: d.Used()}
		switch {
		case d.TornLog():
			out.Notes = append(out.Notes, "the disk was not closed by the one that wrote it last, which stopped within its first entry in the log: nothing of that was done yet")
		case d.Replayed():
			out.Notes = append(out.Notes, "the disk was not closed by the one that wrote it last: its log was replayed in memory")
		}
		return out, nil
	}
	if vhd.Probe(head, tail) {
		d, err := vhd.Open(f, f.Size(), f.path, fs.parent)
		if err != nil {
			return nil, err
		}
		out := &Disk{Format: VHD, Kind: d.Kind(), Sector: d.LogicalSector(), Reader: d, used: d.Used()}
		if d.Kind() == "fixed" {
			out.used = block.Intersect(d.Used(), f.used(), d.Size())
		}
		if d.Torn() {
			out.Notes = append(out.Notes, "the end of the file is missing or damaged: its copy at the front was used")
		}
		return out, nil
	}
	if isPartclone(f.path, head) {
		fs.forget(f) // it is taken again, with the others of a row
		return fs.partition(ctx, f.path)
	}
	if name := foreign(head); name != "" {
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, name)
	}
	return fs.raw(f)
}

// foreign names formats that are known by how they begin, and not read.
func foreign(head []byte) string {
	for _, f := range []struct {
		at         int
		mark, name string
	}{
		{64, "\x7f\x10\xda\xbe", "VDI of VirtualBox ('qemu-img convert' makes a qcow2 of it)"},
		{0, "QED\x00", "QED of QEMU"},
		{0, "WithoutFreeSpace", "Parallels"}, {0, "WithouFreSpacExt", "Parallels"},
		{0, "EVF\x09\x0d\x0a\xff\x00", "EnCase (E01)"}, {0, "AFF10\r\n", "AFF"},
		{0, "MSWIM\x00\x00\x00", "WIM, which holds files and no disk"},
	} {
		if len(head) >= f.at+len(f.mark) && string(head[f.at:][:len(f.mark)]) == f.mark {
			return f.name
		}
	}
	return ""
}

// raw takes the file as it is, or as the first part of a disk that is cut.
func (fs *files) raw(f *file) (*Disk, error) {
	d := &Disk{Format: Raw, Reader: f, used: f.used()}
	names, err := raw.Parts(f.path)
	if err != nil || names == nil {
		return d, err
	}
	d.Kind = fmt.Sprintf("%d parts", len(names))
	parts := []raw.Part{{Reader: f, Used: f.used()}}
	for _, name := range names[1:] {
		f, err := fs.take(name, true)
		if err != nil {
			return nil, err
		}
		parts = append(parts, raw.Part{Reader: f, Used: f.used()})
	}
	j := raw.Join(parts)
	d.Reader, d.used = j, j.Used()
	return d, nil
}

// file is an open file: read as disks are, and asked for its holes.
type file struct {
	*disk.File
	path string
	os   *os.File
}

func (f *file) used() block.Map { return raw.Allocated(f.os, f.Size()) }
