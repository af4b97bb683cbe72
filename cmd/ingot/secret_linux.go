package main

import "golang.org/x/sys/unix"

// noCoreDump keeps the memory of the process, which holds a password from now on,
// out of core dumps and from other processes of the same user.
func noCoreDump() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
