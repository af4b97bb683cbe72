// Command ingot images disks, verifies the images and restores them.
//
// Each verb has a file of its own; console.go draws what a run tells, view.go
// shows disks, hint.go turns errors into advice, exit.go into exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set when a release is built.
var version = "dev"

// softMemory is where the garbage collector begins to hurry. What a run holds
// at a time is less than half of it, whatever the size of the disk; the rest is
// what nobody needs any more.
const softMemory = 128 << 20

func main() {
	debug.SetMemoryLimit(softMemory)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once, should the first one hang.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	c := &console{in: in, out: out, errs: errs}
	root := newRoot(c)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(errInterrupted, err)
	}
	if err != nil {
		c.fail(err)
	}
	return exitCode(err)
}

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "ingot",
		Short: "Image disks, verify the images, restore them",
		Long: `Ingot takes an image of the used blocks of a disk or of single partitions,
verifies it, and restores it to the same or another disk. Image files have the
published Reflect X layout (.mrimgx).

Exit codes:
  0    done (there may have been warnings)
  1    failed
  2    the command line is wrong
  3    damage was found: in an image, or on a restored disk; or a file of a set is missing
  4    refused, nothing was changed: the target is in use, a file exists, no consent
  5    the password is missing or wrong
  6    done, but some of the source could not be read: it is zeros in the image, or
       is missing where it was copied to
  7    failed, and what was written stays: the same command with --resume goes on
  130  interrupted`,
		Example: `  ingot disks
  ingot image /dev/sda --to /mnt/backup --verify
  ingot show /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx
  ingot restore /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx /dev/sdb`,
		Version:       version,
		Args:          args(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print results and events as JSON, one object a line")
	c.passwords.add(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nsee '%s --help'", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newDisks(c), newImage(c), newVerify(c), newShow(c), newRestore(c), newConvert(c), newExportWindows(c), newSets(c),
		newConsolidate(c), newPurge(c), newProtect(c), newMount(c), newUmount(c), newNBD(c), newDemo(c), newLs(c),
		newTree(c), newFind(c), newCat(c), newCp(c), newVersions(c), newDefinition(c), newPlan(c), newSchedule(c),
		newRun(c), newService(c), newStatus(c), newQueue(c), newHistory(c), newLog(c), newCancel(c), newPause(c),
		newUnpause(c), newUnlock(c), newUI(c, consolePages), newTUI(c),
	)
	return root
}

// args wraps a check of arguments so that its error counts as a wrong command
// line.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return usageError{fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}
