package service

import (
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is the job object of a run: its processes end when the last handle of
// it does, which is also when the service ends.
type group struct {
	pid uint32
	job windows.Handle
}

// startGroup starts cmd in a job object of its own.
func startGroup(cmd *exec.Cmd) (*group, error) {
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
	g := &group{uint32(cmd.Process.Pid), job}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, g.pid)
	if err == nil {
		// A process that is not in the job is only known by itself.
		_ = windows.AssignProcessToJobObject(job, h)
		_ = windows.CloseHandle(h)
	}
	return g, nil
}

// stop asks the process to end. It hears of it when it shares a console with
// the service; else it is ended when its time is up.
func (g *group) stop() {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, g.pid)
}

// end ends what is left of the group.
func (g *group) end() {
	_ = windows.TerminateJobObject(g.job, 1)
}

// release lets go of the group.
func (g *group) release() { _ = windows.CloseHandle(g.job) }

// processBegan is when a process was created; "" when there is none.
func processBegan(pid int) string {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer windows.CloseHandle(h)
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(h, &created, &exited, &kernel, &user) != nil || exited.Nanoseconds() > 0 && exited != (windows.Filetime{}) {
		return ""
	}
	return strconv.FormatInt(created.Nanoseconds(), 10)
}

// bootID is another one for each start of the machine: the minute of it, since
// the clock may be set a little meanwhile.
func bootID() string {
	return time.Now().Add(-windows.DurationSinceBoot()).Round(10 * time.Minute).UTC().Format(time.RFC3339)
}

// endOrphan has nothing to do: the job object ended with the service.
func endOrphan(Process, time.Duration) bool { return false }
