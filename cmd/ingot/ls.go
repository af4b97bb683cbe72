package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/spf13/cobra"

	"ingot/internal/browse"
	"ingot/internal/image"
	"ingot/internal/result"
)

// listOptions are what ingot ls was told.
type listOptions struct {
	long bool
	sort string
}

func newLs(c *console) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "ls IMAGE[@TIME]:PARTITION/PATH",
		Short: "List a folder in an image",
		Long: `List a folder in an image, or say what is known of a file. Without a partition
the partitions of the image are listed. Nothing is mounted or restored, and only
the blocks that are needed are read.

` + refHelp + `

With --long there are, for each file: type and permissions (on volumes of Windows
the attributes archive, read-only, hidden, system, link, compressed, encrypted),
owner, size in bytes, time of the last change, name, and where a link leads.`,
		Example: `  ingot ls /mnt/backup/2394E9AA621DDC3A-00-03.mrimgx
  ingot ls -l /mnt/backup@2026-11-24:2/Users
  ingot ls 'E:\backup\pc-00-00.mrimgx:C:\Users' --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.list(cmd.Context(), a[0], o) },
	}
	cmd.Flags().BoolVarP(&o.long, "long", "l", false, "with permissions or attributes, owner, size and time")
	cmd.Flags().StringVar(&o.sort, "sort", "name", "order: name, size (the largest first) or time (the newest first)")
	return cmd
}

func (c *console) list(ctx context.Context, text string, o listOptions) error {
	if o.sort != "name" && o.sort != "size" && o.sort != "time" {
		return usageError{fmt.Errorf("--sort %s: choose name, size or time", o.sort)}
	}
	l, err := c.openRef(ctx, text, false)
	if err != nil {
		return err
	}
	defer l.Close()
	if l.Partition == "" && l.Root {
		return c.listPartitions(l)
	}
	if err := l.find(false); err != nil {
		return err
	}
	if !l.info.IsDir() {
		return c.printFiles(l, []fs.FileInfo{l.info}, path.Dir(l.at), o)
	}
	return c.listFolder(l, o)
}

// listFolder lists a folder. What is only in its entries needs no look at the
// files.
func (c *console) listFolder(l *looked, o listOptions) error {
	bad := &unreadList{c: c, l: l}
	list, err := l.vol.Files.ReadDir(l.at)
	if err != nil {
		bad.tell(l.at, err)
	}
	if !o.long && o.sort == "name" && !c.json {
		for _, e := range list {
			c.note("%s", shown(e.Name(), e.IsDir()))
		}
		return bad.result()
	}
	var infos []fs.FileInfo
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			bad.tell(path.Join(l.at, e.Name()), err)
			continue
		}
		infos = append(infos, info)
	}
	browse.Sorted(infos, o.sort)
	return errors.Join(c.printFiles(l, infos, l.at, o), bad.result())
}

// shown is a name as it is listed, with a slash behind that of a folder.
func shown(name string, folder bool) string {
	if folder {
		return printable(name) + "/"
	}
	return printable(name)
}

// printFiles prints files that lie in a folder.
func (c *console) printFiles(l *looked, list []fs.FileInfo, folder string, o listOptions) error {
	if c.json {
		for _, info := range list {
			if err := c.emit(viewFile(l.vol, path.Join(folder, info.Name()), info)); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][3]string, len(list))
	var width [3]int
	for i, info := range list {
		if o.long {
			rows[i] = [3]string{modeText(info), ownerText(info), fmt.Sprint(info.Size())}
		}
		for k, s := range rows[i] {
			width[k] = max(width[k], len(s))
		}
	}
	for i, info := range list {
		name := shown(info.Name(), info.IsDir())
		if !o.long {
			c.note("%s", name)
			continue
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, _ := l.vol.Files.ReadLink(path.Join(folder, info.Name()))
			name += " -> " + printable(target)
		}
		r := rows[i]
		c.note("%-*s  %-*s  %*s  %s  %s", width[0], r[0], width[1], r[1], width[2], r[2], info.ModTime().Local().Format("2006-01-02 15:04:05"), name)
	}
	return nil
}

func (c *console) listPartitions(l *looked) error {
	for _, p := range l.parts {
		v := result.ImagePartition{Partition: p.Name(), Size: p.Size, FileSystem: p.Type, Label: p.Label, Letter: p.Letter, Readable: true}
		vol, err := p.Open()
		if vol != nil {
			v.FileSystem = vol.Info.Type
			if v.Label == "" {
				v.Label = vol.Info.Label
			}
		}
		if err != nil {
			if errors.Is(err, image.ErrForged) {
				return err
			}
			v.Readable, v.Reason = false, err.Error()
		}
		if c.json {
			if err := c.emit(v); err != nil {
				return err
			}
			continue
		}
		c.note("%s", partitionLine(&v))
	}
	return nil
}

func partitionLine(v *result.ImagePartition) string {
	text := fmt.Sprintf("%-5s %9s  %-8s", v.Partition, size(v.Size), v.FileSystem)
	if v.Letter != "" {
		text += "  " + v.Letter + ":"
	}
	if v.Label != "" {
		text += "  " + printable(v.Label)
	}
	if !v.Readable {
		text += "  (its files cannot be listed)"
	}
	return text
}
