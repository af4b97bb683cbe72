package bridge

import (
	"errors"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	ownerPIDConnections = 4 // TCP_TABLE_OWNER_PID_CONNECTIONS
	maxTable            = 64 << 20
)

// ownerOf asks whose process is at the other end. A process that may not be
// looked at is not the user's own.
func ownerOf(c net.Conn) owner {
	local, remote, ok := ends(c)
	if !ok {
		return unknown
	}
	if !local.Addr().IsLoopback() {
		return other
	}
	table, err := tcpTable()
	if err != nil {
		return unknown
	}
	pid, ok := findProcess(table, local, remote)
	if !ok {
		return unknown
	}
	same, err := sameUser(pid)
	if err != nil || !same {
		return other
	}
	return ours
}

// tcpTable asks GetExtendedTcpTable for the IPv4 connections of all processes.
func tcpTable() ([]byte, error) {
	get := windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")
	if err := get.Find(); err != nil {
		return nil, err
	}
	for size := uint32(64 << 10); size <= maxTable; {
		table, had := make([]byte, size), size
		code, _, _ := get.Call(uintptr(unsafe.Pointer(&table[0])), uintptr(unsafe.Pointer(&size)), 0, windows.AF_INET, ownerPIDConnections, 0)
		switch windows.Errno(code) {
		case windows.ERROR_SUCCESS:
			return table, nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size = max(size, had) + 16<<10 // it grows meanwhile
		default:
			return nil, fmt.Errorf("table of TCP connections: %w", windows.Errno(code))
		}
	}
	return nil, errors.New("table of TCP connections: too large")
}

// sameUser compares the user of a process with that of this one.
func sameUser(pid uint32) (bool, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return false, fmt.Errorf("open process %d: %w", pid, err)
	}
	defer windows.CloseHandle(h)
	var t windows.Token
	if err := windows.OpenProcessToken(h, windows.TOKEN_QUERY, &t); err != nil {
		return false, fmt.Errorf("token of process %d: %w", pid, err)
	}
	defer t.Close()
	theirs, err := t.GetTokenUser()
	if err != nil {
		return false, fmt.Errorf("user of process %d: %w", pid, err)
	}
	mine, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return false, fmt.Errorf("own user: %w", err)
	}
	return theirs.User.Sid.Equals(mine.User.Sid), nil
}
