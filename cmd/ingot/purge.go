package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ingot/internal/dest/folder"
	"ingot/internal/image"
	"ingot/internal/plan"
	"ingot/internal/retention"
)

// retentionFlags are the rules of retention on the command line.
type retentionFlags struct {
	rules   plan.Retention
	all     bool
	minFree string
}

func (r *retentionFlags) add(f *pflag.FlagSet) {
	f.TextVar(&r.rules.Full, "keep-full", plan.Keep{}, "keep so many fulls with their sets: 4, 30d, 8w, 6m (backups, days, weeks, months)")
	f.TextVar(&r.rules.Differential, "keep-diff", plan.Keep{}, "keep so many differentials; one that goes takes the incrementals based on it with it")
	f.TextVar(&r.rules.Incremental, "keep-inc", plan.Keep{}, "keep so many incrementals; older ones are merged into the next")
	f.IntVar(&r.rules.GFS.Daily, "keep-daily", 0, "keep the newest backup of each of so many days")
	f.IntVar(&r.rules.GFS.Weekly, "keep-weekly", 0, "the same of weeks")
	f.IntVar(&r.rules.GFS.Monthly, "keep-monthly", 0, "the same of months")
	f.IntVar(&r.rules.GFS.Yearly, "keep-yearly", 0, "the same of years")
	f.BoolVar(&r.rules.SyntheticFull, "synthetic-full", false, "roll the full forward over its oldest incrementals instead of merging those")
	f.IntVar(&r.rules.Minimum, "minimum", 1, "points in time of each disk that stay whatever the rules say")
	f.BoolVar(&r.all, "all-sets", false, "count the fulls of all sets in the folder, not those of each disk and its partitions")
	f.StringVar(&r.minFree, "min-free", "", "delete the oldest sets while less than this is free: 5G when no size is given, at least 1G (default: never)")
	f.Lookup("min-free").NoOptDefVal = fmt.Sprint(int64(plan.DefaultMinFree))
	f.BoolVar(&r.rules.DropLast, "drop-last", false, "let even the last good set go when a full is made and space is short")
}

// parsed gives the rules.
func (r *retentionFlags) parsed() (plan.Retention, error) {
	rules := r.rules
	if r.all {
		rules.Scope = plan.AllSets
	}
	if r.minFree != "" {
		n, err := binarySize(r.minFree)
		if err != nil {
			return rules, usageError{fmt.Errorf("--min-free is %q: %w", r.minFree, err)}
		}
		rules.MinFree = n
	}
	if rules.Minimum == 1 {
		rules.Minimum = 0 // the default: --drop-last goes below it
	}
	if err := rules.Check(); err != nil {
		return rules, usageError{err}
	}
	return rules, nil
}

func newPurge(c *console) *cobra.Command {
	var rules retentionFlags
	var yes, dryRun bool
	var tempDir string
	cmd := &cobra.Command{
		Use:   "purge FOLDER",
		Short: "Apply rules of retention to the backup sets in a folder",
		Long: `Say, and then carry out, which points in time stay, are merged or are deleted.
A full that goes takes its set with it, a differential the incrementals based on
it; old incrementals are merged into the next one, so that no chain ever breaks.
Protected points ('ingot protect') and the newest good one always stay.

Without any rule nothing is done.`,
		Example: `  ingot purge /mnt/backup --keep-full 4 --keep-inc 14d --dry-run
  ingot purge /mnt/backup --keep-inc 30 --synthetic-full
  ingot purge /mnt/backup --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --yes
  ingot purge /mnt/backup --min-free=50G --yes`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			parsed, err := rules.parsed()
			if err != nil {
				return err
			}
			return c.purge(cmd.Context(), a[0], parsed, yes, dryRun, tempDir)
		},
	}
	rules.add(cmd.Flags())
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before anything is deleted")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the table of what stays, is merged, is deleted, and why; change nothing")
	cmd.Flags().StringVar(&tempDir, "temp-dir", "", "folder where the index of a large disk waits (default: the system's)")
	return cmd
}

// purgeReport is the result of ingot purge.
type purgeReport struct {
	Status   string          `json:"status"`
	Folder   string          `json:"folder"`
	Points   []retention.Row `json:"points"`
	Merged   int             `json:"merged"`
	Deleted  int             `json:"deleted"`
	Seconds  float64         `json:"seconds,omitempty"`
	Warnings []string        `json:"warnings"`
}

func (c *console) purge(ctx context.Context, path string, rules plan.Retention, yes, dryRun bool, tempDir string) error {
	store, err := folder.New(path)
	if err != nil {
		return err
	}
	if !dryRun {
		held, err := lockSets(ctx, store, "ingot purge")
		if err != nil {
			return err
		}
		defer held.release()
	}
	sets, broken, err := retention.Read(ctx, store)
	if err != nil {
		return err
	}
	run := retention.Run{Now: time.Now()}
	d := retention.Decide(rules, sets, run)
	r := purgeReport{Status: "done", Folder: path, Points: d.Rows(), Warnings: []string{}}
	for i := range r.Points {
		switch r.Points[i].Verdict {
		case retention.TakenUp:
			r.Merged++
		case retention.Removed:
			r.Deleted++
		}
	}
	if !c.json {
		if err := c.printPurge(&r); err != nil {
			return err
		}
	}
	if dryRun {
		r.Status = "dry run"
		return errors.Join(c.purgeDone(&r), broken)
	}
	if len(d.Ops) > 0 && !yes {
		ok, err := c.confirm(ctx, fmt.Sprintf("%d points in time will be deleted and %d merged into others.", r.Deleted, r.Merged))
		if err != nil || !ok {
			return refuse("not confirmed: nothing was changed")
		}
	}
	log := c.log()
	began := time.Now()
	opts := retention.Options{TempDir: tempDir, Access: c.access(ctx, false)}
	if err = retention.Tidy(ctx, store, opts, log); err == nil {
		err = d.Apply(ctx, store, opts, log)
	}
	if err == nil && rules.MinFree > 0 {
		guard := &retention.Guard{Store: store, Rules: rules, Run: run, Log: log, Options: opts}
		err = guard.MakeRoom(ctx)
	}
	if err != nil {
		return fmt.Errorf("purge %s: %w", path, err)
	}
	r.Seconds, r.Warnings = time.Since(began).Seconds(), log.Warnings()
	if r.Merged, r.Deleted = d.Merged, d.Deleted; d.Undone != nil {
		r.Status = "incomplete"
	}
	return errors.Join(c.purgeDone(&r), d.Undone, broken)
}

func (c *console) printPurge(r *purgeReport) error {
	tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for i := range r.Points {
		p := &r.Points[i]
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%s\n", p.Time.Format("2006-01-02 15:04"), p.Type, size(p.Size), p.File, p.Verdict, p.Reason)
	}
	return tw.Flush()
}

func (c *console) purgeDone(r *purgeReport) error {
	if c.json {
		return c.emit(r)
	}
	switch {
	case r.Status == "dry run":
		c.note("%d would be deleted, %d merged. Nothing was changed.", r.Deleted, r.Merged)
	default:
		c.note("%d deleted, %d merged, %.1f s", r.Deleted, r.Merged, r.Seconds)
	}
	return nil
}

func newProtect(c *console) *cobra.Command {
	var off bool
	var comment string
	cmd := &cobra.Command{
		Use:   "protect IMAGE",
		Short: "Keep a point in time from ever being purged",
		Long: `Keep a point in time, and what it needs, from being deleted or merged away by
retention and for lack of space. A small file in the folder notes it.`,
		Example: `  ingot protect /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx --comment "before the move"
  ingot protect /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx --off`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.protect(cmd.Context(), a[0], comment, off) },
	}
	cmd.Flags().BoolVar(&off, "off", false, "let retention have it again")
	cmd.Flags().StringVar(&comment, "comment", "", "why")
	return cmd
}

func (c *console) protect(ctx context.Context, path, comment string, off bool) error {
	store, err := folder.New(filepath.Dir(path))
	if err != nil {
		return err
	}
	sets, err := image.ReadSets(ctx, store, nil)
	if err != nil {
		return err
	}
	_, m := sets.Find(filepath.Base(path))
	if m == nil || !m.Point() {
		return refuse("%s is no point in time of a backup set", path)
	}
	state := "protected"
	if off {
		state = "not protected"
		err = m.Unprotect(ctx, store)
	} else {
		err = m.Protect(ctx, store, comment, time.Now())
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(map[string]string{"status": state, "file": m.Name})
	}
	c.note("%s is %s", m.Name, state)
	return nil
}
