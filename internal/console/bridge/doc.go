// Package bridge lets the browser of one user, and of nobody else, into the
// console: it stands between the loopback address and a handler that need not
// know who asks.
//
// Serve accepts connections on 127.0.0.1. Of each the kernel is asked whose the
// other end is (Linux: inet_diag by the exact pair of addresses; Windows: the
// table of TCP connections and the token of the process); that of another user
// is closed before a byte of it is read. Each request then passes, in this order: method and
// size, the Host, http.CrossOriginProtection, Sec-Fetch-Site, the session. Only
// then Next sees it.
//
// A session begins with a ticket (256 bits, once, for 60 s), which the page
// /enter takes out of the fragment of its address and posts: the ticket is in no
// request line, log or Referer. Where the kernel does not say whose a connection
// is, tickets are worth nothing and the code counts that the terminal shows (5
// tries, once). A session that began on a connection known to be the user's is
// not accepted on one that is not known. Sessions live in memory.
//
// Take finds the bridge that the same user runs already, over a socket in a
// folder that only the user may enter. On Windows it finds none: each start is a
// bridge of its own.
//
// It does not judge what the user may do (the service does), protect from
// programs of the same user, or hold a connection to anything but the browser.
package bridge
