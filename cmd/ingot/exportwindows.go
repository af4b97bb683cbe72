package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/vdisk"
)

// exportFlags are the flags of ingot export-windows.
type exportFlags struct {
	disk       int
	partitions string
}

func newExportWindows(c *console) *cobra.Command {
	var fl exportFlags
	cmd := &cobra.Command{
		Use:   "export-windows IMAGE FOLDER",
		Short: "Write a VHDX for each volume of an image, arranged as Windows arranges its system images",
		Long: `Write the volumes of a point in time as one VHDX each into
FOLDER/HOST/Backup DATE TIME, as Windows arranges its system images. Windows opens each
of them by a double click (or "Mount-DiskImage"), on any machine.

It is no system image that Windows promises to restore: the catalogs beside real
ones are not documented and are not written, so "System Image Recovery" and wbadmin
are not expected to list it. 'ingot restore' restores a disk, from the image or from
this folder. To have Windows itself write its kind of backup, run on Windows

  ingot image C: --to E: --format windows

which calls wbadmin. That has not been tried on a real Windows by those who wrote it.

` + pointHelp,
		Example: `  ingot export-windows /mnt/backup /mnt/usb
  ingot export-windows /mnt/backup@2026-11-20 /mnt/usb --partitions 3`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.exportWindows(cmd.Context(), a[0], a[1], &fl) },
	}
	f := cmd.Flags()
	f.IntVar(&fl.disk, "disk", 1, "which disk of the image, counted from 1")
	f.StringVar(&fl.partitions, "partitions", "", "only these partitions, by their number in the image: 1,3 (default all)")
	return cmd
}

// exported is one volume that was written.
type exported struct {
	Partition int    `json:"partition"`
	File      string `json:"file"`
	Volume    int64  `json:"volume_bytes"`
	Size      int64  `json:"file_bytes"`
}

// exportReport is the result of ingot export-windows.
type exportReport struct {
	Status   string     `json:"status"`
	Folder   string     `json:"folder"`
	Volumes  []exported `json:"volumes"`
	Warnings []string   `json:"warnings"`
}

func (c *console) exportWindows(ctx context.Context, ref, to string, fl *exportFlags) error {
	numbers, err := numberList(fl.partitions)
	if err != nil {
		return usageError{err}
	}
	p, err := c.openPoint(ctx, ref)
	if err != nil {
		return err
	}
	defer p.Close()
	if fl.disk < 1 || fl.disk > len(p.Disks()) {
		return usageError{fmt.Errorf("--disk is %d: the image holds %d disks", fl.disk, len(p.Disks()))}
	}
	if err := p.CheckIndex(ctx); err != nil {
		return err
	}
	e := &export{disk: p.Disks()[fl.disk-1], log: c.log(), taken: map[string]bool{}}
	if e.volumes, err = chosenVolumes(e.disk, numbers); err != nil {
		return err
	}
	e.final = exportFolder(to, p)
	if _, err := os.Lstat(e.final); err == nil {
		return refuse("%s exists", e.final)
	}
	if err := e.run(ctx); err != nil {
		return fmt.Errorf("export %s: %w", ref, err)
	}
	r := &exportReport{Status: "done", Folder: e.final, Volumes: e.done, Warnings: append([]string{}, e.log.Warnings()...)}
	if c.json {
		return c.emit(r)
	}
	for _, v := range e.done {
		c.note("partition %d: %s, %s in a file of %s", v.Partition, v.File, size(v.Volume), size(v.Size))
	}
	c.note("Windows opens these disks; its System Image Recovery is not expected to take them for one of its own")
	return nil
}

// chosenVolumes are those with the numbers, or all but the reserved partition,
// which holds no volume.
func chosenVolumes(d *image.ChainDisk, numbers []int) ([]*image.Volume, error) {
	var out []*image.Volume
	if numbers == nil {
		for _, v := range d.Partitions {
			if !slices.ContainsFunc(d.Layout.Partitions, func(p disk.Partition) bool { return p.MSR && p.Off == v.Doc.Geometry.Start }) {
				out = append(out, v)
			}
		}
		return out, nil
	}
	for _, n := range numbers {
		found := false
		for _, v := range d.Partitions {
			if int(v.Doc.Header.Number) == n {
				out, found = append(out, v), true
			}
		}
		if !found {
			return nil, usageError{fmt.Errorf("--partitions: the image holds no partition %d", n)}
		}
	}
	return out, nil
}

// notInNames are characters that Windows has in no name.
var notInNames = regexp.MustCompile(`[<>:"/\\|?*\x00-\x1f]`)

// exportFolder is where the disks of a point in time go.
func exportFolder(to string, p *point) string {
	h := &p.Doc.Header
	host := strings.Trim(notInNames.ReplaceAllString(h.NetBIOSName, "_"), ". ")
	if host == "" {
		host = "computer"
	}
	return filepath.Join(to, host, "Backup "+time.Unix(h.BackupTime, 0).UTC().Format("2006-01-02 150405"))
}

// export is a run: into a folder that gets its name at the end.
type export struct {
	disk    *image.ChainDisk
	volumes []*image.Volume
	final   string
	log     *job.Log
	done    []exported
	taken   map[string]bool
	specs   strings.Builder
}

func (e *export) run(ctx context.Context) error {
	part := e.final + ".part"
	if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(part, 0o755); err != nil {
		return fmt.Errorf("%w: it is what a run that was cut short has left, or another run is at work", err)
	}
	err := e.fill(ctx, part)
	if err == nil {
		err = os.Rename(part, e.final)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	return nil
}

func (e *export) fill(ctx context.Context, dir string) error {
	for _, v := range e.volumes {
		if err := e.volume(ctx, dir, v); err != nil {
			return fmt.Errorf("partition %d: %w", v.Doc.Header.Number, err)
		}
	}
	text := "<BackupSpecs><FileSpecs>" + e.specs.String() + `</FileSpecs><SystemState IsPresent="false"/><AllCritical IsPresent="false"/></BackupSpecs>`
	var b []byte
	for _, u := range append(utf16.Encode([]rune(text)), 0) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return os.WriteFile(filepath.Join(dir, "BackupSpecs.xml"), b, 0o644)
}

// volume writes one volume.
func (e *export) volume(ctx context.Context, dir string, v *image.Volume) error {
	single, err := singleVolume(v, e.disk.Layout.SectorSize)
	if err != nil {
		return err
	}
	name := e.name(v)
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	used := single.Used()
	total, err := block.Bytes(used)
	if err != nil {
		return err
	}
	meter := e.log.Stage("export "+name, total)
	t := vdisk.Target{Format: vdisk.VHDX, Size: single.Size(), Sector: e.disk.Layout.SectorSize, Name: name}
	if err := vdisk.Write(ctx, f, t, single, used, meter.Add); err != nil {
		return err
	}
	meter.End()
	if err := f.Sync(); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	e.done = append(e.done, exported{int(v.Doc.Header.Number), filepath.Join(e.final, name), v.Size(), st.Size()})
	return f.Close()
}

// singleVolume is a disk with one partition, as Windows puts a volume into one.
func singleVolume(v *image.Volume, sector int64) (*disk.Assembled, error) {
	const mib = 1 << 20
	length := (v.Size() + sector - 1) / sector * sector
	d := disk.Drawing{Scheme: disk.SchemeMBR, SectorSize: sector, Size: (length+2*mib-1)/mib*mib + 2*mib}
	p := disk.Drawn{Off: mib, Len: length, Type: "07"}
	if strings.HasPrefix(v.Doc.FileSystem.Type, "FAT") {
		p.Type = "0C"
	}
	if d.Size/sector > 1<<32-1 {
		d.Scheme, p.Type = disk.SchemeGPT, disk.TypeBasic
	}
	d.Partitions = []disk.Drawn{p}
	l, err := d.Layout()
	if err != nil {
		return nil, err
	}
	return l.Assemble(disk.Content{Off: mib, Reader: v, Used: v.Stored()})
}

// name is that of the file of a volume: the GUID of its partition, or one that is
// drawn, and Esp for the EFI system partition.
func (e *export) name(v *image.Volume) string {
	id := ""
	for _, p := range e.disk.Layout.Partitions {
		if p.Off != v.Doc.Geometry.Start {
			continue
		}
		if id = strings.ToLower(p.GUID); p.ESP && !e.taken["Esp"] {
			e.taken["Esp"] = true
			return "Esp.vhdx"
		}
	}
	for id == "" || e.taken[id] {
		var b [16]byte
		rand.Read(b[:])
		id = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	e.taken[id] = true
	label := xmlText(v.Doc.FileSystem.VolumeLabel)
	letter := ""
	if n := v.Doc.FileSystem.DriveLetter; n >= 'A' && n <= 'Z' {
		letter = string(rune(n)) + ":"
	}
	fmt.Fprintf(&e.specs, `<Volume Name="\\?\Volume{%s}\" AccessPath="%s" OriginalAccessPath="%s" Label="%s" OriginalLabel="%s"/>`, id, letter, letter, label, label)
	return id + ".vhdx"
}

// xmlText is a text as it may stand in an attribute.
func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\x00", "").Replace(s)
}
