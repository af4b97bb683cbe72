package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

var getExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

// tcpTableOwnerPIDAll is TCP_TABLE_OWNER_PID_ALL of iprtrmib.h.
const tcpTableOwnerPIDAll = 5

// ownerOf finds the process at the other end of a connection in the table of
// the system (GetExtendedTcpTable), and compares its user with ours.
func ownerOf(client, server netip.AddrPort) (Owner, error) {
	table, err := tcpTable()
	if err != nil {
		return Owner{}, err
	}
	pid, err := pidIn(table, client, server)
	if err != nil {
		return Owner{}, err
	}
	same, err := sameUser(pid)
	return Owner{Known: err == nil, Same: same}, err
}

// tcpTable reads the table, which may grow meanwhile.
func tcpTable() ([]byte, error) {
	size := uint32(64 << 10)
	for range 8 {
		b := make([]byte, size)
		code, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0, windows.AF_INET, tcpTableOwnerPIDAll, 0)
		switch windows.Errno(code) {
		case 0:
			return b, nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			if size > 64<<20 {
				return nil, errors.New("the table of connections is too large")
			}
			size += 16 << 10
		default:
			return nil, fmt.Errorf("table of connections: %w", windows.Errno(code))
		}
	}
	return nil, errors.New("the table of connections grows faster than it is read")
}

// pidIn finds the row MIB_TCPROW_OWNER_PID (state, local address, local port,
// remote address, remote port, pid) of the client's socket.
func pidIn(b []byte, client, server netip.AddrPort) (uint32, error) {
	const row = 24
	n := int(binary.LittleEndian.Uint32(b))
	ours, theirs := client.Addr().Unmap().As4(), server.Addr().Unmap().As4()
	for i := 0; i < n && 4+(i+1)*row <= len(b); i++ {
		r := b[4+i*row:]
		if [4]byte(r[4:8]) == ours && binary.BigEndian.Uint16(r[8:]) == client.Port() &&
			[4]byte(r[12:16]) == theirs && binary.BigEndian.Uint16(r[16:]) == server.Port() {
			return binary.LittleEndian.Uint32(r[20:]), nil
		}
	}
	return 0, errors.New("the system does not know the connection")
}

func sameUser(pid uint32) (bool, error) {
	p, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return false, fmt.Errorf("process %d: %w", pid, err)
	}
	defer windows.CloseHandle(p)
	var token windows.Token
	if err := windows.OpenProcessToken(p, windows.TOKEN_QUERY, &token); err != nil {
		return false, fmt.Errorf("user of process %d: %w", pid, err)
	}
	defer token.Close()
	theirs, err := token.GetTokenUser()
	if err != nil {
		return false, fmt.Errorf("user of process %d: %w", pid, err)
	}
	ours, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return false, fmt.Errorf("user of this process: %w", err)
	}
	return theirs.User.Sid.Equals(ours.User.Sid), nil
}
