package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Numbers of sock_diag(7) and linux/inet_diag.h.
const (
	sockDiagByFamily = 20
	headerSize       = 16 // struct nlmsghdr
	idSize           = 48 // struct inet_diag_sockid
	requestSize      = headerSize + 8 + idSize
	answerSize       = headerSize + 4 + idSize + 20 // struct inet_diag_msg
)

// ownerOf asks the kernel for the socket at the other end of a connection, by
// its exact addresses: sock_diag(7).
func ownerOf(client, server netip.AddrPort) (Owner, error) {
	if !client.Addr().Unmap().Is4() || !server.Addr().Unmap().Is4() {
		return Owner{}, fmt.Errorf("%s is no IPv4 address", client)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return Owner{}, fmt.Errorf("ask the kernel whose a connection is: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(2 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return Owner{}, err
	}
	if err := unix.Sendto(fd, diagRequest(client, server), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return Owner{}, fmt.Errorf("ask the kernel whose a connection is: %w", err)
	}
	answer := make([]byte, 8192)
	n, from, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return Owner{}, fmt.Errorf("hear from the kernel whose a connection is: %w", err)
	}
	if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
		return Owner{}, errors.New("somebody other than the kernel has answered")
	}
	uid, err := diagAnswer(answer[:n], client, server)
	if err != nil {
		return Owner{}, err
	}
	return Owner{Known: true, Same: int(uid) == os.Geteuid()}, nil
}

// diagID is the struct inet_diag_sockid of the client's socket: its own address
// is the source.
func diagID(client, server netip.AddrPort) []byte {
	b := make([]byte, idSize)
	binary.BigEndian.PutUint16(b[0:], client.Port())
	binary.BigEndian.PutUint16(b[2:], server.Port())
	c, s := client.Addr().Unmap().As4(), server.Addr().Unmap().As4()
	copy(b[4:], c[:])
	copy(b[20:], s[:])
	for i := 40; i < idSize; i++ { // INET_DIAG_NOCOOKIE
		b[i] = 0xFF
	}
	return b
}

// diagRequest asks for exactly one TCP socket.
func diagRequest(client, server netip.AddrPort) []byte {
	b := make([]byte, requestSize)
	le := binary.NativeEndian
	le.PutUint32(b[0:], requestSize)
	le.PutUint16(b[4:], sockDiagByFamily)
	le.PutUint16(b[6:], unix.NLM_F_REQUEST)
	b[headerSize] = unix.AF_INET
	b[headerSize+1] = unix.IPPROTO_TCP
	le.PutUint32(b[headerSize+4:], 0xFFFFFFFF) // in any state
	copy(b[headerSize+8:], diagID(client, server))
	return b
}

// diagAnswer reads the user of the socket from an answer, which must be about
// the socket that was asked for and about one that a process has.
func diagAnswer(b []byte, client, server netip.AddrPort) (uid uint32, err error) {
	le := binary.NativeEndian
	if len(b) < headerSize || int(le.Uint32(b)) > len(b) {
		return 0, errors.New("the answer of the kernel about a connection is cut short")
	}
	if kind := le.Uint16(b[4:]); kind != sockDiagByFamily {
		return 0, fmt.Errorf("the kernel does not know the connection (answer %d)", kind)
	}
	if len(b) < answerSize {
		return 0, errors.New("the answer of the kernel about a connection is cut short")
	}
	id := b[headerSize+4:][:idSize]
	if string(id[:36]) != string(diagID(client, server)[:36]) {
		return 0, errors.New("the kernel has answered about another connection")
	}
	tail := b[headerSize+4+idSize:]
	if le.Uint32(tail[16:]) == 0 {
		return 0, errors.New("no process has the other end of the connection any more") // no inode
	}
	return le.Uint32(tail[12:]), nil
}
