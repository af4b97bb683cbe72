package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"
)

func newCat(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "cat IMAGE[@TIME]:PARTITION/FILE ...",
		Short: "Print files in an image",
		Long: `Print the contents of files in an image, one behind the other. Links are followed
within their volume. A stream of a file of NTFS is named behind a colon:
FILE:STREAM.

` + refHelp,
		Example: `  ingot cat /mnt/backup@2026-11-24:2/etc/fstab
  ingot cat image.mrimgx:2/Users/me/photo.jpg > photo.jpg
  ingot cat image.mrimgx:2/Users/me/setup.exe:Zone.Identifier`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, refs []string) error {
			for _, ref := range refs {
				if err := c.cat(cmd.Context(), ref); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (c *console) cat(ctx context.Context, ref string) error {
	l, err := c.openRef(ctx, ref, true)
	if err != nil {
		return err
	}
	defer l.Close()
	f, err := l.contents()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(stoppable{ctx, c.out}, stoppableReader{ctx, f}, make([]byte, 1<<20))
	if err != nil {
		err = fmt.Errorf("%s: %w", ref, err)
	}
	return err
}

// contents opens the file or stream of an opened reference.
func (l *looked) contents() (fs.File, error) {
	err := l.find(true)
	if errors.Is(err, fs.ErrNotExist) && l.vol != nil {
		if f, ok := l.vol.Stream(l.Path); ok {
			return f, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if !l.info.Mode().IsRegular() {
		return nil, usageError{fmt.Errorf("%s is a %s: it has no contents", l.path(l.at), kindName(l.info.Mode()))}
	}
	return l.vol.Files.Open(l.at)
}

// stoppable and stoppableReader end a copy when ctx is done.
type stoppable struct {
	ctx context.Context
	w   io.Writer
}

func (s stoppable) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

type stoppableReader struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppableReader) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
