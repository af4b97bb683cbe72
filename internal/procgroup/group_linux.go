package procgroup

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Group is a process group.
type Group struct{ id int }

// Start starts cmd in a process group of its own. It is called on a thread that
// is locked and lives as long as the process: its end, which is also that of
// the parent, asks the process to end, or with hard kills it (prctl(2),
// PR_SET_PDEATHSIG).
func Start(cmd *exec.Cmd, hard bool) (*Group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if hard {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return Of(cmd.Process.Pid), nil
}

// Of is the group of a process that Start has started.
func Of(pid int) *Group { return &Group{pid} }

// Stop asks all processes of the group to end.
func (g *Group) Stop() { _ = unix.Kill(-g.id, unix.SIGTERM) }

// End kills what is left of the group.
func (g *Group) End() { _ = unix.Kill(-g.id, unix.SIGKILL) }

// Release lets go of the group.
func (g *Group) Release() {}
