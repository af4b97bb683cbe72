package service

import (
	"context"
	"net"

	"github.com/Microsoft/go-winio"
)

// DefaultSocket is where the service listens.
const DefaultSocket = `\\.\pipe\ingot`

// pipeAccess lets the system and elevated administrators in, and nobody over
// the network: SDDL, with the denial before what is allowed.
const pipeAccess = "D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;BA)"

// listen makes the pipe at path. The group is of Unix only.
func listen(path, _ string) (net.Listener, int, error) {
	l, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: pipeAccess, InputBufferSize: 64 << 10, OutputBufferSize: 64 << 10})
	return l, 0, err
}

// peer is who may open the pipe at all: an administrator.
func peer(net.Conn) (Peer, error) { return Peer{}, nil }

func self() int { return 0 }

func dial(ctx context.Context, path string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, path)
}
