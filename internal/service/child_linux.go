package service

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"ingot/internal/procgroup"
)

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
	g := procgroup.Of(p.PID)
	g.Stop()
	for deadline := time.Now().Add(grace); alive() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	g.End()
	for deadline := time.Now().Add(grace); alive() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	return true
}
