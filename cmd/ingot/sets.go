package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/dest/folder"
	"ingot/internal/image"
	"ingot/internal/result"
)

func newSets(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "sets FOLDER",
		Short: "List the backup sets in a folder",
		Long: `List the backup sets in a folder with their points in time: when each was made,
its type, its size, what it needs, and whether anything of that is missing.
Image files are known by their content, whatever they are called. Windows system
images (WindowsImageBackup) in the folder are listed with their volumes.

The exit code is 3 when a point in time cannot be restored.`,
		Example: `  ingot sets /mnt/backup
  ingot sets /mnt/backup --json
  ingot sets E:\`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.sets(cmd.Context(), a[0]) },
	}
}

func (c *console) sets(ctx context.Context, path string) error {
	store, err := folder.New(path)
	if err != nil {
		return err
	}
	sets, err := image.ReadSets(ctx, store, nil)
	if err != nil {
		return err
	}
	v := viewSets(path, sets)
	v.Windows = viewWindows(ctx, path)
	bad := notWhole(v)
	if c.json {
		return errors.Join(c.emit(v), bad)
	}
	return errors.Join(c.printSets(v), bad)
}

func viewSets(path string, sets *image.Sets) *result.Folder {
	v := &result.Folder{Folder: path, Sets: []result.Set{}, Broken: []result.Broken{}}
	for _, s := range sets.Sets {
		v.Sets = append(v.Sets, viewSet(s))
	}
	for _, b := range sets.Broken {
		v.Broken = append(v.Broken, result.Broken{File: b.Name, Error: b.Err.Error()})
	}
	return v
}

func viewSet(s *image.Set) result.Set {
	v := result.Set{ID: s.ID, Points: []result.Point{}}
	for _, m := range s.Members {
		v.Size += m.Size
	}
	for _, m := range s.Leftover {
		v.Leftover = append(v.Leftover, m.Name)
		v.Size += m.Size
	}
	for _, m := range s.Orphans {
		v.Orphans = append(v.Orphans, m.Name)
		v.Size += m.Size
	}
	for _, m := range s.Points() {
		h := &m.Doc.Header
		d := &m.Doc.Disks[0]
		v.Host, v.DiskID = h.NetBIOSName, d.Header.Signature
		v.Disk = strings.TrimSpace(d.Descriptor.Description)
		if m.Doc.Encryption.Encrypted() {
			v.Encrypt = m.Doc.Encryption.AESType
		}
		p := result.Point{
			File: m.Name, Type: h.BackupType, Time: time.Unix(h.BackupTime, 0), Size: m.Size,
			Number: m.Number(), Merged: h.MergedFiles, Files: []string{},
		}
		chain, err := s.Chain(m)
		if err != nil {
			p.Missing = err.Error()
		}
		for _, f := range chain {
			p.Files = append(p.Files, f.Name)
		}
		v.Points = append(v.Points, p)
	}
	return v
}

// notWhole is an error when something is not whole.
func notWhole(v *result.Folder) error {
	var n int
	for i := range v.Sets {
		for k := range v.Sets[i].Points {
			if v.Sets[i].Points[k].Missing != "" {
				n++
			}
		}
	}
	switch {
	case n > 0:
		return fmt.Errorf("%s: %w: %d points in time cannot be restored", v.Folder, image.ErrMissing, n)
	case len(v.Broken) > 0:
		return fmt.Errorf("%s: %w: %d files cannot be read", v.Folder, image.ErrDamaged, len(v.Broken))
	}
	return nil
}

func (c *console) printSets(v *result.Folder) error {
	for i := range v.Sets {
		s := &v.Sets[i]
		c.note("%s", strings.TrimSpace(strings.Join([]string{s.ID, s.Host, s.Disk, s.DiskID, size(s.Size), s.Encrypt}, "  ")))
		tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		for k := range s.Points {
			p := &s.Points[k]
			state := "needs " + strings.Join(p.Files[:max(len(p.Files)-1, 0)], ", ")
			switch {
			case p.Missing != "":
				state = "CANNOT BE RESTORED: " + p.Missing
			case len(p.Files) == 1:
				state = ""
			case len(p.Files) > 4:
				state = fmt.Sprintf("needs %s and %d more", p.Files[0], len(p.Files)-2)
			}
			fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\n", p.Time.Format("2006-01-02 15:04"), p.Type, size(p.Size), p.File, state)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		for _, name := range s.Leftover {
			c.note("  left by a consolidation that was cut short: %s", name)
		}
		for _, name := range s.Orphans {
			c.note("  part of a split backup whose last file is missing, of no use by itself: %s", name)
		}
		c.note("")
	}
	for _, b := range v.Broken {
		c.note("unreadable: %s: %s", b.File, b.Error)
	}
	c.printWindows(v.Windows)
	if len(v.Sets) == 0 && len(v.Broken) == 0 && len(v.Windows) == 0 {
		c.note("%s holds no images", v.Folder)
	}
	return nil
}
