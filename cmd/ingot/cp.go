package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"ingot/internal/browse"
)

func newCp(c *console) *cobra.Command {
	var o browse.CopyOptions
	cmd := &cobra.Command{
		Use:   "cp IMAGE[@TIME]:PARTITION/PATH ... TARGET",
		Short: "Copy files and folders out of an image",
		Long: `Copy files, and folders with all that lies in them, out of an image. TARGET is a
folder to copy into, or the name of the copy when there is nothing of that name.
The root of a partition is copied as what lies in it.

Kept are times, permissions, extended attributes, ACLs, links, hard links among
what is copied, holes of sparse files, and for root also owners, devices and
capabilities; set-user-id and set-group-id bits stay only with the owner. Streams
of NTFS become extended attributes (user.NAME, as ntfs-3g has them). Security
descriptors and attributes of Windows are kept on Windows, and on volumes that
ntfs-3g has mounted.

Nothing is overwritten without --force, and nothing is ever written outside of
TARGET, whatever names and links an image holds. A file has its name only when
it is complete. What cannot be read (damage, files encrypted by Windows, files
that are in a cloud) is listed, the rest is copied, and the exit code is 6.

` + refHelp,
		Example: `  ingot cp /mnt/backup:2/Users/me/Documents ./rescued
  ingot cp '/mnt/backup@2026-11-24:2/Users/me/letter.docx' .
  ingot cp image.mrimgx:1/ ./all --dry-run`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return c.copyOut(cmd.Context(), a[:len(a)-1], a[len(a)-1], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Force, "force", false, "replace files that are there already, and copy into folders that are")
	f.BoolVar(&o.DryRun, "dry-run", false, "say how much would be copied, and copy nothing")
	f.BoolVar(&o.NoOwner, "no-owner", false, "leave the copies to you, also as root")
	f.StringVar(&o.Streams, "streams", "", "streams of NTFS: xattr, files (FILE:STREAM beside FILE) or none (default: xattr; on Windows they stay streams)")
	return cmd
}

// copyView is the result of ingot cp.
type copyView struct {
	Status  string   `json:"status"` // done, partly, or planned with --dry-run
	Target  string   `json:"target"`
	Files   int      `json:"files"`
	Folders int      `json:"folders"`
	Links   int      `json:"links"`
	Others  int      `json:"others"`
	Bytes   int64    `json:"bytes"`
	Failed  int      `json:"failed"`
	Lost    []string `json:"not_kept,omitempty"`
}

func (c *console) copyOut(ctx context.Context, refs []string, to string, o browse.CopyOptions) error {
	if !slices.Contains([]string{"", browse.StreamsXattr, browse.StreamsFiles, browse.StreamsNone}, o.Streams) {
		return usageError{fmt.Errorf("--streams %s: choose xattr, files or none", o.Streams)}
	}
	var items []browse.Item
	for _, ref := range refs {
		l, err := c.look(ctx, ref, false, true)
		if err != nil {
			return err
		}
		defer l.Close()
		items = append(items, browse.Item{Volume: l.vol, Path: l.at, Info: l.info, Name: path.Base(l.at)})
	}
	dir, undo, err := targetFolder(items, to, o.DryRun)
	if err != nil {
		return err
	}
	o.Log = c.log()
	r, err := browse.Copy(ctx, items, dir, o)
	c.painter.end()
	if errors.Is(err, browse.ErrExists) {
		err = refusal{fmt.Errorf("%w; --force replaces files and fills folders", err)}
	}
	if r == nil || err != nil {
		undo()
		return err
	}
	return c.copied(r, to, o.DryRun)
}

// targetFolder finds the folder to copy into and names the items in it. undo
// takes back what had to be made for that.
func targetFolder(items []browse.Item, to string, dry bool) (dir string, undo func(), err error) {
	undo = func() {}
	st, err := os.Stat(to)
	switch {
	case err == nil && st.IsDir():
		return to, undo, nil
	case err == nil && len(items) == 1 && !items[0].Info.IsDir(), errors.Is(err, fs.ErrNotExist) && len(items) == 1:
	case err == nil:
		return "", undo, refuse("%s is no folder", to)
	case errors.Is(err, fs.ErrNotExist):
		return "", undo, refuse("%s is no folder: several files are copied into one that is there", to)
	default:
		return "", undo, err
	}
	if items[0].Name != "." {
		items[0].Name = filepath.Base(to)
		return filepath.Dir(to), undo, nil
	}
	if dry {
		return os.TempDir(), undo, nil
	}
	if err := os.Mkdir(to, 0o777); err != nil {
		return "", undo, err
	}
	return to, func() { _ = os.Remove(to) }, nil
}

// copied tells what was copied.
func (c *console) copied(r *browse.CopyReport, to string, dry bool) error {
	v := copyView{
		Status: "done", Target: to, Files: r.Files, Folders: r.Folders, Links: r.Links, Others: r.Others,
		Bytes: r.Bytes, Failed: r.Failed, Lost: r.Lost,
	}
	var partly error
	switch {
	case dry:
		v.Status = "planned"
	case r.Failed > 0:
		v.Status, partly = "partly", fmt.Errorf("%w: what was not copied (files, folders, streams): %d", errPartly, r.Failed)
	}
	if c.json {
		return errors.Join(c.emit(v), partly)
	}
	for _, lost := range r.Lost {
		c.note("Warning: %s", printable(lost))
	}
	if r.Failed > browse.MaxTold {
		c.note("and %d more were not copied", r.Failed-browse.MaxTold)
	}
	verb := "copied"
	if dry {
		verb = "would be copied"
	}
	c.note("%s %s to %s", v.text(), verb, to)
	return partly
}

// text counts what was copied.
func (v *copyView) text() string {
	out := fmt.Sprintf("%s (%s)", counted(v.Files, "file"), size(v.Bytes))
	for _, n := range []struct {
		count int
		name  string
	}{{v.Folders, "folder"}, {v.Links, "link"}, {v.Others, "special file"}} {
		if n.count > 0 {
			out += ", " + counted(n.count, n.name)
		}
	}
	return out
}

// counted is a number of things.
func counted(n int, name string) string {
	if n != 1 {
		name += "s"
	}
	return fmt.Sprintf("%d %s", n, name)
}
