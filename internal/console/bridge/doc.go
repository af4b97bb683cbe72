// Package bridge lets one user's own browser, and nothing else, reach the pages
// of the console. It is an ordinary process of that user, on the loopback
// address.
//
// In words: every connection is first matched to a user by asking the kernel who
// owns its other end; one that is not of the bridge's own user is closed. Then a
// request has to be of a bearable size, name exactly our host, come from our own
// pages (net/http.CrossOriginProtection and the fetch metadata), and belong to a
// session. Only then the handler of the console sees it, and every answer has
// the headers that forbid a browser what our pages do not need.
//
// A session begins with a ticket, which works once and for a minute: it reaches
// the browser in the fragment of an address, which browsers send to nobody, and
// comes back in the body of a POST. Where the kernel cannot say who has
// connected, a ticket is no use, and the code that the terminal shows is asked
// for instead.
//
//   - bridge.go: the order of the checks, headers. session.go: tickets, codes,
//     sessions. enter.go: the way in and out. peer_*.go: who has connected.
//     label.go: the host name, another one for each user.
//
// What it does not promise: to keep out who already is this user, or root.
package bridge
