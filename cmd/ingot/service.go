package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ingot/internal/definitions"
	"ingot/internal/service"
	"ingot/internal/trust"
)

// serviceFlags are the settings of the service.
type serviceFlags struct {
	definitions, state, socket, group string
	parallel, keepRuns, keepDays      int
	grace                             time.Duration
}

func (s *serviceFlags) add(f *pflag.FlagSet) {
	f.StringVar(&s.definitions, "definitions", definitions.DefaultFolder(), "folder of the backup definitions")
	f.StringVar(&s.state, "state", stateFolder(), "folder of the history and the logs of runs")
	addSocket(f, &s.socket)
	f.StringVar(&s.group, "group", "ingot", "group whose members may look on, start and cancel runs (not on Windows)")
	f.IntVar(&s.parallel, "parallel", 1, "runs at a time; two never write to the same place")
	f.IntVar(&s.keepRuns, "keep-runs", service.DefaultKeepRuns, "runs the history keeps")
	f.IntVar(&s.keepDays, "keep-days", service.DefaultKeepDays, "days the history goes back")
	f.DurationVar(&s.grace, "grace", 30*time.Second, "time a run has to stop when it is asked to, before it is killed")
}

// changedFlags are the flags that differ from what they are when nothing is said, for
// the command line of the installed service.
func changedFlags(f *pflag.FlagSet) (out []string) {
	f.Visit(func(fl *pflag.Flag) {
		if fl.Annotations[flagOfRun] != nil {
			out = append(out, "--"+fl.Name+"="+fl.Value.String())
		}
	})
	return out
}

// flagOfRun marks the flags that the installed service is started with.
const flagOfRun = "run"

func addSocket(f *pflag.FlagSet, socket *string) {
	f.StringVar(socket, "socket", service.DefaultSocket, "socket of the service")
}

func newService(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "The service that keeps backups going by themselves",
		Long: `The service reads the backup definitions, runs each when it is due, queues what
would overlap, keeps a history with a log of each run, and tells the owner when
there has been no good backup for too long. Runs it was interrupted in are made
anew when it is back.

Who may do what: the administrator all; members of the group "ingot" look on,
start, pause and cancel what is defined; nobody else. Make the group with
'groupadd --system ingot' and add those to it who are to have a hand in it.`,
		Example: `  sudo ingot service install
  ingot service status
  ingot status`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newServiceRun(c), newServiceInstall(c), newServiceUninstall(c), newServiceStatus(c), newCheckHistory())
	return cmd
}

func newServiceRun(c *console) *cobra.Command {
	var fl serviceFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Be the service, in the foreground",
		Long: `Be the service until it is told to end (SIGTERM or Ctrl-C): runs under way are
asked to stop, killed when they do not, and are made when it is back. It is for
systemd or the service manager of Windows ('ingot service install'), or whatever
starts services on this machine. What it has to say goes to the error output, one
JSON object a line.`,
		Example: `  sudo ingot service run
  sudo ingot service run --definitions ./definitions --state ./state --socket ./api.sock`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return underManager(cmd.Context(), func(ctx context.Context) error { return c.serve(ctx, &fl) })
		},
	}
	fl.add(cmd.Flags())
	return cmd
}

// fastClock is a variable of the environment for tests: a clock for the
// schedules that runs faster, see service.ParseFastClock.
const fastClock = "INGOT_SERVICE_CLOCK"

func (c *console) serve(ctx context.Context, fl *serviceFlags) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	opts := service.Options{
		Program: []string{program}, Definitions: absolute(fl.definitions), State: absolute(fl.state), Socket: fl.socket, Group: fl.group,
		Load: loadTrusted, CheckHistory: checkApart(program), Tell: tellOwner,
		Parallel: fl.parallel, Grace: fl.grace, KeepRuns: fl.keepRuns, KeepDays: fl.keepDays,
		Log: slog.New(slog.NewJSONHandler(c.errs, nil)), Version: version,
	}
	if s := os.Getenv(fastClock); s != "" {
		if opts.Clock, err = service.ParseFastClock(s); err != nil {
			return usageError{err}
		}
		opts.Scan = time.Second / 4
	}
	err = service.Serve(ctx, opts)
	if errors.Is(err, service.ErrRunning) {
		return refusal{err}
	}
	return err
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// checkTime is how long a look at the history may take.
const checkTime = time.Minute

// checkApart looks at the database of the history in a process of its own.
func checkApart(program string) func(path string) error {
	return func(path string) error {
		ctx, cancel := context.WithTimeout(context.Background(), checkTime)
		defer cancel()
		out, err := exec.CommandContext(ctx, program, "service", "check-history", path).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return nil // it could not be started: nothing is known
		}
		return fmt.Errorf("%w: %.300s", err, out)
	}
}

func newCheckHistory() *cobra.Command {
	return &cobra.Command{
		Use:    "check-history FILE",
		Short:  "Look at every page of the history",
		Hidden: true,
		Args:   args(cobra.ExactArgs(1)),
		RunE:   func(_ *cobra.Command, a []string) error { return service.CheckHistory(a[0]) },
	}
}

func newServiceInstall(c *console) *cobra.Command {
	var fl serviceFlags
	var in installation
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Have the system start the service, now and whenever it starts",
		Long: `Have systemd or Windows start the service now and whenever the machine starts, and
start it again should it fail. The program is to stay where it is: it must not be
in a place where others than the administrator may write.`,
		Example: `  sudo ingot service install
  sudo ingot service install --parallel 2`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			if in.program, err = filepath.EvalSymlinks(program); err != nil {
				return err
			}
			if err := trust.Command([]string{in.program}); err != nil {
				return refuse("%w", err)
			}
			in.args = append([]string{"service", "run"}, changedFlags(cmd.Flags())...)
			return c.did(in.install(cmd.Context()), "installed", in.said())
		},
	}
	fl.add(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{flagOfRun: {}} })
	in.add(cmd.Flags())
	return cmd
}

func newServiceUninstall(c *console) *cobra.Command {
	var in installation
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the service and have the system start it no more",
		Long: `Stop the service and have the system start it no more. Definitions, history, logs
and backups stay where they are.`,
		Example: `  sudo ingot service uninstall`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.did(in.uninstall(cmd.Context()), "uninstalled", "The service is gone. Definitions, history and backups stay.")
		},
	}
	in.add(cmd.Flags())
	return cmd
}

// did says that something was done, unless it was not.
func (c *console) did(err error, status, text string) error {
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(map[string]string{"status": status})
	}
	c.note("%s", text)
	return nil
}

// serviceView is the result of ingot service status.
type serviceView struct {
	Manager string          `json:"manager"` // what starts it: active, inactive, not installed, ...
	Answers bool            `json:"answers"` // on its socket
	Problem string          `json:"problem"` // why it does not
	Service *service.Status `json:"service"` // what it says
}

func newServiceStatus(c *console) *cobra.Command {
	var in installation
	var socket string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the service is installed, runs and answers",
		Long: `Say whether the service is installed, runs and answers on its socket. The exit code
is 0 when it answers. 'ingot status' shows the backups.`,
		Example: `  ingot service status`,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.serviceStatus(cmd.Context(), &in, socket) },
	}
	in.add(cmd.Flags())
	addSocket(cmd.Flags(), &socket)
	return cmd
}

func (c *console) serviceStatus(ctx context.Context, in *installation, socket string) error {
	v := serviceView{Manager: in.state(ctx)}
	st, err := service.NewClient(socket).Status(ctx)
	if err == nil {
		v.Answers, v.Service = true, &st
	} else {
		v.Problem = err.Error()
	}
	if c.json {
		return errors.Join(c.emit(v), err)
	}
	c.note("system:  %s", v.Manager)
	if err != nil {
		return err
	}
	c.note("answers: version %s, since %s", st.Version, st.Since.Local().Format(timeFormat))
	for _, w := range st.Warnings {
		c.note("Warning: %s", w)
	}
	return nil
}
