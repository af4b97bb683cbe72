package main

import "net"

// listenPrivate makes a socket, which the folder it lies in protects.
func listenPrivate(path string) (net.Listener, error) { return net.Listen("unix", path) }
