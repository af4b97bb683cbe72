package expand

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"ingot/internal/filesys/ntfs/ntfstest"
)

// sample is n bytes of several characters: text, noise, runs, and what looks
// like calls in machine code.
func sample(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	var b []byte
	for len(b) < n {
		switch rng.IntN(5) {
		case 0:
			b = append(b, bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(9000))...)
		case 1:
			for range rng.IntN(3000) {
				b = append(b, byte(rng.Uint32()))
			}
		case 2:
			for range rng.IntN(800) {
				b = fmt.Appendf(b, "%d bottles on the wall\n", rng.IntN(99))
			}
		case 3:
			for range rng.IntN(300) {
				b = binary.LittleEndian.AppendUint32(append(b, 0x8b, 0x45, 0xe8), rng.Uint32N(4*callSize)-callSize)
			}
		default:
			if len(b) > 0 {
				from := rng.IntN(len(b))
				b = append(b, b[from:min(len(b), from+rng.IntN(5000))]...)
			}
		}
	}
	return b[:n]
}

// eachChunk calls do with the compressed and the plain bytes of the chunks of a
// resource that are compressed.
func eachChunk(t testing.TB, res, data []byte, size int, do func(packed, plain []byte)) {
	t.Helper()
	n := (len(data) + size - 1) / size
	offsets := []int{0}
	for i := range n - 1 {
		offsets = append(offsets, int(binary.LittleEndian.Uint32(res[4*i:])))
	}
	body := res[4*(n-1):]
	offsets = append(offsets, len(body))
	for i := range n {
		plain := data[i*size : min(len(data), (i+1)*size)]
		if packed := body[offsets[i]:offsets[i+1]]; len(packed) < len(plain) {
			do(packed, plain)
		}
	}
}

// kinds are the four forms of the Windows Overlay Filter.
func kinds() map[string]struct {
	name   string
	chunk  int
	expand func(dst, src []byte) error
} {
	return map[string]struct {
		name   string
		chunk  int
		expand func(dst, src []byte) error
	}{
		"XPRESS4K":  {"XPRESS", 4096, XPRESS},
		"XPRESS8K":  {"XPRESS", 8192, XPRESS},
		"XPRESS16K": {"XPRESS", 16384, XPRESS},
		"LZX32K":    {"LZX", 32768, LZX},
	}
}

// TestAgainstWimlib expands what wimlib compressed.
func TestAgainstWimlib(t *testing.T) {
	for name, k := range kinds() {
		t.Run(name, func(t *testing.T) {
			chunks := 0
			for seed, n := range []int{3 << 20, 5000, 40001} {
				data := sample(n, uint64(seed))
				eachChunk(t, ntfstest.Compacted(t, k.name, k.chunk, data), data, k.chunk, func(packed, plain []byte) {
					chunks++
					got := make([]byte, len(plain))
					if err := k.expand(got, packed); err != nil || !bytes.Equal(got, plain) {
						t.Fatalf("chunk of %d bytes in %d: %v", len(plain), len(packed), err)
					}
				})
			}
			if chunks < 50 {
				t.Errorf("%d chunks are no test", chunks)
			}
		})
	}
}
