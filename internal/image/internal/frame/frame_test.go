package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

var levels = []Level{None, Medium, High}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// text is n bytes that compress as prose does: words of a small vocabulary.
func text(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("disk sector cluster extent volume partition table record index block image full restore verify of the a is in and to")
	var b []byte
	for len(b) < n {
		b = append(append(b, words[r.IntN(len(words))]...), ' ')
		b = append(strconv.AppendInt(b, r.Int64N(1000), 10), ' ')
	}
	return b[:n]
}

// blocks are contents of every kind that Encode treats differently.
func blocks() map[string][]byte {
	m := map[string][]byte{
		"mixed":     append(noise(1, 40<<10), text(1, 24<<10)...),
		"last byte": append(make([]byte, 65535), 1),
		"periodic":  bytes.Repeat(noise(2, 4096), 16),
	}
	for _, n := range []int{0, 1, 2, 255, 256, 257, 511, 512, 8191, 8192, 65535, 65536, 65791, 65792, 131072, 131073, 1 << 20, 4 << 20} {
		m[fmt.Sprintf("text %d", n)] = text(uint64(n), n)
		m[fmt.Sprintf("noise %d", n)] = noise(uint64(n), n)
		m[fmt.Sprintf("zeros %d", n)] = make([]byte, n)
		m[fmt.Sprintf("0xff %d", n)] = bytes.Repeat([]byte{0xff}, n)
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	for _, level := range levels {
		e, d := NewEncoder(level), NewDecoder(level)
		for name, raw := range blocks() {
			before := []byte("before")
			stored := e.Encode(before, raw)
			if !bytes.HasPrefix(stored, before) {
				t.Fatalf("%v %s: what was in dst is lost", level, name)
			}
			stored = stored[len(before):]
			if len(stored) > MaxStored(len(raw)) {
				t.Errorf("%v %s: %d bytes stored, at most %d promised", level, name, len(stored), MaxStored(len(raw)))
			}
			dst := append(make([]byte, len(raw)), "behind"...)
			for _, b := range [][]byte{stored, append(bytes.Clone(stored), noise(9, 30)...)} {
				if level == None {
					b = stored
				}
				n, err := d.Decode(dst[:len(raw)], b)
				if err != nil || n != len(raw) || !bytes.Equal(dst[:n], raw) {
					t.Fatalf("%v %s: decoded %d bytes, error %v", level, name, n, err)
				}
				if string(dst[n:]) != "behind" {
					t.Fatalf("%v %s: bytes behind the block were written", level, name)
				}
			}
		}
	}
}

// A block may be shorter than the room, never longer.
func TestRoom(t *testing.T) {
	for _, level := range levels {
		for _, raw := range [][]byte{text(1, 5000), noise(1, 10000), make([]byte, 5000)} {
			stored := NewEncoder(level).Encode(nil, raw)
			d := NewDecoder(level)
			if n, err := d.Decode(make([]byte, len(raw)+100), stored); err != nil || n != len(raw) {
				t.Errorf("%v: %d, %v", level, n, err)
			}
			for _, room := range []int{0, 1, len(raw) - 1} {
				if _, err := d.Decode(make([]byte, room), stored); err == nil {
					t.Errorf("%v: %d bytes decoded into %d", level, len(raw), room)
				}
			}
		}
	}
}

// What the frames promise: one segment, content size, no checksum.
func TestFrameForm(t *testing.T) {
	for _, level := range levels[1:] {
		e := NewEncoder(level)
		for name, raw := range blocks() {
			stored := e.Encode(nil, raw)
			h, err := parseHeader(stored)
			if err != nil {
				t.Fatalf("%v %s: %v", level, name, err)
			}
			if stored[4]&singleSegment == 0 || h.checksum || h.content != uint64(len(raw)) {
				t.Errorf("%v %s: descriptor %#02x, content %d", level, name, stored[4], h.content)
			}
			if end, err := frameEnd(stored, h); err != nil || end != len(stored) {
				t.Errorf("%v %s: frame of %d bytes ends at %d, %v", level, name, len(stored), end, err)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for _, level := range levels[1:] {
		e := NewEncoder(level)
		for _, c := range []struct {
			name string
			raw  []byte
			max  int
		}{
			{"zeros", make([]byte, 65536), 16},
			{"zeros, 4 MiB", make([]byte, 4<<20), 32*4 + 9},
			{"noise", noise(1, 65536), 65536 + 10},
			{"noise, 4 MiB", noise(1, 4<<20), 4<<20 + 32*3 + 9},
			{"text", text(1, 65536), 65536 / 2},
			{"periodic", bytes.Repeat(noise(2, 4096), 16), 5000},
			{"4 MiB of noise with some text", append(append(noise(4, 1<<20), text(4, 128<<10)...), noise(5, 3<<20-128<<10)...), 4<<20 - 50<<10},
			{"noise with one cluster of zeros", append(noise(3, 60<<10), make([]byte, 4096)...), 62 << 10},
		} {
			if got := len(e.Encode(nil, c.raw)); got > c.max {
				t.Errorf("%v %s: %d bytes, want at most %d", level, c.name, got, c.max)
			}
		}
	}
	raw := text(2, 1<<20)
	if m, h := len(NewEncoder(Medium).Encode(nil, raw)), len(NewEncoder(High).Encode(nil, raw)); h >= m {
		t.Errorf("high gives %d bytes, medium %d", h, m)
	}
}

func TestLooksRandom(t *testing.T) {
	for seed := range uint64(200) {
		if n := 64 << 10 << (seed % 4); !looksRandom(noise(seed, n)) {
			t.Errorf("%d random bytes (seed %d) are not seen as such", n, seed)
		}
	}
	for name, raw := range blocks() {
		if looksRandom(raw) != strings.HasPrefix(name, "noise") && len(raw) >= 64<<10 {
			t.Errorf("%s: looksRandom is %v", name, looksRandom(raw))
		}
	}
	hexText := []byte(fmt.Sprintf("%x", noise(5, 32<<10)))
	if looksRandom(hexText) {
		t.Error("hexadecimal digits are taken for noise")
	}
}

func TestNoAllocation(t *testing.T) {
	for _, level := range levels {
		e, d := NewEncoder(level), NewDecoder(level)
		raw, room := text(1, 65536), make([]byte, 65536)
		dst := make([]byte, 0, MaxStored(len(raw)))
		n := testing.AllocsPerRun(20, func() {
			if _, err := d.Decode(room, e.Encode(dst, raw)); err != nil {
				t.Fatal(err)
			}
		})
		if n > 1 {
			t.Errorf("%v: %v allocations for a block", level, n)
		}
	}
}

func TestUnknownLevelPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewEncoder(Level(7))
}

// command runs the zstd command, an implementation that is not ours.
func command(t testing.TB, in []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Fatal("the zstd command is missing: install the Debian package zstd")
	}
	cmd := exec.Command("zstd", append([]string{"-q", "-c"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("zstd %v: %v: %s", args, err, stderr.Bytes())
	}
	return out
}

// sized returns the arguments for a frame that states its content size,
// which the command cannot know of a pipe.
func sized(raw []byte, args ...string) []string {
	return append(args, fmt.Sprintf("--stream-size=%d", len(raw)))
}

func TestCommandReadsOurs(t *testing.T) {
	for _, level := range levels[1:] {
		e := NewEncoder(level)
		var frames, raw []byte
		for _, b := range blocks() {
			frames, raw = e.Encode(frames, b), append(raw, b...)
		}
		if !bytes.Equal(command(t, frames, "-d"), raw) {
			t.Errorf("%v: the zstd command decodes to something else", level)
		}
	}
}

func TestWeReadTheCommands(t *testing.T) {
	d := NewDecoder(Medium)
	raws := [][]byte{text(1, 1), text(1, 300), text(1, 65536), noise(1, 65536), text(1, 600<<10), make([]byte, 1<<20)}
	for _, raw := range raws {
		for _, args := range [][]string{{"-1", "--no-check"}, {"-19", "--no-check"}, {"-3", "--check"}, {"--fast=5", "--check"}, {"-1", "--no-check", "--long=27"}} {
			dst := make([]byte, len(raw))
			n, err := d.Decode(dst, command(t, raw, sized(raw, args...)...))
			if err != nil || !bytes.Equal(dst[:n], raw) {
				t.Errorf("%d bytes, zstd %v: %d, %v", len(raw), args, n, err)
			}
		}
		if _, err := d.Decode(make([]byte, len(raw)), command(t, raw, "--no-content-size")); err == nil {
			t.Errorf("%d bytes: a frame without content size is decoded", len(raw))
		}
	}
}

func TestWrongChecksum(t *testing.T) {
	raw := text(1, 5000)
	f := command(t, raw, sized(raw, "--check")...)
	f[len(f)-1] ^= 1
	if _, err := NewDecoder(Medium).Decode(make([]byte, len(raw)), f); err == nil {
		t.Error("a wrong checksum is not noticed")
	}
}

// with returns the frame of a few bytes that begins with this descriptor.
func with(desc byte, rest ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint32(nil, magic), desc), rest...)
}

func TestRefused(t *testing.T) {
	good := NewEncoder(Medium).Encode(nil, text(1, 1000))
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2}, good...)
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"empty", "too few", nil},
		{"magic only", "too few", good[:4]},
		{"other magic", "magic number at offset 0", append([]byte{1, 2, 3, 4}, good...)},
		{"skippable frame first", "magic number at offset 0", skippable},
		{"legacy frame (v0.7)", "magic number at offset 0", append([]byte{0x27}, good[1:]...)},
		{"reserved bit", "reserved bit of the descriptor at offset 4", with(0x28, 1, 9, 0, 0, 1)},
		{"no content size", "content size is not stated", with(0, 0x40, 9, 0, 0, 1)},
		{"content of 2^60", "1152921504606846976", with(0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 9, 0, 0, 1)},
		{"content of 2^64-1", "18446744073709551615", with(0xe0, 255, 255, 255, 255, 255, 255, 255, 255, 9, 0, 0, 1)},
		{"window of 3.75 TiB", "window at offset 5", with(0xc0, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1)},
		{"dictionary", "dictionary 7 (offset 5)", with(0x21, 7, 1, 9, 0, 0, 1)},
		{"reserved block", "block at offset 6 is of the reserved type", with(0x20, 1, 0x0f, 0, 0, 1)},
		{"no block", "block header at offset 6", with(0x20, 1)},
		{"block cut", "block of 2097151 bytes at offset 6", with(0x20, 1, 0xf9, 0xff, 0xff, 1)},
		{"checksum cut", "checksum at offset 10", with(0x24, 1, 9, 0, 0, 1, 5)},
		{"less than stated", "", with(0x20, 9, 9, 0, 0, 1)},
		{"more than stated", "", with(0x20, 1, 0x11, 0, 0, 1, 2)},
		{"nothing stated, one byte held", "", with(0x20, 0, 9, 0, 0, 1)},
		{"long run, one byte stated", "", with(0x20, 1, 0x03|0xf8, 0xff, 0x0f, 1)},
		{"run without end", "", append(with(0x20, 200), bytes.Repeat([]byte{0x0a, 0, 0, 1}, 5000)...)},
	} {
		_, err := NewDecoder(Medium).Decode(make([]byte, 4096), c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
	if _, err := NewDecoder(Medium).Decode(make([]byte, 4096), with(0x20, 0, 1, 0, 0)); err != nil {
		t.Errorf("frame of nothing: %v", err)
	}
	if n, err := NewDecoder(Medium).Decode(nil, with(0x20, 0, 1, 0, 0)); err != nil || n != 0 {
		t.Errorf("frame of nothing into nothing: %d, %v", n, err)
	}
}

// seeds are frames of all makers.
func seeds(t testing.TB) [][]byte {
	raw := append(text(3, 6000), noise(3, 2000)...)
	e := NewEncoder(Medium)
	return [][]byte{
		e.Encode(nil, raw), NewEncoder(High).Encode(nil, raw),
		e.Encode(nil, make([]byte, 6000)), e.Encode(nil, noise(3, 64<<10))[:7000], e.Encode(nil, text(4, 200<<10))[:5000],
		command(t, raw, sized(raw, "-1", "--no-check")...), command(t, raw, sized(raw, "-19", "--check")...),
		command(t, raw),
	}
}

func TestTruncations(t *testing.T) {
	d, dst := NewDecoder(Medium), make([]byte, 256<<10)
	for i, f := range seeds(t) {
		for n := range f {
			if _, err := d.Decode(dst, f[:n]); err == nil {
				t.Fatalf("seed %d: cut to %d of %d bytes it is decoded", i, n, len(f))
			}
		}
	}
}

// Flipped bits must never do worse than give an error or other bytes, and the
// Decoder must be as good as new for the next block.
func TestFlips(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	d, dst := NewDecoder(Medium), make([]byte, 8000)
	all := seeds(t)
	for i := range 20000 {
		good := all[i%2] // by our compressor: Medium and High
		if i%4 >= 2 {
			good = all[5+i%2] // by the command: level 1 and 19
		}
		bad := bytes.Clone(good)
		for range 1 + r.IntN(3) {
			at := r.IntN(len(bad))
			if r.IntN(2) == 0 {
				at = r.IntN(40)
			}
			bad[at] ^= 1 << r.IntN(8)
		}
		n, err := d.Decode(dst, bad)
		if err == nil && n > len(dst) {
			t.Fatalf("flip %d: %d bytes in %d", i, n, len(dst))
		}
		if i%100 == 0 {
			if n, err := d.Decode(dst, good); err != nil || n != 8000 {
				t.Fatalf("after flip %d the good frame gives %d, %v", i, n, err)
			}
		}
	}
}

// No frame, whatever it states, makes Decode allocate more than an error.
func TestBoundedMemory(t *testing.T) {
	d, dst := NewDecoder(Medium), make([]byte, 4096)
	for _, b := range [][]byte{
		with(0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 9, 0, 0, 1),
		with(0xc0, 0x88, 0, 16, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1), // window 128 MiB, allowed
		with(0xc0, 0xff, 0, 16, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1),
	} {
		r := testing.Benchmark(func(b2 *testing.B) {
			for range min(b2.N, 100) {
				d.Decode(dst, b)
			}
		})
		if per := int64(r.MemBytes) / int64(min(r.N, 100)); per > 64<<10 {
			t.Errorf("frame % x: %d bytes allocated", b, per)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, uint16(8000))
	}
	f.Fuzz(func(t *testing.T, stored []byte, room uint16) {
		dst := make([]byte, int(room)+8)
		for i := range dst {
			dst[i] = 0xa5
		}
		n, err := NewDecoder(Medium).Decode(dst[:room:room], stored)
		if err == nil && n > int(room) {
			t.Fatalf("%d bytes in %d", n, room)
		}
		for _, b := range dst[room:] {
			if b != 0xa5 {
				t.Fatal("bytes behind the room were written")
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(text(1, 3000))
	f.Add(noise(1, 9000))
	f.Add(make([]byte, 700))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, level := range levels {
			stored, dst := NewEncoder(level).Encode(nil, raw), make([]byte, len(raw))
			if n, err := NewDecoder(level).Decode(dst, stored); err != nil || !bytes.Equal(dst[:n], raw) {
				t.Fatalf("%v: %d of %d, %v", level, n, len(raw), err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) { each(b, encodeBench) }
func BenchmarkDecode(b *testing.B) { each(b, decodeBench) }

// each runs bench for every kind of block and size; a bench gets 64 MiB or
// less in blocks, so that the caches do not hold them.
func each(b *testing.B, bench func(b *testing.B, level Level, raws [][]byte)) {
	for _, level := range levels[1:] {
		for _, size := range []int{64 << 10, 1 << 20} {
			for name, make := range map[string]func(uint64, int) []byte{
				"text": text, "noise": noise, "zeros": func(_ uint64, n int) []byte { return make([]byte, n) },
			} {
				b.Run(fmt.Sprintf("%v/%s/%dK", level, name, size>>10), func(b *testing.B) {
					raws := [][]byte{}
					for i := range uint64(16) {
						raws = append(raws, make(i, size))
					}
					b.SetBytes(int64(size))
					bench(b, level, raws)
				})
			}
		}
	}
}

func encodeBench(b *testing.B, level Level, raws [][]byte) {
	e, dst := NewEncoder(level), make([]byte, 0, MaxStored(len(raws[0])))
	for i := 0; b.Loop(); i++ {
		e.Encode(dst, raws[i%len(raws)])
	}
}

func decodeBench(b *testing.B, level Level, raws [][]byte) {
	e, d, dst := NewEncoder(level), NewDecoder(level), make([]byte, len(raws[0]))
	stored := [][]byte{}
	for _, raw := range raws {
		stored = append(stored, e.Encode(nil, raw))
	}
	for i := 0; b.Loop(); i++ {
		if _, err := d.Decode(dst, stored[i%len(stored)]); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRaw compares Raw with Decode on blocks of every kind, and on what is left
// of them when they are cut.
func TestRaw(t *testing.T) {
	noise := make([]byte, 64<<10)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(noise)
	for name, raw := range map[string][]byte{
		"noise": noise, "text": bytes.Repeat([]byte("some text "), 5000), "zeros": make([]byte, 1000),
		"empty": {}, "long noise": append(append([]byte{}, noise...), append(noise, noise...)...),
	} {
		for _, level := range []Level{None, Medium} {
			stored := NewEncoder(level).Encode(nil, raw)
			d := NewDecoder(level)
			got, ok := d.Raw(stored)
			if want := level == None || name == "noise" || name == "empty"; ok != want {
				t.Errorf("%s, %s: given as it is: %t", level, name, ok)
			}
			if ok && !bytes.Equal(got, raw) {
				t.Errorf("%s, %s: other content", level, name)
			}
			for n := range min(len(stored), 40) {
				if _, ok := d.Raw(stored[:n]); ok && level != None {
					t.Errorf("%s, %s: cut to %d bytes it is still whole", level, name, n)
				}
			}
		}
	}
}
