package main

import (
	"net"
	"syscall"
)

// listenPrivate makes a socket with mode 0600: it is never there with another one.
func listenPrivate(path string) (net.Listener, error) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}
