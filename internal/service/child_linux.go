package service

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// group is the process group of a run.
type group struct{ id int }

// The IO priority of Linux: ioprio_set(2), linux/ioprio.h.
const (
	ioWhoProcess = 1
	ioClassShift = 13
	ioClassBest  = 2
	ioClassIdle  = 3
)

// startGroup starts cmd in a process group of its own. It is called on a locked
// thread, whose priority the process has from its first instruction on, and
// whose end ends the process.
func startGroup(cmd *exec.Cmd, p Priority) (*group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	// What a lesser priority cannot be set for runs at the one of the service.
	if p.Nice != 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, p.Nice)
	}
	if p.Idle {
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoProcess, 0, ioClassIdle<<ioClassShift)
	} else if p.LowIO {
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoProcess, 0, ioClassBest<<ioClassShift|7)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &group{cmd.Process.Pid}, nil
}

// stop asks all processes of the group to end.
func (g *group) stop() { _ = unix.Kill(-g.id, unix.SIGTERM) }

// end kills what is left of the group.
func (g *group) end() { _ = unix.Kill(-g.id, unix.SIGKILL) }

// release lets go of the group.
func (g *group) release() {}

// processBegan is when a process began, as the kernel counts it: field 22 of
// /proc/PID/stat (proc(5)); "" when there is none.
func processBegan(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the name in parentheses, which may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19] + " " + bootID()
}

// bootID is another one for each start of the machine.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// endOrphan ends the group of a process that a service before this one left
// behind, and says whether there was one.
func endOrphan(p Process, grace time.Duration) bool {
	alive := func() bool { return p.Began != "" && processBegan(p.PID) == p.Began }
	if !alive() {
		return false
	}
	g := group{p.PID}
	g.stop()
	for deadline := time.Now().Add(grace); alive() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	g.end()
	for deadline := time.Now().Add(grace); alive() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	return true
}
