//go:build cgo

package frame

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The decoder of this build and the one of the build without cgo never get two
// different contents out of one damaged frame. The C library accepts some that
// the other refuses, because it does not check that each Huffman stream ends
// where its block says; the hash of the block decides about those. It refuses
// none that the other accepts.
func TestDecodersAgree(t *testing.T) {
	other, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(6, 6))
	d, dst := NewDecoder(Medium), make([]byte, 8192)
	all := seeds(t)
	accepted, lax := 0, 0
	const runs = 20000
	for i := range runs {
		bad := bytes.Clone(all[i%len(all)])
		bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		n, err := d.Decode(dst, bad)
		var out []byte
		h, errOther := parseHeader(bad)
		if errOther == nil && h.content <= uint64(len(dst)) {
			var end int
			if end, errOther = frameEnd(bad, h); errOther == nil {
				out, errOther = other.DecodeAll(bad[:end], make([]byte, 0, h.content))
			}
		} else if errOther == nil {
			continue
		}
		switch {
		case err != nil && errOther == nil:
			t.Fatalf("flip %d of seed %d: refused with cgo (%v), accepted without", i, i%len(all), err)
		case err == nil && errOther != nil:
			lax++
		case err == nil:
			accepted++
			if !bytes.Equal(out, dst[:n]) {
				t.Fatalf("flip %d: two contents of one frame", i)
			}
		}
	}
	t.Logf("%d flips: both accept %d, only the C library accepts %d", runs, accepted, lax)
	if accepted == 0 {
		t.Error("no damaged frame was accepted by both: the test compares nothing")
	}
}
