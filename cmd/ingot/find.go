package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ingot/internal/browse"
)

// findOptions are what ingot find was told.
type findOptions struct {
	sizes        []string
	newer, older string
	types        string
	zero         bool
}

func newFind(c *console) *cobra.Command {
	var o findOptions
	cmd := &cobra.Command{
		Use:   "find IMAGE[@TIME]:PARTITION/PATH [PATTERN]",
		Short: "Find files in an image",
		Long: `Find files and folders below a folder in an image, by their names, sizes, times
and types, and print their paths as they are found.

PATTERN is matched against the name; one with a slash against the path below the
folder: * is any part of a name, ** any number of folders, ? one character, [a-z]
and {one,other} as in a shell. Case matters where it does for the file system.

` + refHelp,
		Example: `  ingot find /mnt/backup:2/Users '*.docx' --newer 2026-11-01
  ingot find image.mrimgx:2 '**/AppData/**/*.{db,sqlite}' --size +10M
  ingot find image.mrimgx:2/home --type l --json`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			q, err := o.query(append(a, "")[1])
			if err != nil {
				return usageError{err}
			}
			return c.find(cmd.Context(), a[0], q, o.zero)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.sizes, "size", nil, "+10M: files of at least 10 MiB; -10M: of at most; 10M: just that; may be given twice")
	f.StringVar(&o.newer, "newer", "", "changed at or after this time, such as 2026-11-24 or 2026-11-24T18:30")
	f.StringVar(&o.older, "older", "", "changed before this time")
	f.StringVar(&o.types, "type", "", "letters of: f (files), d (folders), l (links), o (others)")
	f.BoolVarP(&o.zero, "print0", "0", false, "end each path with a NUL and print its bytes as they are")
	return cmd
}

// query makes the search that the options ask for.
func (o *findOptions) query(pattern string) (browse.Query, error) {
	q := browse.Query{Pattern: pattern, Types: o.types}
	for _, s := range o.sizes {
		if err := addSize(&q, s); err != nil {
			return q, err
		}
	}
	if o.newer != "" {
		t, err := dayOrTime(o.newer)
		if err != nil {
			return q, fmt.Errorf("--newer: %w", err)
		}
		q.After = t.Add(-1)
	}
	if o.older != "" {
		t, err := dayOrTime(o.older)
		if err != nil {
			return q, fmt.Errorf("--older: %w", err)
		}
		q.Before = t
	}
	return q, q.Check()
}

// addSize adds a bound such as +10M. Units are powers of 1024.
func addSize(q *browse.Query, text string) error {
	digits := strings.TrimLeft(text, "+-")
	unit := strings.ToUpper(strings.TrimLeft(digits, "0123456789."))
	number := digits[:len(digits)-len(unit)]
	if len(unit) == 1 && unit != "B" {
		unit += "iB"
	}
	n, err := humanize.ParseBytes(number + unit)
	if err != nil || len(text)-len(digits) > 1 || n > math.MaxInt64 {
		return fmt.Errorf("--size %s: write +10M, -500k or 4096", text)
	}
	if text[0] != '-' {
		q.Min = int64(n)
	}
	if text[0] != '+' {
		q.Max = max(int64(n), 1)
	}
	return nil
}

// dayOrTime is the moment at which what a person has written begins.
func dayOrTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2026-11-24 or 2026-11-24T18:30", text)
}

func (c *console) find(ctx context.Context, ref string, q browse.Query, zero bool) error {
	l, err := c.look(ctx, ref, true, false)
	if err != nil {
		return err
	}
	defer l.Close()
	if !l.info.IsDir() {
		return usageError{errors.New(l.path(l.at) + " is not a folder")}
	}
	bad := &unreadList{c: c, l: l}
	err = l.vol.Find(ctx, l.at, q, browse.Finder{Bad: bad.tell, Found: func(path string, e fs.DirEntry) error {
		switch {
		case c.json:
			return c.emitEntry(l, path, e)
		case zero:
			_, err := fmt.Fprintf(c.out, "%s\x00", path)
			return err
		}
		c.note("%s", shown(path, e.IsDir()))
		return nil
	}})
	return errors.Join(err, bad.result())
}
