package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/result"
	"ingot/internal/vdisk"
)

func newDisks(c *console) *cobra.Command {
	var fl sourceFlags
	cmd := &cobra.Command{
		Use:   "disks [DISK-OR-FILE ...]",
		Short: "List the disks of this machine, or look into disk-image files",
		Long: `List the disks of this machine with their partitions, or those that are named:
device paths, raw disk-image files, and virtual disks (VHDX, VHD, qcow2, VMDK).
Nothing is written to them.`,
		Example: `  sudo ingot disks
  ingot disks disk.img --json
  ingot disks machine.vhdx`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			infos, err := diskInfos(paths)
			if err != nil {
				return err
			}
			var failed []error
			denied := false
			for _, info := range infos {
				v, err := lookInto(cmd.Context(), info, fl)
				if err != nil {
					v.Error = err.Error()
					denied = denied || errors.Is(err, fs.ErrPermission)
					// A machine's list is no failure because of one odd
					// disk; a disk that was asked for is.
					if len(paths) > 0 {
						failed = append(failed, fmt.Errorf("%s: %w", info.Path, err))
					}
				}
				if c.json {
					err = c.emit(v)
				} else {
					err = printDisk(c.out, &v)
				}
				if err != nil {
					return err
				}
			}
			if err := errors.Join(failed...); err != nil {
				return err
			}
			if denied {
				fmt.Fprintln(c.errs, "What to do:", hint(fs.ErrPermission))
			}
			return nil
		},
	}
	fl.add(cmd.Flags())
	return cmd
}

func sectorFlag(cmd *cobra.Command, sector *int64) {
	cmd.Flags().Int64Var(sector, "sector-size", 0, "sector size of a disk-image file in bytes (default: found out)")
}

func diskInfos(paths []string) ([]disk.Info, error) {
	if len(paths) == 0 {
		return disk.List()
	}
	var out []disk.Info
	for _, p := range paths {
		if vdisk.IsClonezilla(p) {
			out = append(out, disk.Info{Path: p})
			continue
		}
		info, err := disk.Stat(p)
		if err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	return out, nil
}

// lookInto reads the table and the file systems of a disk. When it fails, the
// view holds what there is.
func lookInto(ctx context.Context, info disk.Info, fl sourceFlags) (result.Disk, error) {
	v := viewDisk(info, nil)
	src, err := openSource(ctx, info.Path, fl)
	if err != nil {
		return v, err
	}
	defer src.Close()
	v = viewDisk(src.Info, src.Layout)
	v.Path, v.ReadOnly, v.Notes = info.Path, info.ReadOnly, src.notes()
	for _, p := range src.Layout.Partitions {
		r, err := block.Section(src.Reader, p.Off, p.Len)
		if err != nil {
			return v, fmt.Errorf("partition %d: %w", p.Number, err)
		}
		fs, err := filesys.Open(r)
		if err != nil {
			return v, fmt.Errorf("partition %d: %w", p.Number, err)
		}
		v.Partitions = append(v.Partitions, viewPart(p, fs.Info()))
	}
	return v, nil
}
