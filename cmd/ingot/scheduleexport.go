package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ingot/internal/definitions"
	"ingot/internal/timers"
)

func newSchedule(c *console) *cobra.Command {
	s := &definitions.Store{}
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Have the system's own scheduler start the backups",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	definitionsFlag(cmd, s)
	cmd.AddCommand(newScheduleExport(c, s))
	return cmd
}

func newScheduleExport(c *console, s *definitions.Store) *cobra.Command {
	var systemd, tasks bool
	var dir string
	cmd := &cobra.Command{
		Use:   "export NAME|FILE --systemd|--task-scheduler",
		Short: "Write the schedules as systemd timers or Task Scheduler XML",
		Long: `Write the schedules of a definition for the scheduler of the system, for those who
want no service of Ingot: a service and a timer of systemd for each schedule, or
a task of the Windows Task Scheduler. What cannot be said there is told.

Files that are there already are not replaced.`,
		Example: `  sudo ingot schedule export office --systemd --dir /etc/systemd/system && sudo systemctl daemon-reload
  sudo systemctl enable --now ingot-office-1.timer
  ingot schedule export office --task-scheduler --dir . && schtasks /create /tn ingot-office-1 /xml ingot-office-1.xml`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			if systemd == tasks {
				return usageError{errors.New("choose --systemd or --task-scheduler")}
			}
			return c.exportSchedule(s, a[0], dir, tasks)
		},
	}
	cmd.Flags().BoolVar(&systemd, "systemd", false, "units of systemd")
	cmd.Flags().BoolVar(&tasks, "task-scheduler", false, "tasks of the Windows Task Scheduler")
	cmd.Flags().StringVar(&dir, "dir", "", "folder to write the files into (default: print them)")
	return cmd
}

func (c *console) exportSchedule(s *definitions.Store, name, dir string, tasks bool) error {
	e, err := s.Load(name)
	if err != nil {
		return err
	}
	o := timers.Options{Definition: e.Name}
	// One in another folder than the usual is named by its path.
	if e.Path != (definitions.Store{}).Path(e.Name) {
		if o.Definition, err = filepath.Abs(e.Path); err != nil {
			return err
		}
	}
	if o.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find out where this program is: %w", err)
	}
	write := timers.Systemd
	if tasks {
		write = timers.Tasks
	}
	files, notes := write(&e.File.Definition, o)
	for _, n := range notes {
		fmt.Fprintln(c.errs, "note:", n)
	}
	return c.writeUnits(files, dir)
}

func (c *console) writeUnits(files []timers.File, dir string) error {
	for _, f := range files {
		if dir == "" {
			if c.json {
				if err := c.emit(map[string]string{"file": f.Name, "text": string(f.Data)}); err != nil {
					return err
				}
				continue
			}
			c.note("# %s\n%s", f.Name, f.Data)
			continue
		}
		path := filepath.Join(dir, f.Name)
		out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		_, err = out.Write(f.Data)
		if err = errors.Join(err, out.Close()); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if c.json {
			err = c.emit(map[string]string{"file": path})
		} else {
			c.note("%s", path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
