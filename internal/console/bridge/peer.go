package bridge

import (
	"context"
	"net"
	"net/http"
	"net/netip"
)

// owner is whose the other end of a connection is.
type owner int

const (
	unknown owner = iota // the system does not say
	ours                 // the bridge's own user
	other                // anybody else
)

// ownListener lets in no connection of another user.
type ownListener struct {
	net.Listener
	b *Bridge
}

// Accept returns the next connection that is the user's, or is not known to be
// another's.
func (l *ownListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		o := l.b.owner(c)
		if o != other {
			return &ownedConn{c, o}, nil
		}
		l.b.Log.Warn("connection of another user closed", "user", l.b.User)
		_ = c.Close()
	}
}

type ownedConn struct {
	net.Conn
	owner owner
}

type ownerKey struct{}

func withOwner(ctx context.Context, c net.Conn) context.Context {
	o, _ := c.(*ownedConn)
	return context.WithValue(ctx, ownerKey{}, o != nil && o.owner == ours)
}

// known says whether the request came over a connection of the bridge's user.
func known(r *http.Request) bool {
	k, _ := r.Context().Value(ownerKey{}).(bool)
	return k
}

// ends are the addresses of a connection as its other end sees them.
func ends(c net.Conn) (local, remote netip.AddrPort, ok bool) {
	local, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return local, remote, false
	}
	remote, err = netip.ParseAddrPort(c.LocalAddr().String())
	return local, remote, err == nil && local.Addr().Is4() && remote.Addr().Is4()
}
