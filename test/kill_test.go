package test

import (
	"math/rand/v2"
	"os"
	"testing"
)

// noise is a disk full of noise: a file without a partition table.
type noise struct {
	path string
	size int64
	rand *rand.ChaCha8
}

func newNoise(t *testing.T, path string, size int64) *noise {
	t.Helper()
	n := &noise{path, size, rand.NewChaCha8([32]byte{1})}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.write(t, 0, size)
	return n
}

// change writes length bytes somewhere.
func (n *noise) change(t *testing.T, length int64) {
	t.Helper()
	blocks := uint64(n.size-length) >> 16
	n.write(t, int64(n.rand.Uint64()%blocks)<<16, length)
}

func (n *noise) write(t *testing.T, off, length int64) {
	t.Helper()
	f, err := os.OpenFile(n.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, length)
	_, _ = n.rand.Read(b) // never fails
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}
