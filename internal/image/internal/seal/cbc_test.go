package seal

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestLanes compares blocks encrypted side by side with the library's, which does
// one after another.
func TestLanes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var root Root
	for _, bits := range []int{128, 192, 256} {
		for round := range 60 {
			for i := range root {
				root[i] = byte(r.Uint32())
			}
			keys, err := root.Keys(bits)
			if err != nil {
				t.Fatal(err)
			}
			w := keys.Worker()
			places := make([]Place, round%20)
			blocks, want := make([][]byte, len(places)), make([][]byte, len(places))
			for i := range blocks {
				places[i] = Place{Index: uint32(i), Partition: uint16(round)}
				blocks[i] = make([]byte, 16*r.IntN([]int{3, 600, 5000}[r.IntN(3)]))
				for k := range blocks[i] {
					blocks[i][k] = byte(r.Uint32())
				}
				want[i] = bytes.Clone(blocks[i])
				w.Encrypt(&places[i], want[i])
			}
			w.EncryptAll(places, blocks)
			for i := range blocks {
				if !bytes.Equal(blocks[i], want[i]) {
					t.Fatalf("AES-%d, %d blocks: block %d of %d bytes is encrypted otherwise", bits, len(blocks), i, len(blocks[i]))
				}
			}
		}
	}
}
