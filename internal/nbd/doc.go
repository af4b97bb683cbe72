// Package nbd is a server of the NBD protocol: block.Readers, and what can be
// written, for qemu, nbd-client, libnbd and all others that attach network block
// devices. It speaks fixed newstyle with structured replies, base:allocation,
// block sizes and TLS. Source: the NBD protocol, doc/proto.md of
// https://github.com/NetworkBlockDevice/nbd.
//
// The main loop: Serve accepts connections, up to a bound. Each goes through
// the handshake (handshake.go), where it asks for things and at last for an
// export, and then sends requests (transmit.go). A request is answered by a
// goroutine of its own, so answers come in any order; how many there are at
// once, and the bytes they hold, are bounded for each connection: who asks for
// more waits, and slows down nobody else. When the context ends, requests under
// way are answered, no more are taken, and Serve returns when all has ended.
//
// A client is not trusted: lengths are compared with bounds before memory is
// taken; what cannot be skipped or answered ends the connection; a handshake
// that takes long, and a client that does not take its answers, are cut off.
// Once TLS is asked for nothing else is answered without it, and what was sent
// in clear before it begins is never taken for a part of it.
//
// What is not in the map of an export is a hole: a client that knows structured
// replies does not have its zeros sent. The package promises nothing about what
// was written being durable: that is the matter of an export's Writer.
package nbd
