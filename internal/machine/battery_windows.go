package machine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel32             = windows.NewLazySystemDLL("kernel32.dll")
	getSystemPowerStatus = kernel32.NewProc("GetSystemPowerStatus")
)

// powerStatus is SYSTEM_POWER_STATUS (winbase.h).
type powerStatus struct {
	line, flag, percent, system byte
	left, full                  uint32
}

// Power says where the machine has its power from.
func Power() (Supply, error) {
	var s powerStatus
	if ok, _, err := getSystemPowerStatus.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return Supply{Percent: -1}, fmt.Errorf("ask for the power status: %w", err)
	}
	out := Supply{Battery: s.line == 0, Percent: -1} // 0 offline, 1 online, 255 unknown
	if s.percent <= 100 {
		out.Percent = int(s.percent)
	}
	return out, nil
}
