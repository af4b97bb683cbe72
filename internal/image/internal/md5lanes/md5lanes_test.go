package md5lanes

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// paths are the ways this machine can run, by the name that a test shows.
func paths() map[string]path {
	m := map[string]path{}
	for name, p := range map[string]path{"scalar": scalar, "avx2": avx2, "avx512": avx512} {
		if usable(p) {
			m[name] = p
		}
	}
	return m
}

func (p path) lanes() int { return map[path]int{scalar: maxLanes, avx2: 8, avx512: 16}[p] }

// want fails unless sums are those of the messages of size bytes in data.
func want(t *testing.T, what string, sums [][16]byte, data []byte, size int) {
	t.Helper()
	for i, got := range sums {
		message := data[min(i*size, len(data)):min((i+1)*size, len(data))]
		if w := md5.Sum(message); got != w {
			t.Fatalf("%s: message %d of %d, %d bytes: %x, want %x", what, i, len(sums), len(message), got, w)
		}
	}
}

func lengths() []int {
	l := []int{0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 4095, 4096, 4097, 65536, chunk + 64, 2*chunk + 1}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		l = append(l, r.IntN(5000))
	}
	return l
}

// The test suite of RFC 1321, appendix A.5, by every path, with the message in
// every lane.
func TestVectors(t *testing.T) {
	vectors := map[string]string{
		"":                           "d41d8cd98f00b204e9800998ecf8427e",
		"a":                          "0cc175b9c0f1b6a831c399e269772661",
		"abc":                        "900150983cd24fb0d6963f7d28e17f72",
		"message digest":             "f96b697d7cb7938d525a2f31aaf161d0",
		"abcdefghijklmnopqrstuvwxyz": "c3fcd3d76192e4007dfb496cca67e13b",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789":                   "d174ab98d277d9f5a5611c2c9f419d9f",
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890": "57edf4a22be3c955ac49da2e2107b67a",
	}
	for name, p := range paths() {
		for message, sum := range vectors {
			sums := make([][16]byte, p.lanes())
			p.sum(sums, bytes.Repeat([]byte(message), len(sums)), inRow(len(sums), len(message)), len(message))
			for i, got := range sums {
				if hex.EncodeToString(got[:]) != sum {
					t.Errorf("%s, lane %d: %q gives %x", name, i, message, got)
				}
			}
		}
	}
}

func TestEveryPath(t *testing.T) {
	data := random(1, maxLanes*(2*chunk+1))
	for name, p := range paths() {
		t.Run(name, func(t *testing.T) {
			for _, size := range lengths() {
				for n := 1; n <= p.lanes(); n++ {
					sums := make([][16]byte, n)
					p.sum(sums, data[:n*size], inRow(n, size), size)
					want(t, name, sums, data[:n*size], size)
				}
			}
		})
	}
}

func TestSums(t *testing.T) {
	data := random(2, 40*65536)
	for _, size := range lengths() {
		for n := 0; n <= 40 && n*size <= len(data); n++ {
			for _, missing := range []int{0, 1, size / 2, size} {
				if n == 0 || missing > size {
					continue
				}
				part := data[:n*size-missing]
				sums := make([][16]byte, n)
				Sums(sums, part, size)
				want(t, "Sums", sums, part, size)
			}
		}
	}
	Sums(nil, nil, 64)
}

// Lanes that have no message must not read beyond the data: a page that cannot
// be read would end the program. Here it is enough that the sums do not depend
// on what follows.
func TestNothingBeyondTheData(t *testing.T) {
	for name, p := range paths() {
		data := random(3, 3*100+5000)
		a, b := make([][16]byte, 3), make([][16]byte, 3)
		p.sum(a, data[:300:300], inRow(3, 100), 100)
		clear(data[300:])
		p.sum(b, data[:300:300], inRow(3, 100), 100)
		if !equal(a, b) {
			t.Errorf("%s: sums depend on what follows the data", name)
		}
	}
}

func equal(a, b [][16]byte) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestWrongUsePanics(t *testing.T) {
	for _, c := range []struct{ n, length, size int }{
		{1, 0, -1}, {0, 1, 64}, {1, 65, 64}, {2, 63, 64}, {3, 127, 64}, {1, 1, 0},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", c)
				}
			}()
			Sums(make([][16]byte, c.n), make([]byte, c.length), c.size)
		}()
	}
}

func TestNoAllocation(t *testing.T) {
	data, sums := random(4, 19*1000), make([][16]byte, 19)
	if n := testing.AllocsPerRun(20, func() { Sums(sums, data, 1000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The assembly in the tree is what the generator writes.
func TestGenerated(t *testing.T) {
	fresh, err := exec.Command("go", "run", "gen.go", "-").Output()
	if err != nil {
		t.Fatalf("run gen.go: %v", err)
	}
	kept, err := os.ReadFile("kernel_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(fresh, kept) {
		t.Error("kernel_amd64.s is not what gen.go writes: run go generate")
	}
}

// On amd64 the suite is worth little when no vector path runs.
func TestVectorPathsRun(t *testing.T) {
	t.Logf("paths: %v", paths())
	if runtime.GOARCH == "amd64" && len(paths()) == 1 {
		t.Error("this machine has neither AVX2 nor AVX-512: the kernels were not tested")
	}
}

func FuzzSums(f *testing.F) {
	for _, size := range []int{1, 55, 56, 64, 119, 300} {
		f.Add(random(uint64(size), 5*size+size/2), uint16(size))
	}
	f.Fuzz(func(t *testing.T, data []byte, size16 uint16) {
		size := max(int(size16), 1+len(data)/100)
		n := (len(data) + size - 1) / size
		sums := make([][16]byte, n)
		Sums(sums, data, size)
		want(t, "Sums", sums, data, size)
		for name, p := range paths() {
			k := min(len(data)/size, p.lanes())
			if k == 0 {
				continue
			}
			p.sum(sums[:k], data[:k*size], inRow(k, size), size)
			want(t, name, sums[:k], data, size)
		}
	})
}

// BenchmarkPath measures full groups of every path over 256 MiB, which no cache
// holds. The odd size shows what it costs that blocks of a power of two begin
// in the same set of each cache.
func BenchmarkPath(b *testing.B) {
	all := random(5, 256<<20)
	for name, p := range paths() {
		for _, size := range []int{64 << 10, 1 << 20, 1<<20 + 192, 4 << 20} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				n := p.lanes()
				rest, sums := all, make([][16]byte, n)
				b.SetBytes(int64(n * size))
				for b.Loop() {
					if len(rest) < n*size {
						rest = all
					}
					p.sum(sums, rest[:n*size], inRow(n, size), size)
					rest = rest[n*size:]
				}
			})
		}
	}
}

// BenchmarkPart shows what a group that is not full costs.
func BenchmarkPart(b *testing.B) {
	const size = 64 << 10
	for name, p := range paths() {
		for _, n := range []int{1, 2, 3, 4, 6, 8, 9, 12, 16} {
			if n > p.lanes() {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				data, sums := random(6, n*size), make([][16]byte, n)
				b.SetBytes(int64(n * size))
				for b.Loop() {
					p.sum(sums, data, inRow(len(sums), size), size)
				}
			})
		}
	}
}

// inRow is where n messages of size bytes are that stand one after the other.
func inRow(n, size int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i * size
	}
	return out
}

// TestSumsAt has messages overlap, repeat and stand in any order.
func TestSumsAt(t *testing.T) {
	data := make([]byte, 5000)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		size := r.IntN(600)
		offs := make([]int, r.IntN(40))
		for i := range offs {
			offs[i] = r.IntN(len(data) - size + 1)
		}
		sums := make([][16]byte, len(offs))
		SumsAt(sums, data, offs, size)
		for i, off := range offs {
			if sums[i] != md5.Sum(data[off:off+size]) {
				t.Fatalf("message %d of %d, %d bytes at %d", i, len(offs), size, off)
			}
		}
	}
	for _, off := range []int{-1, 4901, 1 << 40} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a message at %d of %d bytes was hashed", off, len(data))
				}
			}()
			SumsAt(make([][16]byte, 1), data, []int{off}, 100)
		}()
	}
}
