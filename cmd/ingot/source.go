package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ingot/internal/backup"
	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/vdisk"
)

// sourceFlags say how a disk or virtual disk is opened.
type sourceFlags struct {
	sector  int64
	raw     bool
	folders []string
	layout  string // a file with the table of the disk of a Windows system image
	tempDir string
	disk    int // of a folder of Clonezilla, counted from 1; 0 is the first
}

func (fl *sourceFlags) add(f *pflag.FlagSet) {
	f.Int64Var(&fl.sector, "sector-size", 0, "sector size of a disk-image file in bytes (default: found out)")
	f.BoolVar(&fl.raw, "raw", false, "take a disk-image file as it is, whatever format it seems to have")
	layoutFlag(f, &fl.layout)
	f.StringVar(&fl.tempDir, "temp-dir", "", "folder where images of partclone and Clonezilla are unpacked (default: the system's)")
	f.StringArrayVar(&fl.folders, "backing-folder", nil, "a folder that may hold files a virtual disk stands on, besides its own folder (repeatable)")
}

// source is an open disk, disk-image file or virtual disk. Close it.
type source struct {
	backup.Source
	virtual *vdisk.Disk  // nil: a device, or a Windows system image
	windows *windowsDisk // nil: anything else
	files   []*disk.File // the device, or the files it lies in
	opened  []time.Time  // when they were last written to, as of their opening
}

// openSource opens a disk, disk-image file or virtual disk for reading. The
// sector size of a device and of some formats is known; else it is found out when
// the flags have none.
func openSource(ctx context.Context, path string, fl sourceFlags) (*source, error) {
	s, err := openDisk(ctx, path, fl)
	if err != nil {
		return nil, err
	}
	sector := fl.sector
	if sector == 0 && s.Info.Bus != "file" {
		sector = s.Info.LogicalSector
	}
	if s.virtual != nil {
		sector = max(fl.sector, s.virtual.Sector)
	}
	if s.Layout, err = disk.Parse(s.Reader, sector); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.Close())
	}
	return s, nil
}

// openDisk opens a source without looking at what is on it.
func openDisk(ctx context.Context, path string, fl sourceFlags) (*source, error) {
	s := new(source)
	st, err := os.Stat(path)
	if err == nil && st.IsDir() && !vdisk.IsClonezilla(path) {
		return openWindows(ctx, path, fl)
	}
	if fl.layout != "" {
		return nil, usageError{fmt.Errorf("--layout is for folders of Windows system images, and %s is none", path)}
	}
	if err != nil || !st.Mode().IsRegular() && !st.IsDir() {
		f, err := disk.Open(path)
		if err != nil {
			return nil, err
		}
		s.take(f)
		s.Source = backup.Source{Info: f.Info, Reader: f}
		return s, nil
	}
	v, err := openVirtual(ctx, path, st, fl)
	if err != nil {
		return nil, err
	}
	s.virtual = v
	for _, name := range v.Files {
		f, err := disk.Open(name)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.take(f)
	}
	s.Source = backup.Source{Info: disk.Info{Path: path, ReadOnly: true}, Reader: v}
	if len(s.files) > 0 {
		s.Info = s.files[0].Info
		s.Info.Path = path
	}
	if v.Format != vdisk.Raw || len(v.Files) > 1 {
		s.Info.Bus, s.Info.Model = string(v.Format), v.Kind
		s.Info.Size, s.Info.LogicalSector = v.Size(), max(v.Sector, 512)
		s.Info.PhysicalSector = s.Info.LogicalSector
	}
	return s, nil
}

// openVirtual opens a virtual disk, or a folder of Clonezilla.
func openVirtual(ctx context.Context, path string, st os.FileInfo, fl sourceFlags) (*vdisk.Disk, error) {
	opts := vdisk.Options{Folders: fl.folders, Raw: fl.raw, TempDir: fl.tempDir}
	if st.IsDir() {
		return vdisk.OpenClonezilla(ctx, path, max(fl.disk, 1), opts)
	}
	return vdisk.Open(ctx, path, opts)
}

func (s *source) take(f *disk.File) {
	s.files = append(s.files, f)
	s.opened = append(s.opened, modified(f.Info.Path))
}

// Close closes all files.
func (s *source) Close() error {
	var errs []error
	if s.virtual != nil {
		errs = append(errs, s.virtual.Close())
	}
	if s.windows != nil {
		errs = append(errs, s.windows.backup.Close())
	}
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// holds says whether path lies on the source, or is a file of it.
func (s *source) holds(path string) (bool, error) {
	for _, f := range s.files {
		if held, err := disk.HoldsPath(f, path); held || err != nil {
			return held, err
		}
	}
	return false, nil
}

// changed looks at the files once more: that none has another size, and, with
// written, that none was written to.
func (s *source) changed(written bool) error {
	for i, f := range s.files {
		now, err := disk.Stat(f.Info.Path)
		if err != nil {
			return err
		}
		if now.Size != f.Size() {
			return fmt.Errorf("the size of %s changed from %d to %d bytes", f.Info.Path, f.Size(), now.Size)
		}
		if at := modified(f.Info.Path); written && !at.Equal(s.opened[i]) {
			return fmt.Errorf("%s was written to at %s", f.Info.Path, at.Format(time.TimeOnly))
		}
	}
	return nil
}

// filled is the map of what the source is not known to have zeros at.
func (s *source) filled() block.Map {
	if s.windows != nil {
		return s.windows.disk.Used()
	}
	if s.virtual == nil {
		return block.Whole(s.Reader.Size())
	}
	return s.virtual.Used()
}

// writableUse says which partition of the plan is in use by something that may
// write to it; "" when none is.
func (s *source) writableUse(plan *backup.Plan) (string, error) {
	if len(s.files) == 0 { // a folder with a table and no contents
		return "", nil
	}
	uses, err := s.files[0].Users()
	if err != nil {
		return "", fmt.Errorf("find out what uses %s: %w", s.Info.Path, err)
	}
	for _, u := range uses {
		for i := range plan.Parts {
			part := &plan.Parts[i]
			if u.Writable && u.Off >= part.Off && u.Off < part.Off+part.Len {
				return fmt.Sprintf("%s is in use (%s)", part.Name(), u), nil
			}
		}
	}
	return "", nil
}

// modified is when the file at path was last written to, as far as it tells:
// the zero time for devices.
func modified(path string) time.Time {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return time.Time{}
	}
	return st.ModTime()
}

// notes are what is worth knowing of the source, for a run.
func (s *source) notes() (out []string) {
	if s.windows != nil {
		return s.windows.notes
	}
	if s.virtual == nil || s.virtual.Format == vdisk.Raw && len(s.virtual.Files) == 1 {
		return nil
	}
	text := fmt.Sprintf("%s is a virtual disk: %s", s.Info.Path, strings.TrimSpace(string(s.virtual.Format)+" "+s.virtual.Kind))
	if n := len(s.virtual.Files); n > 1 {
		text += fmt.Sprintf(", in %d files", n)
	}
	return append([]string{text}, s.virtual.Notes...)
}
