package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"ingot/internal/backup"
	"ingot/internal/disk"
	"ingot/internal/result"
	"ingot/internal/vdisk/wib"
	"ingot/internal/winimage"
)

func layoutFlag(f *pflag.FlagSet, layout *string) {
	f.StringVar(layout, "layout", "", "the table of the disk of a Windows system image: what sfdisk --dump printed of it, or its first MiB")
}

// isWindowsImage says whether a folder is meant as a Windows system image: one in
// which images lie is meant as theirs.
func isWindowsImage(path string) bool {
	entries, err := os.ReadDir(path)
	if err != nil {
		return false
	}
	for _, e := range entries {
		for _, ending := range imageEndings {
			if strings.EqualFold(filepath.Ext(e.Name()), ending) {
				return false
			}
		}
	}
	return wib.Is(path)
}

// windowsDisk is a Windows system image as the disk that its volumes make.
type windowsDisk struct {
	backup *winimage.Backup
	disk   *disk.Assembled
	notes  []string
}

// openWindows opens the newest backup in a folder of Windows system images.
func openWindows(ctx context.Context, path string, fl sourceFlags) (*source, error) {
	computers, err := wib.Find(path)
	if err != nil {
		return nil, err
	}
	if len(computers) > 1 {
		var names []string
		for _, c := range computers {
			names = append(names, c.Path)
		}
		return nil, refuse("%s holds Windows system images of %d computers: name one of their folders (%s)", path, len(computers), strings.Join(names, ", "))
	}
	all := computers[0].Backups
	b, err := winimage.Open(ctx, all[len(all)-1])
	if err != nil {
		return nil, err
	}
	s := &source{windows: &windowsDisk{backup: b}}
	if err := s.windows.assemble(fl.layout); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", b.Path, err), s.Close())
	}
	if len(all) > 1 {
		s.windows.note("%s is the newest of %d backups: name the folder of another one to have that", b.Path, len(all))
	}
	for _, name := range b.Files {
		f, err := disk.Open(name)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.take(f)
	}
	s.Source = backup.Source{Reader: s.windows.disk, Info: disk.Info{
		Path: path, Bus: wib.FolderName, Model: "Windows system image of " + b.Computer,
		Size: s.windows.disk.Size(), LogicalSector: b.Sector, PhysicalSector: b.Sector,
	}}
	return s, nil
}

func (w *windowsDisk) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// assemble makes the disk, with the table of a file or one that is drawn.
func (w *windowsDisk) assemble(layout string) error {
	b := w.backup
	w.note("%s is a Windows system image of %s, begun %s, with %d volumes", b.Path, b.Computer, begun(&b.Backup), len(b.Volumes))
	w.notes = append(w.notes, b.Notes...)
	for _, p := range b.Problems {
		w.note("%s", p)
	}
	if b.SourceDisks > 1 {
		w.note("the computer had %d disks: all volumes are put on one", b.SourceDisks)
	}
	l, err := w.layout(layout)
	if err != nil {
		return err
	}
	var left []string
	if w.disk, left, err = b.Assemble(l); err != nil {
		return err
	}
	if len(left) > 0 {
		w.note("these volumes fit no partition of the layout and are left out: %s", strings.Join(left, ", "))
	}
	return nil
}

func (w *windowsDisk) layout(path string) (*disk.Layout, error) {
	if path != "" {
		l, err := readLayout(path, w.backup.Sector)
		if err == nil && l.SectorSize != w.backup.Sector {
			err = fmt.Errorf("%s is of a disk with sectors of %d bytes, the backup of one with %d", path, l.SectorSize, w.backup.Sector)
		}
		return l, err
	}
	l, kept, err := w.backup.Draw()
	switch {
	case err != nil:
		return nil, err
	case kept:
		w.note("the volumes lie where they say they lay; the identity of the disk is a new one: Windows may have to be told where it is now (bcdboot, startup repair)")
	default:
		w.note("where the volumes lay is not known: they lie one behind the other, on a disk with a new identity; Windows will have to be told where it is now (bcdboot, startup repair). --layout has the table of the disk, if there is one")
	}
	return l, nil
}

func begun(b *wib.Backup) string {
	if b.Time.IsZero() {
		return "at a time that is not known"
	}
	return b.Time.Local().Format("2006-01-02 15:04")
}

// maxLayout is how much of a file with a layout is read.
const maxLayout = 1 << 20

// readLayout reads a table as sfdisk dumps it, or the first MiB of a disk.
func readLayout(path string, sector int64) (*disk.Layout, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLayout))
	if err != nil {
		return nil, err
	}
	if len(b) >= 512 && b[510] == 0x55 && b[511] == 0xaa {
		l, err := disk.FromImage(b, nil, sector, frontSize(b, sector))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return l, nil
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return nil, fmt.Errorf("%s is neither what sfdisk --dump prints nor the first MiB of a disk", path)
	}
	l, err := disk.ParseDump(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// frontSize is the size that a disk must have by its first MiB: the place of the
// backup GPT, or the end of the last partition of the MBR.
func frontSize(b []byte, sector int64) int64 {
	const limit = 1 << 50
	if int64(len(b)) >= 2*sector && bytes.HasPrefix(b[sector:], []byte("EFI PART")) {
		return int64(min(binary.LittleEndian.Uint64(b[sector+32:]), limit)+1) * sector
	}
	size := int64(len(b))
	for i := range 4 {
		s := b[446+16*i:]
		size = max(size, (int64(binary.LittleEndian.Uint32(s[8:]))+int64(binary.LittleEndian.Uint32(s[12:])))*sector)
	}
	return size
}

// viewWindows lists the Windows system images in a folder; there may be none.
func viewWindows(ctx context.Context, path string) (out []result.WindowsImage) {
	computers, err := wib.Find(path)
	if err != nil {
		return nil
	}
	for _, c := range computers {
		for i := range c.Backups {
			out = append(out, viewWindowsBackup(ctx, &c.Backups[i]))
		}
	}
	return out
}

func viewWindowsBackup(ctx context.Context, b *wib.Backup) result.WindowsImage {
	v := result.WindowsImage{Computer: b.Computer, Folder: b.Path, Begun: b.Time, Changed: b.Changed, Whole: b.Whole, Problems: append([]string{}, b.Problems...)}
	for i := range b.Disks {
		d := &b.Disks[i]
		vol := result.WindowsVolume{Name: d.Name(), File: d.Path, Size: d.Size}
		one, err := winimage.Open(ctx, wib.Backup{Path: b.Path, Disks: b.Disks[i : i+1]})
		if err == nil {
			vol.Disk = one.Volumes[0].Size()
			err = one.Close()
		}
		if err != nil {
			v.Problems = append(v.Problems, err.Error())
		}
		v.Volumes = append(v.Volumes, vol)
	}
	return v
}

func (c *console) printWindows(all []result.WindowsImage) {
	for i := range all {
		v := &all[i]
		when := "written " + v.Changed.Local().Format("2006-01-02 15:04")
		if !v.Begun.IsZero() {
			when = "begun " + v.Begun.Local().Format("2006-01-02 15:04") + ", " + when
		}
		c.note("Windows system image of %s, %s", v.Computer, when)
		c.note("  %s", v.Folder)
		for _, vol := range v.Volumes {
			c.note("  %-28s  %10s in a file of %s", vol.Name, size(vol.Disk), size(vol.Size))
		}
		for _, p := range v.Problems {
			c.note("  problem: %s", p)
		}
		c.note("")
	}
}
