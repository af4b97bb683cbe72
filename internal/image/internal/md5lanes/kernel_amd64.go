package md5lanes

import "golang.org/x/sys/cpu"

//go:generate go run gen.go

// choose picks the way for the next messages when n of them (at least 1) are
// left, and how many of them to take. The package cpu sets its flags only when
// the operating system keeps the wide registers as well. From two messages on
// a mostly idle vector is faster than crypto/md5 one by one.
func choose(n int) (path, int) {
	switch {
	case n < 2:
		return scalar, n
	case cpu.X86.HasAVX512F && (n > 8 || !cpu.X86.HasAVX2):
		return avx512, min(n, 16)
	case cpu.X86.HasAVX2:
		return avx2, min(n, 8)
	}
	return scalar, n
}

// usable says whether this machine can run p.
func usable(p path) bool {
	switch p {
	case avx512:
		return cpu.X86.HasAVX512F
	case avx2:
		return cpu.X86.HasAVX2
	}
	return true
}

// blocks runs the compression function of MD5 (RFC 1321, section 3.4) over n
// times 64 bytes of every lane. Lane i is read at base plus off[i]; all lanes
// are read, and have to lie in memory that is there. n must not be 0.
func (p path) blocks(st *state, base *byte, off *offsets, n uint64) {
	if p == avx512 {
		blocks16(st, base, off, n)
		return
	}
	blocks8(st, base, off, n)
}

//go:noescape
func blocks16(st *state, base *byte, off *offsets, n uint64)

//go:noescape
func blocks8(st *state, base *byte, off *offsets, n uint64)
