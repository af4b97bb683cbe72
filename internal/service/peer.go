package service

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// Role says what the other end of a connection may do.
type Role string

// The roles, each with the rights of the one before it.
const (
	None Role = ""
	See  Role = "see" // status, queue, history, logs
	Act  Role = "run" // start, pause and cancel what is defined already
	Own  Role = "own" // all
)

var roleOrder = []Role{None, See, Act, Own}

// May says whether the role has the rights of need.
func (r Role) May(need Role) bool {
	return slices.Index(roleOrder, r) >= slices.Index(roleOrder, need)
}

// Peer is the other end of a connection, as the kernel knows it.
type Peer struct {
	UID    int
	Groups []int // the effective one and all others
	PID    int
	Name   string // for the history
	Role   Role
	// Lent says that the role is an administrator's, until Until.
	Lent  bool
	Until time.Time
}

// admit gives a peer its role: the administrator and the user the service runs
// as may do all, members of the group of the service see and run, nobody else
// gets in.
func (p *Peer) admit(self, group int) {
	switch {
	case p.UID == 0 || p.UID == self:
		p.Role = Own
	case group > 0 && slices.Contains(p.Groups, group):
		p.Role = Act
	}
	p.Name = "uid " + strconv.Itoa(p.UID)
}

type peerKey struct{}

func withPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// peerOf is the peer of a request; one without rights when nobody is known.
func peerOf(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p
}
