package expand

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"ingot/internal/filesys/ntfs/ntfstest"
)

// TestLZNT1Example is the one of [MS-XCA] 3.3.
func TestLZNT1Example(t *testing.T) {
	const text = "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\x00"
	packed, err := hex.DecodeString("38b08846232000204720410010a24701a0452044000845015079" +
		"00c045200524138805b4024a44ef0358028c091601484500be009e000401189000")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8192)
	if err := LZNT1(got, packed); err != nil || string(got[:len(text)]) != text {
		t.Fatalf("%q, %v", got[:len(text)], err)
	}
	if rest := bytes.Trim(got[len(text):], "\x00"); len(rest) > 0 {
		t.Errorf("%q behind the end", rest)
	}
}

// TestLZNT1Chunks joins stored, short and missing chunks.
func TestLZNT1Chunks(t *testing.T) {
	full := bytes.Repeat([]byte{7}, chunkSize)
	in := append([]byte{0xff, 0x3f}, full...)          // stored
	in = append(in, 0x02, 0xb0, 0x00, 'a', 'b')        // two literals, the rest zeros
	in = append(in, 0x03, 0xb0, 0x02, 'c', 0xfc, 0x0f) // a literal and 4095 times the one before
	in = append(in, 0x00, 0x00)                        // nothing more
	want := append(bytes.Clone(full), append([]byte("ab"), make([]byte, chunkSize-2)...)...)
	want = append(want, bytes.Repeat([]byte{'c'}, chunkSize)...)
	want = append(want, make([]byte, chunkSize)...)
	got := bytes.Repeat([]byte{0xee}, len(want))
	if err := LZNT1(got, in); err != nil || !bytes.Equal(got, want) {
		t.Error(err)
	}
	for name, bad := range map[string][]byte{
		"cut off":          {0x05, 0xb0, 0x00, 'a'},
		"signature":        {0x02, 0x80, 0x00, 'a', 'b'},
		"before the start": {0x03, 0xb0, 0x02, 'a', 0x00, 0x10},
		"behind the end":   {0x03, 0xb0, 0x02, 'a', 0xfd, 0x0f},
		"half a match":     {0x02, 0xb0, 0x02, 'a', 0x00},
	} {
		if err := LZNT1(got, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// words writes bits as LZX has them: 16 to a word, the highest first.
func words(bits string) []byte {
	bits = strings.ReplaceAll(bits, " ", "")
	bits += strings.Repeat("0", (16-len(bits)%16)%16)
	var out []byte
	for ; len(bits) > 0; bits = bits[16:] {
		var w uint16
		for _, c := range bits[:16] {
			w = w<<1 | uint16(c-'0')
		}
		out = binary.LittleEndian.AppendUint16(out, w)
	}
	return out
}

// TestLZXStored joins stored blocks: the first ends at an odd byte, the second
// has its header of 20 bits end in the middle of a word, and one with a default size
// does so too. wimlib does not write such blocks.
func TestLZXStored(t *testing.T) {
	recent := make([]byte, 12)
	block := func(head string, body []byte) []byte {
		b := append(append(words(head), recent...), body...)
		if len(body)%2 == 1 {
			b = append(b, 0xdd)
		}
		return b
	}
	one, two := sample(31, 1), sample(32, 2)
	in := append(block("011 0 0000000000011111", one), block("011 0 0000000000100000", two)...)
	got := make([]byte, 63)
	if err := LZX(got, in); err != nil || !bytes.Equal(got, append(bytes.Clone(one), two...)) {
		t.Error(err)
	}
	whole := bytes.Repeat([]byte("stored "), lzxBlock)[:lzxBlock]
	got = make([]byte, lzxBlock)
	if err := LZX(got, block("011 1", whole)); err != nil || !bytes.Equal(got, whole) {
		t.Error(err)
	}
	for name, bad := range map[string][]byte{
		"cut off":    in[:30],
		"kind 0":     words("000 1"),
		"kind 4":     words("100 1"),
		"too long":   block("011 0 0000000000100000", two),
		"no codes":   words("001 1"),
		"of nothing": nil,
	} {
		if err := LZX(make([]byte, 31), bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestAligned reads a word that is skipped because the bits end where a word
// does.
func TestAligned(t *testing.T) {
	b := bitReader{in: []byte{0, 0x60, 1, 2, 3, 4}}
	b.bits(16)
	b.align()
	if b.pos != 4 || b.n != 0 {
		t.Errorf("at %d with %d bits", b.pos, b.n)
	}
	b = bitReader{in: []byte{0, 0x60, 1, 2, 3, 4}}
	b.bits(3)
	b.need(16)
	b.align()
	if b.pos != 2 || b.n != 0 {
		t.Errorf("at %d with %d bits", b.pos, b.n)
	}
}

func TestXPRESSLengths(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		want int
	}{
		{[]byte{0}, 15}, {[]byte{254}, 269}, {[]byte{255, 0xff, 0x0f}, 0xfff}, {[]byte{255, 0, 0, 1, 0, 1, 0}, 0x10001},
		{nil, 1 << 30}, {[]byte{255, 1}, 1 << 30}, {[]byte{255, 0, 0, 1}, 1 << 30}, {[]byte{255, 0, 0, 255, 255, 255, 255}, 1 << 30},
	} {
		b := bitReader{in: c.in}
		if got := b.xpressLength(); got != c.want {
			t.Errorf("%v: %d instead of %d", c.in, got, c.want)
		}
	}
	if err := XPRESS(make([]byte, 5), make([]byte, 300)); err == nil {
		t.Error("an empty code was read")
	}
}

// packed are compressed chunks of all kinds, by the first byte that fuzzing
// chooses the kind with.
func packed(t testing.TB) map[byte][][]byte {
	t.Helper()
	out := map[byte][][]byte{0: {{0x02, 0xb0, 0x00, 'a', 'b'}, {0x03, 0xb0, 0x02, 'c', 0xfc, 0x0f}}}
	for name, k := range kinds() {
		data := sample(100000, 9)
		kind := byte(1)
		if name == "LZX32K" {
			kind = 2
		}
		eachChunk(t, ntfstest.Compacted(t, k.name, k.chunk, data), data, k.chunk, func(packed, plain []byte) {
			out[kind] = append(out[kind], bytes.Clone(packed))
		})
	}
	return out
}

// expandAny expands bytes of a kind; there may be an error and nothing else.
func expandAny(kind byte, in []byte) {
	dst := make([]byte, 32768)
	switch kind % 3 {
	case 0:
		_ = LZNT1(dst, in)
	case 1:
		_ = XPRESS(dst[:4096], in)
		_ = XPRESS(dst[:16384], in)
	case 2:
		_ = LZX(dst, in)
	}
}

// TestDamaged cuts and flips compressed chunks.
func TestDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for kind, chunks := range packed(t) {
		for _, c := range chunks {
			for range 40 {
				b := bytes.Clone(c[:rng.IntN(len(c)+1)])
				for range rng.IntN(4) {
					if len(b) > 0 {
						b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
					}
				}
				expandAny(kind, b)
			}
		}
	}
}

// FuzzExpand gives bytes to the expander that the first of them chooses.
func FuzzExpand(f *testing.F) {
	for kind, chunks := range packed(f) {
		for _, c := range chunks[:min(3, len(chunks))] {
			f.Add(append([]byte{kind}, c...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			expandAny(b[0], b[1:])
		}
	})
}
