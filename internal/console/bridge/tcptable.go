package bridge

import (
	"encoding/binary"
	"net/netip"
)

// Of MIB_TCPTABLE_OWNER_PID (tcpmib.h): a count and rows of state, local
// address and port, remote address and port, process; each 32 bits.
const (
	tableRow         = 24
	tableEstablished = 5 // MIB_TCP_STATE_ESTAB
)

// findProcess is the process at the end of exactly this connection.
func findProcess(table []byte, local, remote netip.AddrPort) (pid uint32, ok bool) {
	if len(table) < 4 {
		return 0, false
	}
	rows := int64(binary.LittleEndian.Uint32(table))
	for b := table[4:]; rows > 0 && len(b) >= tableRow; rows, b = rows-1, b[tableRow:] {
		if binary.LittleEndian.Uint32(b) == tableEstablished && tableEnd(b[4:]) == local && tableEnd(b[12:]) == remote {
			return binary.LittleEndian.Uint32(b[20:]), true
		}
	}
	return 0, false
}

// tableEnd is an address and a port, both in the order of the network.
func tableEnd(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:]))
}
