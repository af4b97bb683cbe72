// Package md5lanes takes the MD5 (RFC 1321) of many messages of equal length
// at once. One MD5 is a chain in which every step waits for the one before, so
// a processor that can do many things at a time is left idle by a single
// message. The steps of different messages do not wait for each other: here
// one 32-bit lane of a vector register belongs to one message, and one
// instruction does the same step of 16 messages (AVX-512) or of 8 (AVX2).
//
// How Sums runs: the messages are taken in groups of as many as the register
// has lanes. For 64 bytes of every lane, the kernel loads a row from each,
// turns the rows so that each register holds one message word of all lanes,
// and does the 64 steps. The padding that ends a message is made in Go, beside
// the data, and goes through the same kernel. A group that is not full leaves
// the other lanes idle; when too few are left for that to pay, and on
// processors without these instructions, crypto/md5 does the work.
//
// The kernels are assembly for amd64, written by gen.go (go generate). No
// goroutine is started and nothing is allocated.
//
// MD5 is here because the image layout asks for it. It finds damage; it is no
// protection from people who forge blocks.
package md5lanes
