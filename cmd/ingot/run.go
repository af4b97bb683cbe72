package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/definitions"
	"ingot/internal/job"
	"ingot/internal/machine"
	"ingot/internal/plan"
	"ingot/internal/runner"
)

// runFlags are the flags of ingot run.
type runFlags struct {
	full, diff, inc, dryRun, scheduled, noPower bool
	id, logs, folder                            string
	wait                                        time.Duration
}

func newRun(c *console) *cobra.Command {
	var fl runFlags
	cmd := &cobra.Command{
		Use:   "run NAME|FILE",
		Short: "Run a backup definition",
		Long: `Run a backup definition now: by its name in the folder of definitions, or by its
file ('ingot definition' makes and checks them).

The disks it names are looked for by their ids, wherever they are plugged in, and
partitions by theirs, should they have moved. The first destination that is there,
can be written to and has room enough is taken; with rotated ones, the one whose
newest backup is the oldest. Without --full, --diff or --inc the schedules of the
definition decide about the type: the one that was due last and has not been made.

An image that an earlier run has left unfinished is gone on with. Hooks run before
and after, the owner is told as the definition says, and at last the destination
is detached and the machine shut down, where that is asked for (not with
--no-power). A hook that follows the snapshot runs when all images are complete:
until then the disks have to hold still.

One run at a time writes to the sets of a disk in a folder; another one is refused,
or waits for it with --wait. Each run leaves a log, one JSON object a line, of
which the last is the report. With --json these go to the output, too.`,
		Example: `  sudo ingot run system
  sudo ingot run system --full
  sudo ingot run system --dry-run
  sudo ingot run ./system.xml --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.run(cmd.Context(), a[0], &fl) },
	}
	f := cmd.Flags()
	f.BoolVar(&fl.full, "full", false, "make a full")
	f.BoolVar(&fl.diff, "diff", false, "make a differential")
	f.BoolVar(&fl.inc, "inc", false, "make an incremental")
	f.BoolVar(&fl.dryRun, "dry-run", false, "say what would be imaged and where to, and write nothing")
	f.BoolVar(&fl.scheduled, "scheduled", false, "nobody asked for it: skip it where the definition says so (on battery)")
	f.BoolVar(&fl.noPower, "no-power", false, "leave the machine on afterwards, whatever the definition says")
	f.DurationVar(&fl.wait, "wait", 0, "how long to wait for another run that writes to the same sets")
	f.StringVar(&fl.id, "run-id", "", "name of the run in reports and of its log (default: time and random digits)")
	f.StringVar(&fl.logs, "log-folder", "", "folder of the logs of runs, or none (default: the system's)")
	f.StringVar(&fl.folder, "definitions", "", "folder of the definitions (default "+definitions.DefaultFolder()+")")
	return cmd
}

// typ is the type that is asked for; "" leaves it to the plan.
func (fl *runFlags) typ() (plan.Type, error) {
	var out []plan.Type
	for _, t := range []struct {
		on  bool
		typ plan.Type
	}{{fl.full, plan.Full}, {fl.diff, plan.Differential}, {fl.inc, plan.Incremental}} {
		if t.on {
			out = append(out, t.typ)
		}
	}
	switch len(out) {
	case 0:
		return "", nil
	case 1:
		return out[0], nil
	}
	return "", usageError{errors.New("--full, --diff and --inc: choose one")}
}

// reportedError is an error that a report on the output tells already.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

func (c *console) run(ctx context.Context, name string, fl *runFlags) error {
	typ, err := fl.typ()
	if err != nil {
		return err
	}
	e, err := definitions.Store{Dir: fl.folder}.Load(name)
	if err != nil {
		return err
	}
	d := &e.File.Definition
	opts := runner.Options{Type: typ, Scheduled: fl.scheduled, Run: fl.id, Wait: fl.wait}
	env := c.runEnv(ctx, fl)
	if fl.dryRun {
		return c.dryRun(ctx, d, opts, env)
	}
	r, err := runner.Run(ctx, d, opts, env)
	if perr := c.printRun(r); perr != nil {
		return errors.Join(err, perr)
	}
	if !fl.noPower {
		c.power(ctx, &d.After, r.Status)
	}
	if err != nil {
		return reportedError{err}
	}
	return nil
}

// power does with the machine what is to become of it, unless somebody stops it.
func (c *console) power(ctx context.Context, a *plan.After, s job.Status) {
	what := runner.PowerAfter(a, s)
	if what == plan.PowerNothing {
		return
	}
	delay := a.Delay
	if delay <= 0 {
		delay = plan.DefaultPowerDelay
	}
	fmt.Fprintf(c.errs, "%s in %s; an interrupt (Ctrl-C) keeps the machine as it is\n", what, delay)
	select {
	case <-ctx.Done():
		return
	case <-time.After(delay):
	}
	acts := c.acts
	if acts == nil {
		acts = machine.System()
	}
	if err := acts.Act(ctx, what); err != nil {
		fmt.Fprintf(c.errs, "ingot: %v\n", err) // the backup is what the exit code is about
	}
}

func (c *console) dryRun(ctx context.Context, d *plan.Definition, opts runner.Options, env *runner.Env) error {
	p, err := runner.DryRun(ctx, d, opts, env)
	if err != nil {
		return err
	}
	defer p.Close()
	for i, im := range p.Images {
		c.note("%s to %s: %s", p.Found[i].Info.Path, p.Folder, typeName(string(im.Type())))
		if err := c.printPlan(im.(*runImaging).plan, im.(*runImaging).target); err != nil {
			return err
		}
	}
	return nil
}

// printRun prints the report of a run.
func (c *console) printRun(r *job.Report) error {
	if c.json {
		c.painter.end()
		return c.emit(r)
	}
	for i := range r.Images {
		im := &r.Images[i]
		c.note("%s", filepath.Join(r.Folder, im.File))
		c.note("  %s of %s: %s read, %s stored", typeName(im.Type), im.Disk, size(im.Read), size(im.Stored))
		if im.Verified > 0 {
			c.note("  verified: all %d blocks are good", im.Verified)
		}
	}
	line := fmt.Sprintf("%s: %s after %s", r.Definition, r.Status, r.Took().Round(time.Second/10))
	if n := len(r.Warnings); n > 0 {
		line += fmt.Sprintf(", %d warnings (see above)", n)
	}
	c.note("%s", line)
	if r.Log != "" {
		c.note("log: %s", r.Log)
	}
	return nil
}
