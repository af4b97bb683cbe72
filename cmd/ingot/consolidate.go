package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/dest"
	"ingot/internal/dest/folder"
	"ingot/internal/image"
)

func newConsolidate(c *console) *cobra.Command {
	var fl consolidateFlags
	cmd := &cobra.Command{
		Use:   "consolidate FIRST LAST",
		Short: "Merge points in time of a backup set into the last of them",
		Long: `Merge the point in time FIRST and those behind it, up to LAST, into LAST. From
incrementals an incremental is made; from a full and the incrementals behind it a
synthetic full. LAST can be restored afterwards as before; those before it are no
points in time any more, and all others of the set stay what they are.

Stored blocks are copied as they are. The files that are replaced are deleted when
the new one is complete, on stable storage, and was read back and compared.`,
		Example: `  ingot consolidate /mnt/backup/2394E9AA621DDC3A-01-01.mrimgx /mnt/backup/2394E9AA621DDC3A-04-04.mrimgx
  ingot consolidate full-00-00.mrimgx full-03-03.mrimgx --dry-run`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.consolidate(cmd.Context(), a[0], a[1], &fl) },
	}
	f := cmd.Flags()
	f.BoolVar(&fl.yes, "yes", false, "do not ask before the merged points in time are dropped")
	f.BoolVar(&fl.dryRun, "dry-run", false, "say what would be merged, and write nothing")
	f.StringVar(&fl.tempDir, "temp-dir", "", "folder where the index of a large disk waits (default: the system's)")
	return cmd
}

type consolidateFlags struct {
	yes, dryRun bool
	tempDir     string
}

// consolidateReport is the result of ingot consolidate.
type consolidateReport struct {
	Status  string   `json:"status"`
	File    string   `json:"file"`
	Type    string   `json:"type"`
	Removed []string `json:"removed_files"`
	Bytes   int64    `json:"copied_bytes_at_most"`
	Size    int64    `json:"bytes,omitempty"`
	Seconds float64  `json:"seconds,omitempty"`
}

func (c *console) consolidate(ctx context.Context, first, last string, fl *consolidateFlags) error {
	if a, b := filepath.Dir(first), filepath.Dir(last); filepath.Clean(a) != filepath.Clean(b) {
		return usageError{fmt.Errorf("%s and %s are not in one folder", first, last)}
	}
	store, err := folder.New(filepath.Dir(last))
	if err != nil {
		return err
	}
	if !fl.dryRun {
		held, err := lockSets(ctx, store, "ingot consolidate")
		if err != nil {
			return err
		}
		defer held.release()
	}
	sets, err := image.ReadSets(ctx, store, c.access(ctx, false))
	if err != nil {
		return err
	}
	set, into := sets.Find(filepath.Base(last))
	_, from := sets.Find(filepath.Base(first))
	if into != nil && from == nil && set.TakenIn(filepath.Base(first), into) {
		return c.consolidated(ctx, store, set, into)
	}
	if into == nil || from == nil {
		return refuse("%s and %s are not both images", first, last)
	}
	plan, err := set.Consolidation(from, into)
	if err != nil {
		return refuse("%w", err)
	}
	r := consolidateReport{File: into.Name, Type: from.Doc.Header.BackupType, Bytes: plan.Bytes}
	for _, m := range plan.Removed {
		r.Removed = append(r.Removed, m.Name)
	}
	if !c.json {
		c.tellConsolidation(&r)
	}
	if fl.dryRun {
		r.Status = "dry run"
		return c.consolidateDone(&r)
	}
	if !fl.yes {
		yes, err := c.confirm(ctx, "They are no points in time any more afterwards.")
		if err != nil || !yes {
			return refuse("not confirmed: nothing was changed")
		}
	}
	began := time.Now()
	meter := c.log().Stage("consolidate", plan.Bytes)
	if err := plan.Run(ctx, store, image.Options{TempDir: fl.tempDir}, meter.Add); err != nil {
		return err
	}
	meter.End()
	r.Status, r.Seconds = "done", time.Since(began).Seconds()
	if b, err := store.Open(ctx, into.Name); err == nil {
		r.Size = b.Size()
		_ = b.Close() // it was read only
	}
	return c.consolidateDone(&r)
}

// consolidated ends a consolidation that has got as far as putting the new file
// in its place, and was cut short or is asked for once more.
func (c *console) consolidated(ctx context.Context, store dest.Store, set *image.Set, into *image.Member) error {
	if err := set.Tidy(ctx, store); err != nil {
		return err
	}
	return c.consolidateDone(&consolidateReport{Status: "done", File: into.Name, Type: into.Doc.Header.BackupType, Removed: []string{}, Size: into.Size})
}

func (c *console) tellConsolidation(r *consolidateReport) {
	fmt.Fprintf(c.errs, "%s becomes a %s that takes in, and replaces:\n", r.File, typeName(r.Type))
	for _, name := range r.Removed {
		fmt.Fprintf(c.errs, "  %s\n", name)
	}
}

func (c *console) consolidateDone(r *consolidateReport) error {
	if c.json {
		return c.emit(r)
	}
	if r.Status != "done" {
		c.note("at most %s would be copied. Nothing was changed.", size(r.Bytes))
		return nil
	}
	c.note("%s: %s, %s, %.1f s", r.File, typeName(r.Type), size(r.Size), r.Seconds)
	return nil
}
