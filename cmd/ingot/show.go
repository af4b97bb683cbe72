package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/image"
	"ingot/internal/result"
)

func newShow(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "show IMAGE[@TIME]",
		Short: "Show what an image holds",
		Long: `Show the disks and partitions that an image holds, when and how it was made, and
how large its contents are, on the disk and as stored.

` + pointHelp,
		Example: `  ingot show /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx
  ingot show image.mrimgx --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.show(cmd.Context(), a[0]) },
	}
}

func (c *console) show(ctx context.Context, path string) error {
	ch, err := c.openPoint(ctx, path)
	if err != nil {
		return err
	}
	defer ch.Close()
	v, err := viewImage(ch.Path(), ch.Chain)
	if err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	if c.json {
		return c.emit(v)
	}
	c.note("%s  %s", v.File, size(v.Size))
	c.note("  %s image %s of %s, made on %s by %s", v.Type, v.ImageID, v.Host, v.Time.Format("2006-01-02 15:04:05 MST"), v.Maker)
	c.note("  %d blocks: %s on the disk, %s stored (compression %s)", v.Blocks, size(v.Raw), size(v.Stored), v.Compression)
	switch {
	case v.Sealed:
		c.note("  encrypted with %s and authenticated", v.Encryption)
	case v.Encryption != "none":
		c.note("  encrypted with %s, not authenticated", v.Encryption)
	}
	if v.Bootable {
		c.note("  holds what Windows needs to start")
	}
	if v.Comment != "" {
		c.note("  comment: %s", v.Comment)
	}
	if len(v.Definition) > 0 {
		c.note("  definition: %s", shorten(string(v.Definition), 400))
	}
	c.note("")
	for i := range v.Disks {
		if err := printDisk(c.out, &v.Disks[i]); err != nil {
			return err
		}
	}
	return nil
}

// shorten cuts a text that is too long to be read at a glance.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "... (--json shows all of it)"
	}
	return s
}

func viewImage(path string, ch *image.Chain) (*result.Image, error) {
	h := &ch.Doc.Header
	v := &result.Image{
		File: path, Size: ch.Size, ImageID: h.ImageID, GUID: h.BackupGUID, Type: h.BackupType,
		Time: time.Unix(h.BackupTime, 0), Host: h.NetBIOSName, Maker: "Ingot " + ch.Doc.Auxiliary.Maker,
		Compression: ch.Doc.Compression.Level, Bootable: ch.Doc.Auxiliary.Bootable, Definition: ch.Doc.Auxiliary.Definition,
	}
	if v.Encryption = ch.Doc.Encryption.AESType; v.Encryption == "" {
		v.Encryption = "none"
	}
	v.Sealed = ch.Sealed()
	if ch.Doc.Auxiliary.Maker == "" {
		v.Maker = "another program"
	}
	var def struct {
		Comment string `json:"comment"`
	}
	if json.Unmarshal(v.Definition, &def) == nil {
		v.Comment = def.Comment
	}
	for i, d := range ch.Disks() {
		dv, err := viewChainDisk(d)
		if err != nil {
			return nil, fmt.Errorf("disk %d: %w", i+1, err)
		}
		for _, p := range d.Partitions {
			t, err := p.Totals()
			if err != nil {
				return nil, err
			}
			v.Blocks += t.Blocks
			v.Raw += t.Raw
			v.Stored += t.Stored
		}
		v.Disks = append(v.Disks, dv)
	}
	return v, nil
}

// viewChainDisk is a disk as the image describes it.
func viewChainDisk(d *image.ChainDisk) (result.Disk, error) {
	info := disk.Info{
		Vendor: d.Doc.Descriptor.Manufacturer, Model: d.Doc.Descriptor.ProductID, Serial: d.Doc.Descriptor.Serial,
		Removable: d.Doc.Geometry.MediaType == "removable_media", Size: d.Doc.Geometry.DiskSize,
		LogicalSector: d.Doc.Geometry.BytesPerSector,
	}
	v := viewDisk(info, d.Layout)
	for _, vol := range d.Partitions {
		fs := &vol.Doc.FileSystem
		p := result.Partition{Number: int(vol.Doc.Header.Number), Off: vol.Doc.Geometry.Start, Size: vol.Doc.Geometry.Length}
		if dp, ok := partitionAt(d.Layout, p.Off); ok {
			p = viewPart(dp, filesys.Info{})
			p.Number = int(vol.Doc.Header.Number)
		}
		t, err := vol.Totals()
		if err != nil {
			return v, err
		}
		p.FileSystem, p.Label, p.Block = cmp.Or(fs.Kind, fs.Type), fs.VolumeLabel, vol.BlockSize()
		p.Serial, p.RecoveryKeys = fs.Serial, fs.RecoveryKeys
		if len(p.RecoveryKeys) > 0 {
			p.Warnings = append(p.Warnings, filesys.RecoveryKeyAdvice(p.RecoveryKeys))
		}
		p.Stored, p.Used = t.Stored, t.Raw
		if fs.TotalClusters > 0 && fs.SectorsPerCluster > 0 {
			p.Cluster = fs.SectorsPerCluster * v.Sector
			p.Used = min((fs.TotalClusters-fs.FreeClusters)*p.Cluster+fs.ReservedLength, p.Size)
		}
		v.Partitions = append(v.Partitions, p)
	}
	return v, nil
}

// partitionAt is the partition of the table that begins at off. An image's own
// numbers need not be those of the table.
func partitionAt(l *disk.Layout, off int64) (disk.Partition, bool) {
	for _, p := range l.Partitions {
		if p.Off == off {
			return p, true
		}
	}
	return disk.Partition{}, false
}
