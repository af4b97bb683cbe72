package service

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var getSystemTimes = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemTimes")

// readLoad asks for the times of all processors (GetSystemTimes: the kernel's
// time has the idle time in it). A service is in a session of its own and is
// not told of what others type.
func readLoad() (load, error) {
	var idle, kernel, user windows.Filetime
	ok, _, err := getSystemTimes.Call(uintptr(unsafe.Pointer(&idle)), uintptr(unsafe.Pointer(&kernel)), uintptr(unsafe.Pointer(&user)))
	if ok == 0 {
		return load{}, err
	}
	ticks := func(f windows.Filetime) float64 { return float64(f.HighDateTime)*(1<<32) + float64(f.LowDateTime) }
	total := ticks(kernel) + ticks(user)
	return load{busy: total - ticks(idle), total: total}, nil
}
