package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"ingot/internal/result"
)

func newTree(c *console) *cobra.Command {
	var depth int
	cmd := &cobra.Command{
		Use:   "tree IMAGE[@TIME]:PARTITION/PATH",
		Short: "Show a folder in an image with all that lies in it",
		Long: `Show a folder in an image with the folders and files that lie in it, as they are
found. Links are shown and not followed.

` + refHelp,
		Example: `  ingot tree /mnt/backup:2/Users --depth 2
  ingot tree image.mrimgx:2/Users/me/Documents --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.tree(cmd.Context(), a[0], depth) },
	}
	cmd.Flags().IntVar(&depth, "depth", 0, "how many folders deep (default: all)")
	return cmd
}

func (c *console) tree(ctx context.Context, text string, depth int) error {
	l, err := c.look(ctx, text, true, false)
	if err != nil {
		return err
	}
	defer l.Close()
	if !l.info.IsDir() {
		return usageError{errors.New(l.path(l.at) + " is not a folder")}
	}
	var folders, files int
	bad := &unreadList{c: c, l: l}
	c.note("%s", l.path(l.at))
	err = l.vol.Tree(ctx, l.at, depth, func(path, before string, e fs.DirEntry) error {
		if e.IsDir() {
			folders++
		} else {
			files++
		}
		if c.json {
			return c.emitEntry(l, path, e)
		}
		c.note("%s%s", before, shown(e.Name(), e.IsDir()))
		return nil
	}, bad.tell)
	if err != nil {
		return err
	}
	c.note("\n%s, %s", counted(folders, "folder"), counted(files, "file"))
	return bad.result()
}

// emitEntry prints an entry of a folder as JSON.
func (c *console) emitEntry(l *looked, path string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return c.emit(result.File{Path: path, Type: kindName(e.Type()), Error: err.Error()})
	}
	return c.emit(viewFile(l.vol, path, info))
}
