//go:build !windows

package tui

import (
	"os"
	"os/exec"
	"syscall"
)

// apart has a child hear nothing of the terminal's Ctrl-C: whether a run is
// stopped is asked on its screen.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// stop asks a child to end.
func stop(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
