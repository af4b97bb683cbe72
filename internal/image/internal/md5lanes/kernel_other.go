//go:build !amd64

package md5lanes

// choose leaves everything to crypto/md5, which has assembly of its own on
// most architectures.
func choose(n int) (path, int) { return scalar, n }

func usable(p path) bool { return p == scalar }

// blocks is never called here: choose gives no path that has a kernel.
func (p path) blocks(*state, *byte, *offsets, uint64) {
	panic("md5lanes: no vector kernel on this architecture")
}
