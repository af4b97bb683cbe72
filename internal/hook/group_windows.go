package hook

import (
	"errors"
	"os"
	"os/exec"

	"golang.org/x/sys/windows"
)

// runGroup runs cmd in a job object, all of which ends when its context does.
func runGroup(cmd *exec.Cmd) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(job)
	cmd.Cancel = func() error {
		// The program itself too: it may not have come into the job.
		return errors.Join(windows.TerminateJobObject(job, 1), ignoreDone(cmd.Process.Kill()))
	}
	cmd.SysProcAttr = &windows.SysProcAttr{HideWindow: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	p, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(cmd.Process.Pid))
	if err == nil {
		err = windows.AssignProcessToJobObject(job, p)
		_ = windows.CloseHandle(p)
	}
	_ = err // it may have ended already; else it is ended by itself alone
	return cmd.Wait()
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
