package procgroup

import (
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Group is a job object: its processes end when the last handle of it does,
// which is also when the parent ends.
type Group struct {
	pid uint32
	job windows.Handle
}

// Start starts cmd in a job object of its own. hard makes no difference here.
func Start(cmd *exec.Cmd, _ bool) (*Group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, err
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = windows.CloseHandle(job)
		return nil, err
	}
	g := &Group{uint32(cmd.Process.Pid), job}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, g.pid)
	if err == nil {
		// A process that is not in the job is only known by itself.
		_ = windows.AssignProcessToJobObject(job, h)
		_ = windows.CloseHandle(h)
	}
	return g, nil
}

// Stop asks the process to end. It hears of it when it shares a console with
// the parent; else it is ended when its time is up.
func (g *Group) Stop() {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, g.pid)
}

// End ends what is left of the group.
func (g *Group) End() {
	_ = windows.TerminateJobObject(g.job, 1)
}

// Release lets go of the group.
func (g *Group) Release() { _ = windows.CloseHandle(g.job) }
