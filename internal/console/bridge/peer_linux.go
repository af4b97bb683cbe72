package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Sizes and places of struct inet_diag_req_v2 and inet_diag_msg
// (linux/inet_diag.h), with the header of netlink before them.
const (
	diagHeader  = unix.SizeofNlMsghdr
	diagRequest = diagHeader + 56
	diagMessage = 72
	diagID      = 4 // in the message; in the request at 8
	established = 1 // TCP_ESTABLISHED
	overflowUID = 65534
)

var errNoSocket = errors.New("the kernel knows no such connection")

// diagnosis is what the kernel says of a socket.
type diagnosis struct {
	state      uint8
	uid, inode uint32
}

// ownerOf asks whose socket is at the other end.
func ownerOf(c net.Conn) owner {
	local, remote, ok := ends(c)
	if !ok {
		return unknown
	}
	if !local.Addr().IsLoopback() {
		return other
	}
	d, err := diagnose(local, remote)
	if err != nil {
		return unknown
	}
	return d.owner(os.Geteuid())
}

// owner judges a socket. One that its process has closed already belongs to
// nobody, and the kernel says 0 for its user: that must not count as root.
func (d diagnosis) owner(uid int) owner {
	switch {
	case d.state != established || d.inode == 0 || int(d.uid) != uid:
		return other
	case d.uid == overflowUID:
		return unknown // any user that this user namespace has no number for
	}
	return ours
}

// diagnose asks inet_diag (sock_diag(7)) for the socket of exactly these ends.
func diagnose(local, remote netip.AddrPort) (diagnosis, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return diagnosis{}, fmt.Errorf("socket of inet_diag: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return diagnosis{}, err
	}
	if err := unix.Sendto(fd, diagAsk(local, remote), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return diagnosis{}, fmt.Errorf("ask inet_diag: %w", err)
	}
	var answer [8192]byte
	n, from, err := unix.Recvfrom(fd, answer[:], 0)
	if err != nil {
		return diagnosis{}, fmt.Errorf("answer of inet_diag: %w", err)
	}
	if k, ok := from.(*unix.SockaddrNetlink); !ok || k.Pid != 0 {
		return diagnosis{}, errors.New("answer of inet_diag: not from the kernel")
	}
	return parseDiag(answer[:n], local, remote)
}

// diagAsk is the request for one socket: no dump, and any cookie.
func diagAsk(local, remote netip.AddrPort) []byte {
	b := make([]byte, diagRequest)
	binary.NativeEndian.PutUint32(b, diagRequest)
	binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	b[diagHeader] = unix.AF_INET
	b[diagHeader+1] = unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[diagHeader+4:], 1<<established)
	putEnds(b[diagHeader+8:], local, remote)
	binary.NativeEndian.PutUint64(b[diagHeader+8+40:], ^uint64(0)) // INET_DIAG_NOCOOKIE, twice
	return b
}

// putEnds writes the first 40 bytes of struct inet_diag_sockid.
func putEnds(b []byte, local, remote netip.AddrPort) {
	binary.BigEndian.PutUint16(b, local.Port())
	binary.BigEndian.PutUint16(b[2:], remote.Port())
	copy(b[4:], local.Addr().AsSlice())
	copy(b[20:], remote.Addr().AsSlice())
}

// parseDiag reads the answer. It must be about exactly the ends asked for: the
// kernel falls back to a socket that listens there.
func parseDiag(b []byte, local, remote netip.AddrPort) (diagnosis, error) {
	if len(b) < diagHeader {
		return diagnosis{}, fmt.Errorf("answer of inet_diag: %d bytes", len(b))
	}
	size := int64(binary.NativeEndian.Uint32(b))
	if size < diagHeader || size > int64(len(b)) {
		return diagnosis{}, fmt.Errorf("answer of inet_diag: says %d bytes of %d", size, len(b))
	}
	kind, m := binary.NativeEndian.Uint16(b[4:]), b[diagHeader:size]
	switch {
	case kind == unix.NLMSG_ERROR:
		return diagnosis{}, errNoSocket
	case kind != unix.SOCK_DIAG_BY_FAMILY || len(m) < diagMessage:
		return diagnosis{}, fmt.Errorf("answer of inet_diag: kind %d with %d bytes", kind, len(m))
	case !sameEnds(m, local, remote):
		return diagnosis{}, errNoSocket
	}
	return diagnosis{state: m[1], uid: binary.NativeEndian.Uint32(m[64:]), inode: binary.NativeEndian.Uint32(m[68:])}, nil
}

// sameEnds compares; a socket of IPv6 says ::ffff:127.0.0.1.
func sameEnds(m []byte, local, remote netip.AddrPort) bool {
	id := m[diagID:]
	if binary.BigEndian.Uint16(id) != local.Port() || binary.BigEndian.Uint16(id[2:]) != remote.Port() {
		return false
	}
	return diagAddr(m[0], id[4:20]) == local.Addr() && diagAddr(m[0], id[20:36]) == remote.Addr()
}

func diagAddr(family uint8, b []byte) netip.Addr {
	switch family {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(b))
	case unix.AF_INET6:
		return netip.AddrFrom16([16]byte(b)).Unmap()
	}
	return netip.Addr{}
}
