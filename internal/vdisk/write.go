package vdisk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/internal/block"
	"ingot/internal/vdisk/qcow2"
	"ingot/internal/vdisk/raw"
	"ingot/internal/vdisk/vhd"
	"ingot/internal/vdisk/vhdx"
	"ingot/internal/vdisk/vmdk"
)

// Format is the name of a format.
type Format string

// The formats there are. All are read and written.
const (
	Raw      Format = "raw"
	VHDX     Format = "vhdx"
	VHD      Format = "vhd"
	VHDFixed Format = "vhd-fixed" // written only: read it is VHD
	QCOW2    Format = "qcow2"
	VMDK     Format = "vmdk"
)

// Formats are those that Write knows.
var Formats = []Format{VHDX, VHD, VHDFixed, QCOW2, VMDK, Raw}

// FormatOf is the format that the name of a file promises; "" when it promises
// none.
func FormatOf(name string) Format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".vhdx", ".avhdx":
		return VHDX
	case ".vhd":
		return VHD
	case ".qcow2":
		return QCOW2
	case ".vmdk":
		return VMDK
	case ".raw", ".img", ".dd":
		return Raw
	}
	return ""
}

// Target says what is written.
type Target struct {
	Format Format
	Size   int64 // of the disk in bytes, a multiple of Sector
	Sector int64 // of its logical sectors in bytes
	// Compress has qcow2 (zstd) and VMDK (streamOptimized) store less.
	Compress bool
	// Name is what the file will be called in the end; some formats keep it.
	Name string
}

// Check says whether Write can write the target.
func (t *Target) Check() error {
	switch {
	case !slices.Contains(Formats, t.Format):
		return fmt.Errorf("format %q is not written here", t.Format)
	case t.Compress && t.Format != QCOW2 && t.Format != VMDK:
		return fmt.Errorf("%s has no compression", t.Format)
	case t.Sector != 512 && (t.Format == VHD || t.Format == VHDFixed || t.Format == VMDK):
		return fmt.Errorf("%s has sectors of 512 bytes only, this disk has %d: choose vhdx, qcow2 or raw", t.Format, t.Sector)
	}
	return nil
}

// Write writes a disk to the empty file f: of r, which has Size bytes, what used
// holds, all else as zeros. progress is told how many bytes of used are done. f is
// not synced.
func Write(ctx context.Context, f *os.File, t Target, r block.Reader, used block.Map, progress func(int64)) error {
	if err := t.Check(); err != nil {
		return err
	}
	g := &gather{w: f}
	if err := t.write(ctx, f, g, r, used, progress); err != nil {
		return err
	}
	return g.flush()
}

// write has the package of the format write to g, which is before f.
func (t *Target) write(ctx context.Context, f *os.File, g *gather, r block.Reader, used block.Map, progress func(int64)) error {
	switch t.Format {
	case VHDX:
		return vhdx.Write(ctx, g, t.Size, r, used, vhdx.Options{Sector: t.Sector}, progress)
	case VHD, VHDFixed:
		return vhd.Write(ctx, g, t.Size, r, used, vhd.Options{Fixed: t.Format == VHDFixed}, progress)
	case QCOW2:
		return qcow2.Write(ctx, g, t.Size, r, used, qcow2.Options{Compress: t.Compress}, progress)
	case VMDK:
		return vmdk.Write(ctx, g, t.Size, r, used, vmdk.Options{Stream: t.Compress, Name: t.Name}, progress)
	}
	if err := f.Truncate(t.Size); err != nil {
		return err
	}
	return raw.Write(ctx, g, t.Size, r, used, progress)
}
