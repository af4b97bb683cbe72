package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"ingot/internal/backup"
	"ingot/internal/dest/folder"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/machine"
	"ingot/internal/plan"
	"ingot/internal/runner"
	"ingot/internal/trust"
)

// runEnv gives a run this machine, and this program to take the images.
func (c *console) runEnv(ctx context.Context, fl *runFlags) *runner.Env {
	host, _ := os.Hostname()
	return &runner.Env{
		Machine: runner.Machine{List: listLayouts, Open: openLayout, Windows: hasWindows},
		Image:   c.runImage, Holds: holds, Trust: trust.Command,
		Judge: func(err error) (int, string) {
			if ctx.Err() != nil {
				err = errors.Join(errInterrupted, err)
			}
			return exitCode(err), hint(reportedError{err})
		},
		Supply: machine.Power, Metered: machine.Metered, Share: machine.Share,
		Priority: machine.SetPriority, Awake: machine.StayAwake, Detach: machine.Detach,
		Now: time.Now, Built: built(), Host: host, Fstab: "/etc/fstab", Logs: runLogs(fl.logs), Tell: c.sink(),
	}
}

// runLogs is the folder of the logs of runs.
func runLogs(given string) string {
	switch {
	case given == "none":
		return ""
	case given != "":
		return given
	case runtime.GOOS == "windows":
		return filepath.Join(os.Getenv("ProgramData"), "Ingot", "Logs", "Runs")
	case os.Geteuid() == 0:
		return "/var/log/ingot/runs"
	}
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "ingot", "runs")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "ingot", "runs")
}

// built is when this program was, as far as it knows: that of its newest change.
func built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value)
			return t
		}
	}
	return time.Time{}
}

// listLayouts gives the disks of the machine with their tables. What cannot be
// read is said.
func listLayouts() (disks []runner.Disk, unread []string, err error) {
	infos, err := disk.List()
	if err != nil {
		return nil, nil, err
	}
	for _, info := range infos {
		d, err := openLayout(info.Path)
		if err != nil {
			unread = append(unread, err.Error())
			continue
		}
		d.Info = info // with its place in the list
		disks = append(disks, *d)
	}
	return disks, unread, nil
}

func openLayout(path string) (*runner.Disk, error) {
	src, err := openSource(context.Background(), path, sourceFlags{})
	if err != nil {
		return nil, err
	}
	return &runner.Disk{Info: src.Info, Layout: src.Layout}, src.Close()
}

// hasWindows says whether a disk has what Windows needs to start, or a part of
// it.
func hasWindows(d *runner.Disk) (bool, error) {
	src, err := openSource(context.Background(), d.Info.Path, sourceFlags{})
	if err != nil {
		return false, err
	}
	defer src.Close()
	_, err = backup.Prepare(src.Source, backup.Options{Windows: true})
	return err == nil, nil
}

func holds(source, path string) (bool, error) {
	f, err := disk.Open(source)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return disk.HoldsPath(f, path)
}

// runImaging is an image of a run.
type runImaging struct{ *imaging }

// runImage implements runner.Imager.
func (c *console) runImage(ctx context.Context, q *runner.Request) (runner.Imaging, error) {
	j := imageJobOf(ctx, q)
	store, err := folder.New(q.Folder)
	if err != nil {
		return nil, err
	}
	left, err := image.ReadUnfinished(ctx, store)
	if err != nil {
		return nil, err
	}
	j.opts.Resume = len(left) > 0
	im, err := beginImaging(ctx, j)
	if err != nil {
		return nil, err
	}
	im.unique(ctx)
	return &runImaging{im}, nil
}

// unique sees to it that a new set does not have the name of one that is there:
// a name that is the same each time is right for the first full only.
func (im *imaging) unique(ctx context.Context) {
	if im.target.Set != nil || im.name == "" {
		return
	}
	host, _ := os.Hostname()
	n := backup.Naming{Template: im.name, Time: time.Now(), Host: host, Disk: filepath.Base(im.source)}
	b, err := im.store.Open(ctx, n.Full(""))
	if err == nil {
		_ = b.Close()
		im.name += "-{IMAGEID}"
	}
}

// retryLast is how long the last destination is tried again when it cannot be
// written to. The others have one behind them.
const retryLast = 10 * time.Minute

// imageJobOf is what a definition asks for, of one disk.
func imageJobOf(ctx context.Context, q *runner.Request) *imageJob {
	d, o := q.Def, &q.Def.Options
	j := &imageJob{
		source: q.Source.Info.Path, to: q.Folder, name: d.FileName, split: splitText(o.Split), rules: d.Retention,
		purgeBefore: d.Retention.PurgeBefore, verify: o.Verify, mounted: o.AllowMounted, rate: o.Rate,
		opts: backup.Options{
			Partitions: q.Source.Partitions, Windows: q.Source.Windows, Type: string(q.Type), FullIndex: o.FullIndex,
			Changes: o.Changes, FullReadEvery: o.FullReadEvery, Compression: o.Compression, OnReadError: o.OnReadError,
			Encrypt: o.Encrypt, Conceal: o.Conceal, AllSectors: o.AllSectors, Exclude: o.Exclude, BlockSize: o.BlockSize,
			Definition: d.VendorDefinition(), Comment: d.Comment, TempDir: o.TempDir, Workers: o.Workers, Flush: time.Minute, Access: accessOf(ctx, q),
		},
	}
	if q.Last {
		j.retryFor = retryLast
	}
	if q.Password != nil && j.opts.Encrypt == "" {
		j.opts.Encrypt = defaultCipher
	}
	return j
}

// splitText is a size as --split has it.
func splitText(n int64) string {
	switch n {
	case 0:
		return "auto"
	case plan.NoSplit:
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

// accessOf gives the way to encrypted images by the password of a definition.
func accessOf(ctx context.Context, q *runner.Request) *image.Access {
	var known []byte // so that a command is asked once
	return image.NewAccess(func() ([]byte, error) {
		noCoreDump()
		if q.Password == nil {
			return nil, fmt.Errorf("%w: the definition %s names none", image.ErrLocked, q.Def.Name)
		}
		if known == nil {
			var err error
			if known, err = q.Password(ctx); err != nil {
				return nil, err
			}
		}
		return bytes.Clone(known), nil
	})
}

func (im *runImaging) Type() plan.Type { return plan.Type(im.target.Type) }

func (im *runImaging) Bytes() int64 { return im.plan.Bytes }

func (im *runImaging) Free(ctx context.Context) (int64, error) { return im.store.Free(ctx) }

// Run implements runner.Imaging.
func (im *runImaging) Run(ctx context.Context, log *job.Log) (*job.Image, error) {
	r, err := im.run(ctx, log)
	if err != nil {
		return nil, err
	}
	out := &job.Image{
		Disk: im.source, File: r.Name, ImageID: r.ImageID, Type: r.Type, Based: r.Based,
		Read: r.Read, Changed: r.Changed, Stored: r.Written, Verified: r.Verified, Bad: r.BadBytes,
	}
	if err := r.unreadable(); err != nil {
		return out, runner.Unreadable(err)
	}
	return out, nil
}
