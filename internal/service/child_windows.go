package service

import (
	"strconv"
	"time"

	"golang.org/x/sys/windows"
)

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
