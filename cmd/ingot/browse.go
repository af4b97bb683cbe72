package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"ingot/internal/browse"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/vdisk"
)

// refHelp explains how verbs are told which file of an image is meant.
const refHelp = pointHelp + `
PARTITION is its number in the image (2, or 1.2 for the second one of the first
of several disks), its label or its drive letter. PATH begins at the root of the
partition. Behind the colon both may be left out: without PARTITION they are
listed. Disks and files that hold one can be named in the place of an image, too.`

// looked is what a reference names, opened. Close it.
type looked struct {
	browse.Ref
	parts  []*browse.Partition
	closer io.Closer
	vol    *browse.Volume
	at     string // of Files
	info   fs.FileInfo
	text   string
}

func (l *looked) Close() error { return l.closer.Close() }

// path is how something in the volume is named in messages.
func (l *looked) path(p string) string {
	if p == "." {
		p = ""
	}
	return l.Image + ":" + l.vol.Name() + "/" + printable(p)
}

// openRef opens the image of a reference and finds its partitions. With whole,
// for those who take contents out of it, the index is checked first: a damaged one
// may hide blocks, which would read as zeros. It takes as long as reading it.
func (c *console) openRef(ctx context.Context, text string, whole bool) (*looked, error) {
	ref, err := browse.ParseRef(text, func(p string) bool { _, err := os.Stat(p); return err == nil })
	if err != nil {
		return nil, usageError{err}
	}
	l := &looked{Ref: ref, text: text}
	l.parts, l.closer, err = c.openParts(ctx, ref.Image, whole)
	return l, err
}

// openParts finds the partitions of a point in time, or of a disk.
func (c *console) openParts(ctx context.Context, ref string, whole bool) ([]*browse.Partition, io.Closer, error) {
	if st, err := os.Stat(ref); err == nil && (st.Mode()&fs.ModeDevice != 0 || st.IsDir() && (isWindowsImage(ref) || vdisk.IsClonezilla(ref))) {
		return openDiskParts(ctx, ref)
	}
	p, err := c.openPoint(ctx, ref)
	if err == nil {
		if whole {
			err = p.CheckIndex(ctx)
		}
		if err != nil {
			return nil, nil, errors.Join(err, p.Close())
		}
		return browse.FromImage(p.Chain), p, nil
	}
	if errors.Is(err, image.ErrNotImage) {
		if parts, closer, diskErr := openDiskParts(ctx, ref); diskErr == nil {
			return parts, closer, nil
		}
	}
	return nil, nil, err
}

// openDiskParts finds the partitions of a disk, or of a file that holds one. A
// file in which nothing is known is none.
func openDiskParts(ctx context.Context, path string) ([]*browse.Partition, io.Closer, error) {
	src, err := openSource(ctx, path, sourceFlags{})
	if err != nil {
		return nil, nil, err
	}
	parts, err := browse.FromDisk(src.Layout, src.Reader)
	if err == nil && src.Layout.Scheme == disk.SchemeNone {
		_, err = parts[0].Open()
	}
	if err != nil {
		return nil, nil, errors.Join(err, src.Close())
	}
	return parts, src, nil
}

// look opens what a reference names. Links on the way are followed, and with
// follow the last one too. whole is that of openRef.
func (c *console) look(ctx context.Context, text string, follow, whole bool) (*looked, error) {
	l, err := c.openRef(ctx, text, whole)
	if err != nil {
		return nil, err
	}
	if err := l.find(follow); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// find opens the partition of an opened reference and finds its path.
func (l *looked) find(follow bool) error {
	part, err := browse.Find(l.parts, l.Partition)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", l.Image, err)}
	}
	if l.vol, err = part.Open(); err != nil {
		return fmt.Errorf("%s: %w", l.Image, err)
	}
	if l.at, l.info, err = l.vol.Resolve(l.Path, follow); err != nil {
		return fmt.Errorf("%s: %w", l.Image, err)
	}
	return nil
}

// printable is a name as it can be shown: what would move the cursor, and what
// is no text, is written as \x1b.
func printable(name string) string {
	clean := true
	for _, r := range name {
		clean = clean && visible(r)
	}
	if clean {
		return name
	}
	var out strings.Builder
	for i, r := range name {
		if r == '\ufffd' && !strings.HasPrefix(name[i:], "\ufffd") {
			fmt.Fprintf(&out, `\x%02x`, name[i])
		} else if !visible(r) {
			fmt.Fprintf(&out, `\x%02x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// visible says whether a character can be shown: no control character, and none
// that turns the direction of what follows.
func visible(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0, r == '\ufffd':
		return false
	case r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return false
	}
	return true
}

// unreadList collects what could not be read of a tree: the first ones for the
// report, all of them counted.
type unreadList struct {
	c     *console
	l     *looked
	count int
}

// tell warns of a file or folder.
func (u *unreadList) tell(path string, err error) {
	u.count++
	u.c.painter.end()
	if u.c.json {
		_ = u.c.emit(struct {
			Path  string `json:"path"`
			Error string `json:"error"`
		}{path, err.Error()})
		return
	}
	fmt.Fprintf(u.c.errs, "Warning: %s: %v\n", u.l.path(path), err)
}

// result is an error when there was something.
func (u *unreadList) result() error {
	if u.count == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d files or folders", errPartly, u.count)
}
