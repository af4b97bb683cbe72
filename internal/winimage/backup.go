package winimage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/vdisk"
	"ingot/internal/vdisk/wib"
)

// Volume is a volume of a backup: a block.Reader of it.
type Volume struct {
	wib.Disk
	block.Reader
	// Used is the map of what is not known to be zeros.
	Used block.Map
	// Start is the byte of its disk at which the volume says it began; 0 if it
	// does not tell.
	Start  int64
	MBR    byte // type of its partition in an MBR
	sector int64
	disk   *vdisk.Disk
}

// Size implements block.Reader: the bytes of the volume, not of its file.
func (v *Volume) Size() int64 { return v.Reader.Size() }

// Backup is an open backup. Close it.
type Backup struct {
	wib.Backup
	Volumes []*Volume
	Sector  int64 // bytes of a logical sector
	// Files are all that were opened.
	Files []string
	Notes []string
}

// Open opens all virtual disks of a backup.
func Open(ctx context.Context, b wib.Backup) (*Backup, error) {
	out := &Backup{Backup: b, Sector: 512}
	for i := range b.Disks {
		v, err := openVolume(ctx, b.Disks[i])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the volume %s: %w", b.Disks[i].Name(), err), out.Close())
		}
		out.Volumes = append(out.Volumes, v)
		out.Files = append(out.Files, v.disk.Files...)
		for _, n := range v.disk.Notes {
			out.Notes = append(out.Notes, v.Name()+": "+n)
		}
		if i > 0 && v.sector != out.Sector {
			return nil, errors.Join(fmt.Errorf("the volumes %s and %s have sectors of %d and %d bytes: they are not of one disk",
				out.Volumes[0].Name(), v.Name(), out.Sector, v.sector), out.Close())
		}
		out.Sector = v.sector
	}
	if len(out.Volumes) == 0 {
		return nil, fmt.Errorf("%s: %w: it has no virtual disk", b.Path, wib.ErrNone)
	}
	return out, nil
}

// Close closes all virtual disks.
func (b *Backup) Close() error {
	var errs []error
	for _, v := range b.Volumes {
		errs = append(errs, v.disk.Close())
	}
	return errors.Join(errs...)
}

// openVolume opens a virtual disk that must hold one volume: in a partition, as
// Windows writes it, or without a table.
func openVolume(ctx context.Context, d wib.Disk) (*Volume, error) {
	vd, err := vdisk.Open(ctx, d.Path, vdisk.Options{})
	if err != nil {
		return nil, err
	}
	v := &Volume{Disk: d, disk: vd, sector: max(vd.Sector, 512), MBR: 0x07}
	if err := v.find(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", d.Path, err), vd.Close())
	}
	return v, nil
}

func (v *Volume) find() error {
	if v.disk.Format != vdisk.VHD && v.disk.Format != vdisk.VHDX {
		return fmt.Errorf("it is no VHD or VHDX but %s", v.disk.Format)
	}
	l, err := disk.Parse(v.disk, v.sector)
	if err != nil {
		return err
	}
	var in []disk.Partition
	for _, p := range l.Partitions {
		if !p.MSR {
			in = append(in, p)
		}
	}
	if len(in) != 1 {
		return fmt.Errorf("it holds %d partitions, where a backup has one volume", len(in))
	}
	p := in[0]
	if p.MBRType != 0 {
		v.MBR = p.MBRType
	}
	if v.Reader, err = block.Section(v.disk, p.Off, p.Len); err != nil {
		return err
	}
	v.Used = block.Clip(v.disk.Used(), p.Off, p.Len)
	return v.readStart()
}

// readStart reads the "hidden sectors" of the boot sector, which NTFS and FAT
// have at the same place (offset 28): those before the volume on its disk.
func (v *Volume) readStart() error {
	b := make([]byte, 512)
	if _, err := v.ReadAt(b, 0); err != nil {
		return err
	}
	known := bytes.Equal(b[3:11], []byte("NTFS    ")) || bytes.HasPrefix(b[54:], []byte("FAT")) || bytes.HasPrefix(b[82:], []byte("FAT32"))
	if known && b[510] == 0x55 && b[511] == 0xaa {
		v.Start = int64(binary.LittleEndian.Uint32(b[28:])) * v.sector
	}
	return nil
}
