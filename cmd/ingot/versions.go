package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"ingot/internal/browse"
	"ingot/internal/dest/folder"
	"ingot/internal/image"
	"ingot/internal/result"
)

func newVersions(c *console) *cobra.Command {
	var o browse.VersionOptions
	cmd := &cobra.Command{
		Use:   "versions FOLDER PATH",
		Short: "List the versions of a file in all backup sets of a folder",
		Long: `List every version of a file that the backup sets in a folder hold: when it was
imaged first and last, its size and time of the last change, and from which image
'ingot cp' gets it. Points in time at which the file was not there are shown.

Contents are compared by what the images say of the blocks they lie in, or else by
size and time; those of small files are read, and with --hash all are. PATH begins
at the root of a partition; all partitions that have such a file at some time are
listed, or that of --partition.`,
		Example: `  ingot versions /mnt/backup Users/me/letter.docx
  ingot versions /mnt/backup /etc/fstab --partition 2 --json`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.versions(cmd.Context(), a[0], a[1], o) },
	}
	cmd.Flags().StringVar(&o.Partition, "partition", "", "number, label or drive letter of the partition")
	cmd.Flags().BoolVar(&o.Hash, "hash", false, "read the contents and compare their SHA-256")
	return cmd
}

func (c *console) versions(ctx context.Context, path, name string, o browse.VersionOptions) error {
	store, err := folder.New(path)
	if err != nil {
		return err
	}
	sets, err := image.ReadSets(ctx, store, c.access(ctx, false))
	if err != nil {
		return err
	}
	all, err := browse.Versions(ctx, store, sets, browse.CleanPath(name), o)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no point in time in %s has a file %s", path, name)
	}
	unreadable := 0
	for _, h := range all {
		c.note("disk %s, partition %s", cmp.Or(h.DiskID, "without an id"), h.Partition)
		for _, v := range viewVersions(h) {
			if v.Status == "unreadable" {
				unreadable += v.Points
			}
			if !c.json {
				c.note("%s", versionLine(&v))
			} else if err := c.emit(v); err != nil {
				return err
			}
		}
	}
	if unreadable > 0 {
		return fmt.Errorf("%w: %d points in time", errPartly, unreadable)
	}
	return nil
}

// viewVersions puts neighbouring moments of one version together.
func viewVersions(h browse.History) (out []result.Version) {
	for _, m := range h.Moments {
		v := result.Version{
			Disk: h.DiskID, Partition: m.Partition, Path: m.Path, Status: "absent", Version: m.Version, Same: m.Same,
			First: m.Time, Last: m.Time, Image: m.Image, Points: 1, Hash: m.Hash,
		}
		if m.Present {
			v.Status, v.Size, v.Modified, v.Type = "present", m.Size, moment(m.ModTime), kindName(m.Mode)
		}
		if m.Err != nil {
			v.Status, v.Error = "unreadable", m.Err.Error()
		}
		if k := len(out) - 1; k >= 0 && out[k].Status == v.Status && out[k].Version == v.Version && v.Error == out[k].Error {
			v.First, v.Points = out[k].First, out[k].Points+1
			if v.Same == "" || out[k].Same == browse.SameTime {
				v.Same = out[k].Same
			}
			out[k] = v
			continue
		}
		out = append(out, v)
	}
	return out
}

// versionLine is a version for people.
func versionLine(v *result.Version) string {
	when := v.First.Format("2006-01-02 15:04:05")
	if v.Points > 1 {
		when += " – " + v.Last.Format("2006-01-02 15:04:05")
	}
	switch v.Status {
	case "absent":
		return fmt.Sprintf("  %-42s  not there  (%s, %s)", when, counted(v.Points, "point"), v.Image)
	case "unreadable":
		return fmt.Sprintf("  %-42s  cannot be read  (%s): %s", when, v.Image, v.Error)
	}
	changed := "at a time not known"
	if v.Modified != nil {
		changed = v.Modified.Local().Format("2006-01-02 15:04:05")
	}
	return fmt.Sprintf("  %-42s  version %d  %s  changed %s  (%s, %s)", when, v.Version, size(v.Size), changed, counted(v.Points, "point"), v.Image)
}
