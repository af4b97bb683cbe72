package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/job"
	"ingot/internal/restore"
	"ingot/internal/result"
	"ingot/internal/vdisk"
)

type restoreFlags struct {
	partitions, layout       string
	expect                   string
	disk                     int
	yes, check, dryRun, test bool
}

func newRestore(c *console) *cobra.Command {
	var fl restoreFlags
	cmd := &cobra.Command{
		Use:   "restore FROM TARGET",
		Short: "Restore an image to a disk or a file, or clone a disk or virtual disk",
		Long: `Restore an image to a disk, or to a raw disk-image file that is created sparse
when it does not exist. FROM is IMAGE[@TIME], or another disk, or a virtual disk
(VHDX, VHD, qcow2, VMDK, raw), of which what file systems use is written, or the
folder of a Windows system image (see 'ingot convert --help'). What is
on the target is shown first, and a yes is asked for before anything is overwritten.
'ingot convert' makes virtual disks.

Contents are written first and the partition table last: a restore that is cut
short leaves a disk without a table. Disk and partition ids are kept. On a larger
disk the rest stays free. With --partitions into partitions of the same place
and size, the table and all other partitions of the target stay as they are.

Scripts ask first with --dry-run --json, and then give the fingerprint of its answer
with --expect: when the target is no longer that disk, or is cut otherwise, or
something else would be restored, nothing is written (exit code 4).

` + pointHelp,
		Example: `  sudo ingot restore /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx /dev/sdb
  sudo ingot restore image.mrimgx /dev/sdb --partitions 3 --check
  ingot restore image.mrimgx disk.img --yes
  ingot restore /mnt/backup@2026-11-20 disk.img
  sudo ingot restore machine.vhdx /dev/sdb
  ingot restore image.mrimgx /dev/sdb --dry-run`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.restore(cmd.Context(), a[0], a[1], &fl) },
	}
	f := cmd.Flags()
	f.StringVar(&fl.partitions, "partitions", "", "only these partitions, by their number in the image: 1,3 (default all)")
	layoutFlag(f, &fl.layout)
	f.IntVar(&fl.disk, "disk", 1, "which disk of the image, counted from 1")
	f.BoolVar(&fl.yes, "yes", false, "do not ask before overwriting")
	f.BoolVar(&fl.check, "check", false, "read the target back afterwards and compare")
	f.BoolVar(&fl.test, "verify", false, "verify the whole image before anything is overwritten")
	f.BoolVar(&fl.dryRun, "dry-run", false, "say what would be overwritten, and write nothing")
	f.StringVar(&fl.expect, "expect", "", "restore only if a dry run (--dry-run --json) still gives this fingerprint")
	return cmd
}

func (c *console) restore(ctx context.Context, path, target string, fl *restoreFlags) error {
	numbers, err := numberList(fl.partitions)
	if err != nil {
		return usageError{err}
	}
	log := c.log()
	from, err := c.openRestoreFrom(ctx, path, fl, log)
	if err != nil {
		return err
	}
	defer from.close()
	t, err := openRestoreTarget(target, from.Layout, fl.dryRun)
	if err != nil {
		return err
	}
	defer t.close()
	for _, file := range from.files {
		if err := t.allowed(file, from.Layout); err != nil {
			return err
		}
	}
	plan, err := restore.Prepare(from.Source, t.file, t.current, restore.Options{Partitions: numbers, Blank: t.created, Check: fl.check})
	if err != nil {
		return refuse("restore %s to %s: %w", path, target, err)
	}
	if !c.json || !fl.yes {
		c.tellRestore(plan, t, target)
	}
	mark := t.fingerprint(plan, from)
	if fl.expect != "" && fl.expect != mark {
		return refuse("%s is no longer what it was when it was looked at, or something else would be restored: nothing was written", target)
	}
	if fl.dryRun {
		return c.restoreDone(t.foreseen(plan, mark))
	}
	if !t.created && !fl.yes {
		yes, err := c.confirm(ctx, fmt.Sprintf("All that is listed above will be lost on %s.", target))
		if err != nil || !yes {
			return refuse("not confirmed: nothing was changed")
		}
	}
	for _, w := range plan.Warnings {
		log.Warn("%s", w)
	}
	began := time.Now()
	if err := from.run(ctx, plan, log); err != nil {
		return fmt.Errorf("restore %s to %s: %w%s", path, target, err, t.left(plan))
	}
	t.keep = true
	t.tellSystem(plan, log)
	return c.restoreDone(&result.Restore{
		Status: "done", Target: target, Bytes: plan.Bytes, Seconds: time.Since(began).Seconds(), Checked: fl.check, Warnings: log.Warnings(),
	})
}

// restoreTarget is what a restore writes to.
type restoreTarget struct {
	path    string
	file    *disk.File
	current *disk.Layout // nil: nothing readable is there
	created bool         // a file that was not there before
	keep    bool
}

// openRestoreTarget opens the disk or file, for reading only when nothing is to
// be written. A file that is not there is made as large as the source disk.
func openRestoreTarget(path string, l *disk.Layout, dryRun bool) (*restoreTarget, error) {
	t := &restoreTarget{path: path}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(path, `\\.\`) {
		if inDev(path) {
			return nil, refuse("there is no disk %s; 'ingot disks' lists those there are", path)
		}
		if f := vdisk.FormatOf(path); f != "" && f != vdisk.Raw {
			return nil, refuse("%s would be a virtual disk: 'ingot convert FROM %s' makes it", path, path)
		}
		if dryRun {
			return nil, refuse("%s does not exist: a sparse file of %s would be created", path, size(l.Size))
		}
		if err := createSparse(path, l.Size); err != nil {
			return nil, err
		}
		t.created = true
	}
	if err := refuseVirtual(path); err != nil {
		return nil, err
	}
	open := disk.OpenTarget
	if dryRun {
		open = disk.Open
	}
	if t.file, err = open(path); err != nil {
		t.close()
		return nil, fmt.Errorf("open restore target: %w", err)
	}
	if !t.created {
		sector := t.file.Info.LogicalSector
		if t.file.Info.Bus == "file" {
			sector = 0
		}
		// A target without a readable table is overwritten like any other.
		t.current, _ = disk.Parse(t.file, sector)
	}
	return t, nil
}

// refuseVirtual refuses the file of a virtual disk: its disk is not what lies in
// it from front to end.
func refuseVirtual(path string) error {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	d, err := vdisk.Open(context.Background(), path, vdisk.Options{})
	if err != nil {
		return nil // what cannot be read may be overwritten
	}
	defer d.Close()
	if d.Format != vdisk.Raw {
		return refuse("%s is a virtual disk (%s): 'ingot convert FROM %s --force' replaces it", path, d.Format, path)
	}
	return nil
}

// inDev says whether the path lies in the folder of devices, where a file would
// take memory and be no disk.
func inDev(path string) bool {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return dir == "/dev" || strings.HasPrefix(dir, "/dev/") && !strings.HasPrefix(dir, "/dev/shm")
}

func createSparse(path string, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create restore target: %w", err)
	}
	if err := f.Truncate(n); err != nil {
		return errors.Join(fmt.Errorf("create restore target: %w", err), f.Close(), os.Remove(path))
	}
	return f.Close()
}

// allowed refuses a target that must not be overwritten, or cannot carry the
// disk.
func (t *restoreTarget) allowed(imagePath string, l *disk.Layout) error {
	holds, err := disk.HoldsPath(t.file, imagePath)
	if err != nil {
		return fmt.Errorf("find out which disk %s lies on: %w", imagePath, err)
	}
	if holds {
		return refuse("the image %s lies on the target itself", imagePath)
	}
	info := &t.file.Info
	if info.Bus != "file" && info.LogicalSector != l.SectorSize {
		return refuse("the disk of the image has sectors of %d bytes, %s has %d: its partitions would not be found there", l.SectorSize, info.Path, info.LogicalSector)
	}
	uses, err := t.file.Users()
	if err != nil {
		return fmt.Errorf("find out what uses %s: %w", info.Path, err)
	}
	if len(uses) > 0 {
		return refuse("%s is in use: %s %s %s", info.Path, uses[0].Device, uses[0].Kind, uses[0].Where)
	}
	return nil
}

// tellSystem has the system see what is on the disk now.
func (t *restoreTarget) tellSystem(plan *restore.Plan, log *job.Log) {
	err := t.file.DropCache()
	if plan.Table {
		err = errors.Join(err, t.file.Reread())
	}
	if err != nil {
		log.Warn("the disk is restored, but the system still sees some of its old contents (%v): restart before using it", err)
	}
}

// left says in what state a restore that failed leaves its target.
func (t *restoreTarget) left(plan *restore.Plan) string {
	switch {
	case t.created:
		return " (the unfinished file was removed)"
	case plan.Table:
		return " (the target has no partition table now: restore it again before use)"
	}
	return " (the partitions being restored are incomplete: restore them again before use)"
}

// close closes the target; a file that this run made and did not finish goes.
func (t *restoreTarget) close() {
	if t.file != nil {
		_ = t.file.Close() // everything was synced, or the run has failed
	}
	if t.created && !t.keep {
		_ = os.Remove(t.path)
	}
}

// tellRestore shows what is about to happen.
func (c *console) tellRestore(plan *restore.Plan, t *restoreTarget, target string) {
	w := c.errs
	switch {
	case t.created:
		fmt.Fprintf(w, "%s is created.\n", target)
	case plan.Table:
		fmt.Fprintf(w, "%s (%s, %s) gets a new partition table. What is on it now is lost:\n", target, size(t.file.Size()), describe(&t.file.Info))
	default:
		fmt.Fprintf(w, "%s (%s, %s) keeps its partition table. These partitions are overwritten:\n", target, size(t.file.Size()), describe(&t.file.Info))
	}
	for _, p := range plan.Lost {
		fmt.Fprintf(w, "  partition %d  %s at %s  %s %s\n", p.Number, size(p.Len), size(p.Off), p.TypeName, p.Name)
	}
	if !t.created && len(plan.Lost) == 0 {
		fmt.Fprintln(w, "  (no partition table that can be read)")
	}
	fmt.Fprintln(w, "It will hold:")
	for i := range plan.Parts {
		p := &plan.Parts[i]
		fmt.Fprintf(w, "  %s  %s at %s\n", p.Name, size(p.Reader.Size()), size(p.Off))
	}
}

func describe(info *disk.Info) string {
	if s := strings.TrimSpace(info.Vendor + " " + info.Model + " " + info.Serial); s != "" {
		return s
	}
	return info.Bus
}

// foreseen is what a dry run says.
func (t *restoreTarget) foreseen(plan *restore.Plan, mark string) *result.Restore {
	d := viewDisk(t.file.Info, t.current)
	d.Path = t.path
	r := &result.Restore{
		Status: "dry run", Target: t.path, Bytes: plan.Bytes, Warnings: plan.Warnings, Fingerprint: mark, Table: plan.Table, Disk: &d, Lost: []result.Partition{},
	}
	if t.current != nil {
		for _, p := range t.current.Partitions {
			d.Partitions = append(d.Partitions, viewPart(p, filesys.Info{}))
		}
	}
	for _, p := range plan.Lost {
		r.Lost = append(r.Lost, viewPart(p, filesys.Info{}))
	}
	for i := range plan.Parts {
		p := &plan.Parts[i]
		r.Holds = append(r.Holds, result.Extent{Number: p.Number, Name: p.Name, Off: p.Off, Size: p.Reader.Size()})
	}
	return r
}

// fingerprint changes when the target is another disk, or is cut otherwise, or
// when something else is to be restored.
func (t *restoreTarget) fingerprint(plan *restore.Plan, from *restoreFrom) string {
	sum := sha256.New()
	i := &t.file.Info
	fmt.Fprintf(sum, "%q %q %q %d %d %q %v\n", absolute(t.path), i.Vendor+" "+i.Model, i.Serial, i.Size, i.LogicalSector, from.files, plan.Table)
	if l := t.current; l != nil {
		fmt.Fprintf(sum, "%q %q\n", l.Scheme, l.ID)
		for _, p := range l.Partitions {
			fmt.Fprintf(sum, "%d %d %d %q %q\n", p.Number, p.Off, p.Len, p.Type, p.GUID)
		}
	}
	for i := range plan.Parts {
		p := &plan.Parts[i]
		fmt.Fprintf(sum, "> %d %d %d\n", p.Number, p.Off, p.Reader.Size())
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

func (c *console) restoreDone(r *result.Restore) error {
	if c.json {
		return c.emit(r)
	}
	if r.Status != "done" {
		c.note("%s would be written. Nothing was changed.", size(r.Bytes))
		return nil
	}
	c.note("%s restored to %s in %.1f s, %.0f MB/s", size(r.Bytes), filepath.Clean(r.Target), r.Seconds, float64(r.Bytes)/1e6/max(r.Seconds, 0.001))
	if r.Checked {
		c.note("checked: the target holds what the image holds")
	}
	return nil
}
