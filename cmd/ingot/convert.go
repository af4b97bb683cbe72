package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/backup"
	"ingot/internal/block"
	"ingot/internal/dest/folder"
	"ingot/internal/job"
	"ingot/internal/restore"
	"ingot/internal/vdisk"
)

// imageFormat is the format of --format that is no virtual disk.
const imageFormat = "mrimgx"

// convertFlags are the flags of ingot convert.
type convertFlags struct {
	format                          string
	disk                            int
	compress, allSectors, force     bool
	check, dryRun, mounted, noSpace bool
	source                          sourceFlags
}

func newConvert(c *console) *cobra.Command {
	var fl convertFlags
	cmd := &cobra.Command{
		Use:   "convert FROM TO",
		Short: "Make a virtual disk of an image or a disk, or an image of a virtual disk",
		Long: `Make a virtual disk of a point in time, of a disk or of another virtual disk; or an
image of a virtual disk. FROM is an image file or folder, IMAGE[@TIME], a disk, or a
disk-image file: raw, split raw (.001), VHDX, VHD, qcow2 or VMDK, told by its content.
It may be a folder of Clonezilla or an image of partclone, which is unpacked to
temporary files first (--temp-dir). FROM is never written to.

FROM may be the folder of a Windows system image, too: the root of its drive,
WindowsImageBackup, or a folder in it; the newest backup is taken. Its volumes are
put into one disk again. Where they lay is taken from themselves, or else they lie
one behind the other; the identity of the disk is a new one, so Windows may have
to be told where it is now (bcdboot, startup repair). --layout has the table of
the disk itself, as sfdisk --dump prints it or as the first MiB of the disk.

The ending of TO says what is written: .vhdx (Hyper-V), .vhd (Hyper-V, Azure), .qcow2
(QEMU, KVM, Proxmox), .vmdk (VMware, VirtualBox), .raw or .img, or .mrimgx (an image,
which begins a set of its own). --format says it for other names, and vhd-fixed for a VHD of
full size. --compress makes qcow2 and VMDK smaller; a compressed VMDK is for import.

What file systems do not use, and zeros, take no space in TO and read as zeros.
--all-sectors keeps what deleted files have left. A disk must hold still meanwhile:
partitions that are mounted writable are refused.

TO appears under its name when it is complete and on stable storage.

A virtual disk may stand on others. They are read from its own folder and those
below it, and from each --backing-folder; never from devices or addresses.`,
		Example: `  ingot convert /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx machine.vhdx
  ingot convert /mnt/backup@2026-11-20 machine.qcow2 --compress
  sudo ingot convert /dev/sda machine.vmdk
  ingot convert old.vhd new.vhdx --check
  ingot convert machine.qcow2 machine.mrimgx`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.convert(cmd.Context(), a[0], a[1], &fl) },
	}
	f := cmd.Flags()
	f.StringVar(&fl.format, "format", "", "vhdx, vhd, vhd-fixed, qcow2, vmdk, raw or mrimgx (default: by the ending of TO)")
	f.IntVar(&fl.disk, "disk", 1, "which disk of an image, counted from 1")
	f.BoolVar(&fl.compress, "compress", false, "compress qcow2 (zstd, read by QEMU from 5.1 on) or VMDK (streamOptimized)")
	f.BoolVar(&fl.allSectors, "all-sectors", false, "convert free space too")
	f.BoolVar(&fl.force, "force", false, "replace TO if it exists")
	f.BoolVar(&fl.noSpace, "no-space-check", false, "begin even if there may not be room for TO")
	f.BoolVar(&fl.check, "check", false, "read TO back before it gets its name and compare")
	f.BoolVar(&fl.mounted, "allow-mounted", false, "convert a disk with partitions that are mounted writable (their files may be inconsistent)")
	f.BoolVar(&fl.dryRun, "dry-run", false, "say what would be written, and write nothing")
	fl.source.add(f)
	return cmd
}

// formatOf is what is to be written: --format, or what the ending of TO says.
func (fl *convertFlags) formatOf(to string) (string, error) {
	format := fl.format
	if format == "" && strings.EqualFold(filepath.Ext(to), backup.Extension) {
		format = imageFormat
	}
	format = cmp.Or(format, string(vdisk.FormatOf(to)))
	if format == "" {
		return "", usageError{fmt.Errorf("the name %s does not tell a format: say --format vhdx, vhd, vhd-fixed, qcow2, vmdk, raw or mrimgx", to)}
	}
	if format == imageFormat {
		if fl.compress {
			return "", usageError{errors.New("--compress is for qcow2 and VMDK: an image is compressed anyway")}
		}
		return format, nil
	}
	t := vdisk.Target{Format: vdisk.Format(format), Sector: 512, Compress: fl.compress}
	if err := t.Check(); err != nil {
		return "", usageError{err}
	}
	return format, nil
}

func (c *console) convert(ctx context.Context, from, to string, fl *convertFlags) error {
	format, err := fl.formatOf(to)
	if err != nil {
		return err
	}
	o, err := c.openOrigin(ctx, from, fl, format == imageFormat)
	if err != nil {
		return err
	}
	defer o.close()
	if err := o.mayBecome(to, fl); err != nil {
		return err
	}
	if format == imageFormat {
		return c.convertToImage(ctx, o, to, fl)
	}
	k := &conversion{origin: o, to: to, fl: fl}
	if err := k.prepare(ctx, vdisk.Format(format)); err != nil {
		return err
	}
	if fl.dryRun {
		return c.printConversion(k.report("dry run"))
	}
	log := c.log()
	o.tell(log)
	began := time.Now()
	if err := k.run(ctx, log); err != nil {
		return fmt.Errorf("convert %s to %s: %w", from, to, err)
	}
	r := k.report("done")
	r.Seconds, r.Warnings = time.Since(began).Seconds(), log.Warnings()
	return c.printConversion(r)
}

// mayBecome refuses a TO that is a disk, or lies on what is converted, or is a
// part of it.
func (o *origin) mayBecome(to string, fl *convertFlags) error {
	st, err := os.Stat(to)
	switch {
	case inDev(to):
		return refuse("%s is a disk, or would be a file among devices: 'ingot restore' writes to disks, and takes virtual disks too", to)
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return refuse("%s is no file: 'ingot restore' writes to disks, and takes virtual disks too", to)
	}
	held, err := o.holds(to)
	if err != nil {
		return err
	}
	if held {
		return refuse("%s lies on what is to be converted, or is a part of it: choose another place", to)
	}
	if st != nil && !fl.force {
		return refuse("%s exists: say --force to replace it", to)
	}
	return nil
}

// conversion is one virtual disk that is to be written.
type conversion struct {
	*origin
	to     string
	fl     *convertFlags
	target vdisk.Target
	store  *folder.Store
	bytes  int64 // of the origin that will be read
	free   int64 // at the destination
	size   int64 // of the file, when it is written
}

// prepare finds out how much there is to do, and whether there is room.
func (k *conversion) prepare(ctx context.Context, format vdisk.Format) (err error) {
	k.target = vdisk.Target{
		Format: format, Sector: k.sector, Compress: k.fl.compress, Name: filepath.Base(k.to),
		Size: (k.reader.Size() + k.sector - 1) / k.sector * k.sector,
	}
	if err := k.target.Check(); err != nil {
		return refuse("%s: %w", k.name, err)
	}
	if k.store, err = folder.New(filepath.Dir(k.to)); err != nil {
		return err
	}
	if k.bytes, err = block.Bytes(k.used); err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	if k.free, err = k.store.Free(ctx); err != nil {
		return err
	}
	need := k.bytes
	if format == vdisk.VHDFixed {
		need = k.target.Size
	}
	if !k.fl.noSpace && !k.fl.compress && k.free >= 0 && k.free < need {
		return refuse("%s has %s free, %s may need %s: choose another place, or say --no-space-check if much of it is zeros", filepath.Dir(k.to), size(k.free), k.to, size(need))
	}
	return nil
}

// run writes the disk to a file of another name, and gives it its own.
func (k *conversion) run(ctx context.Context, log *job.Log) error {
	dir, name := filepath.Split(k.to)
	f, err := os.CreateTemp(cmp.Or(dir, "."), name+".*.partial")
	if err != nil {
		return err
	}
	gone := func() error { return errors.Join(f.Close(), os.Remove(f.Name())) }
	if err := k.write(ctx, f, log); err != nil {
		return errors.Join(err, gone())
	}
	if _, err := os.Stat(k.to); err == nil && !k.fl.force {
		return errors.Join(refuse("%s has come to be meanwhile", k.to), gone())
	}
	if err := f.Close(); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := k.store.Rename(ctx, filepath.Base(f.Name()), name); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// write fills the file, has it on stable storage, and looks at it again.
func (k *conversion) write(ctx context.Context, f *os.File, log *job.Log) error {
	meter := log.Stage("convert", k.bytes)
	var done int64
	err := vdisk.Write(ctx, f, k.target, padded{k.reader, k.target.Size}, k.used, func(n int64) {
		done += n
		meter.Add(n)
	})
	if err != nil {
		return err
	}
	meter.End()
	if done != k.bytes {
		return fmt.Errorf("only %d of %d bytes came out of it", done, k.bytes)
	}
	log.Note("waiting until everything is on the disk")
	if err := errors.Join(f.Sync(), k.changed()); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	k.size = st.Size()
	if k.fl.check {
		return k.compare(ctx, f.Name(), log)
	}
	return nil
}

// compare reads the file back: what was to be converted is there, and nothing
// else.
func (k *conversion) compare(ctx context.Context, path string, log *job.Log) error {
	d, err := vdisk.Open(ctx, path, vdisk.Options{Raw: k.target.Format == vdisk.Raw})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	defer d.Close()
	if d.Size() != k.target.Size {
		return fmt.Errorf("check: %w: it has %d bytes, not %d", restore.ErrDiffers, d.Size(), k.target.Size)
	}
	meter := log.Stage("check", k.bytes)
	want, got := make([]byte, compareChunk), make([]byte, compareChunk)
	src := padded{k.reader, k.target.Size}
	all := block.Merge(k.used, d.Used())
	wanted := block.NewCursor(k.used)
	defer wanted.Stop()
	for p, err := range block.Pieces(all, 512, compareChunk, k.target.Size) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("check: %w", err)
		}
		one := block.Piece{Extent: p.Extent}
		if one.Used, err = wanted.Within(p.Extent); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		if err := one.Load(src, want); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		if _, err := d.ReadAt(got[:p.Len], p.Off); err != nil {
			return fmt.Errorf("check: read byte %d of %s: %w", p.Off, path, err)
		}
		if string(want[:p.Len]) != string(got[:p.Len]) {
			return fmt.Errorf("check: %w: bytes %d to %d", restore.ErrDiffers, p.Off, p.End()-1)
		}
		meter.Add(one.Bytes())
	}
	meter.End()
	return nil
}

// convertReport is the result of ingot convert.
type convertReport struct {
	Status   string   `json:"status"`
	From     string   `json:"from"`
	File     string   `json:"file"`
	Format   string   `json:"format"`
	Disk     int64    `json:"disk_bytes"`
	Sector   int64    `json:"sector_bytes"`
	Read     int64    `json:"read_bytes"`
	Size     int64    `json:"file_bytes,omitempty"`
	Free     int64    `json:"free_bytes"`
	Seconds  float64  `json:"seconds"`
	Checked  bool     `json:"checked"`
	Warnings []string `json:"warnings"`
	Notes    []string `json:"notes"`
}

func (k *conversion) report(status string) *convertReport {
	return &convertReport{
		Status: status, From: k.name, File: k.to, Format: string(k.target.Format), Disk: k.target.Size, Sector: k.sector, Read: k.bytes,
		Size: k.size, Free: k.free, Checked: k.fl.check && status == "done", Warnings: append([]string{}, k.warnings...), Notes: append([]string{}, k.notes...),
	}
}

func (c *console) printConversion(r *convertReport) error {
	if c.json {
		return c.emit(r)
	}
	if r.Status != "done" {
		for _, n := range append(r.Notes, r.Warnings...) {
			c.note("%s", n)
		}
		c.note("%s: a disk of %s, of which %s would be written to %s (%s). %s are free there. Nothing was written.", r.From, size(r.Disk), size(r.Read), r.File, r.Format, size(r.Free))
		return nil
	}
	c.note("%s: %s, a disk of %s", r.File, r.Format, size(r.Disk))
	c.note("%s read, the file has %s, %.1f s, %.0f MB/s", size(r.Read), size(r.Size), r.Seconds, float64(r.Read)/1e6/max(r.Seconds, 0.001))
	if r.Checked {
		c.note("checked: it holds what was to be converted")
	}
	if n := len(r.Warnings); n > 0 {
		c.note("done with %d warnings (see above)", n)
	}
	return nil
}

// compareChunk is how much is compared at a time.
const compareChunk = 1 << 20
