//go:build !windows

package hook

import (
	"os/exec"
	"syscall"
)

// runGroup runs cmd as the head of a process group, which goes with it when its
// context ends.
func runGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ended := false
	cmd.Cancel = func() error {
		ended = true
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	err := cmd.Run()
	if ended {
		// What did not listen. While anybody is left in the group nobody else
		// can have its number.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}
