package btrfs

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// packedSamples are one compressed piece of each kind, made by the kernel.
func packedSamples(t testing.TB) map[byte][]byte {
	t.Helper()
	d, out := treeSeed(t), map[byte][]byte{}
	tree := open(t, d).Files()
	for _, how := range []string{"zlib", "lzo", "zstd"} {
		info, err := tree.Lstat(how + "/3000")
		if err != nil {
			t.Fatal(err)
		}
		if err := info.Sys().(Node).i.items(kindExtentOf, func(it item) error {
			p, err := parsePiece(it.off, it.data)
			if err == nil && p.inline != nil {
				out[p.how] = bytes.Clone(p.inline)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(out) != 3 || out[plain] != nil {
		t.Fatalf("the volume is no test: %d kinds of compression", len(out))
	}
	return out
}

// TestUnpack cuts compressed pieces off, and damages them.
func TestUnpack(t *testing.T) {
	want := bytes.Repeat([]byte("cast iron and "), 300)[:3000]
	for how, b := range packedSamples(t) {
		if got, err := unpack(how, b, 3000, 4096); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d: %d bytes, %v", how, len(got), err)
		}
		if got, err := unpack(how, append(bytes.Clone(b), make([]byte, 999)...), 3000, 4096); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d, with zeros behind: %d bytes, %v", how, len(got), err)
		}
		if got, err := unpack(how, b, 4000, 4096); err != nil || !bytes.Equal(got, append(bytes.Clone(want), make([]byte, 1000)...)) {
			t.Errorf("%d, with zeros to follow: %d bytes, %v", how, len(got), err)
		}
		for n := range len(b) - 4 { // the end is a checksum, or says that it is the end
			if got, err := unpack(how, b[:n], 3000, 4096); err == nil && !bytes.Equal(got, want) {
				t.Errorf("%d, the first %d bytes of %d: %d bytes and no error", how, n, len(b), len(got))
			}
		}
		for i := range len(b) * 8 {
			b[i/8] ^= 1 << (i % 8)
			_, _ = unpack(how, b, 3000, 4096)
			b[i/8] ^= 1 << (i % 8)
		}
	}
	for _, c := range []struct {
		how  byte
		b    int
		size int
	}{{9, 10, 10}, {packedZlib, 0, 10}, {packedLZO, 0, 10}, {packedZstd, 0, 10}, {packedLZO, 10, maxPacked + 1}, {packedLZO, maxPacked + 1, 10}} {
		if _, err := unpack(c.how, make([]byte, c.b), c.size, 4096); err == nil {
			t.Errorf("%+v", c)
		}
	}
}

// TestLZO takes streams written by hand, one for each kind of instruction
// (Linux Documentation/staging/lzo.rst).
func TestLZO(t *testing.T) {
	lit := func(n int) string { return strings.Repeat("ab", n)[:n] }
	x := func(s string) string { b, _ := hex.DecodeString(s); return string(b) }
	const end = "110000"
	for name, c := range map[string]struct{ in, want string }{
		"literals of the first byte":     {x("15") + "abcd" + x(end), "abcd"},
		"literals of an instruction":     {x("01") + "abcd" + x(end), "abcd"},
		"18 literals":                    {x("0f") + lit(18) + x(end), lit(18)},
		"19 literals":                    {x("0001") + lit(19) + x(end), lit(19)},
		"300 literals":                   {x("00001b") + lit(300) + x(end), lit(300)},
		"3 bytes of 4 back":              {x("15") + "abcd" + x("4c00"+end), "abcdabc"},
		"4 bytes of 1 back, 2 literals":  {x("15") + "abcd" + x("6200") + "xy" + x(end), "abcdddddxy"},
		"8 bytes of 2 back":              {x("15") + "abcd" + x("e400"+end), "abcdcdcdcdcd"},
		"33 bytes of 1 back":             {x("15") + "abcd" + x("3f0000"+end), "abcd" + strings.Repeat("d", 33)},
		"34 bytes of 1 back":             {x("15") + "abcd" + x("20010000"+end), "abcd" + strings.Repeat("d", 34)},
		"2 bytes behind one literal":     {x("12") + "a" + x("0000"+end), "aaa"},
		"1 literal behind, 3 bytes back": {x("15") + "abcd" + x("4d00") + "x" + x("0400"+end), "abcdabcxcx"},
	} {
		got, err := unlzo(nil, []byte(c.in), 4096)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		if len(c.want) > 0 {
			if _, err := unlzo(nil, []byte(c.in), len(c.want)-1); err == nil {
				t.Errorf("%s: more than there is room for", name)
			}
		}
	}
	far := lit(20000)
	b := []byte(x("00") + strings.Repeat("\x00", (20000-18)/255) + string([]byte{byte((20000 - 18) % 255)}) + far + x("12a00f") + x(end)) // 4 bytes, 16384+1000 back
	if got, err := unlzo(nil, b, 1<<20); err != nil || string(got) != far+far[20000-17384:20000-17380] {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := unlzo(nil, append([]byte(x("0000")+strings.Repeat("\x00", 7)+string([]byte{231})), []byte(lit(2300)+x("0801"+end))...), 1<<20); err == nil && len(got) == 0 {
		t.Error("nothing")
	}
	for _, bad := range []string{"", "00", "11", "1100", "15", "4000", "15616263644c", "156162636420", "1561626364400f", "1561626364ff00", "15616263641f0000", "0d"} {
		if out, err := unlzo(nil, []byte(x(bad)), 4096); err == nil {
			t.Errorf("%s: %q", bad, out)
		}
	}
}

// TestLZOSegments has a segment that ends in the last three bytes of a sector,
// and one that ends before them.
func TestLZOSegments(t *testing.T) {
	segment := func(n int) string { // of n bytes
		b := append([]byte{byte(n - 4 - 4 + 17)}, strings.Repeat("x", n-8)...)
		b = append(b, 0x11, 0, 0)
		return string([]byte{byte(len(b)), 0, 0, 0}) + string(b)
	}
	for _, c := range []struct {
		in   string
		want int
	}{
		{"\x24\x00\x00\x00" + segment(16) + segment(16), 8 + 8},
		{"\x30\x00\x00\x00" + segment(26) + "\x00\x00" + segment(16), 18 + 8},
		{"\x2f\x00\x00\x00" + segment(25) + "\x00\x00\x00" + segment(15), 17 + 7},
		{"\x2c\x00\x00\x00" + segment(24) + segment(16), 16 + 8},
	} {
		got, err := unlzoSegments(nil, []byte(c.in), 32, 64)
		if err != nil || string(got) != strings.Repeat("x", c.want) {
			t.Errorf("%q: %q, %v", c.in, got, err)
		}
	}
}

// TestOtherCopies has data and metadata twice: of each sector, one copy is
// damaged.
func TestOtherCopies(t *testing.T) {
	path := makeVolume(t, 260<<20, "-m", "dup", "-d", "dup")
	want := volumetest.Content(2<<20, 4)
	volumetest.LoopMounted(t, path, "rw", func(dir string) { volumetest.Write(t, dir, "file", want) })
	d := volumetest.Load(t, path)
	tree := open(t, d).Files()
	info, err := tree.Lstat("file")
	if err != nil {
		t.Fatal(err)
	}
	k := int64(0)
	for e, err := range info.Sys().(Node).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		for off := e.Off + k%2*4096; off < e.End(); off += 8192 {
			d[off+17]++
		}
		k++
	}
	read := func(d disk) ([]byte, error) {
		v, err := Open(d)
		if err != nil {
			t.Fatal(err)
		}
		f, err := v.Files().Open("file")
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(want))
		_, err = f.(interface {
			ReadAt([]byte, int64) (int, error)
		}).ReadAt(b, 0)
		return b, err
	}
	if got, err := read(d); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for e, err := range info.Sys().(Node).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		d[e.Off+17] ^= 0x80
		d[e.Off+4096+17] ^= 0x80
	}
	if _, err := read(d); err == nil || !strings.Contains(err.Error(), "checksum is wrong") {
		t.Error(err)
	}
}

// TestDevices reads what can be read from one device of two.
func TestDevices(t *testing.T) {
	for _, c := range []struct {
		args string
		all  bool
	}{{"-m raid1 -d raid1", true}, {"-m raid1 -d single", false}, {"-m raid1 -d raid0", false}, {"-m raid1c3 -d raid10", false}, {"-m raid1 -d raid5", false}} {
		t.Run(c.args, func(t *testing.T) {
			devices := 2
			if strings.Contains(c.args, "raid10") {
				devices = 4
			}
			var paths []string
			for range devices {
				paths = append(paths, volumetest.Make(t, 200<<20, "coreutils", "true"))
			}
			args := append([]string{"-q", "-f"}, strings.Fields(c.args)...)
			volumetest.RunTool(t, "btrfs-progs", "mkfs.btrfs", append(args, paths...)...)
			loops := make([]string, devices)
			for i, p := range paths {
				loops[i] = strings.TrimSpace(volumetest.RunTool(t, "mount", "losetup", "--find", "--show", p))
				t.Cleanup(func() { volumetest.RunTool(t, "mount", "losetup", "-d", loops[i]) })
			}
			dir := t.TempDir()
			want, files := map[string][]byte{}, 40
			volumetest.RunTool(t, "btrfs-progs", "btrfs", append([]string{"device", "scan"}, loops...)...)
			volumetest.RunTool(t, "mount", "mount", "-o", "max_inline=0", loops[0], dir)
			for i := range files {
				name := fmt.Sprintf("f%d", i)
				want[name] = volumetest.Content(150000, uint64(i))
				volumetest.Write(t, dir, name, want[name])
			}
			volumetest.RunTool(t, "mount", "umount", dir)
			volumetest.RunTool(t, "btrfs-progs", "btrfs", append([]string{"device", "scan", "--forget"}, loops...)...)
			got, read, whole := 0, 0, true
			for _, p := range paths {
				v, err := Open(volumetest.Load(t, p))
				if err != nil || v.Facts().WholeReason == "" {
					t.Fatal(v, err)
				}
				if v.Files() == nil { // all of its trees are elsewhere
					whole = false
					continue
				}
				for name, want := range want {
					n, b := readSome(t, v.Files(), name, len(want))
					read += n
					if n > 0 {
						got++
					}
					for k, c := range b {
						if c != nil && !bytes.Equal(c, want[k*4096:min(len(want), (k+1)*4096)]) {
							t.Errorf("%s differs in sector %d", name, k)
						}
					}
				}
			}
			total := files * 150000
			switch parity := strings.Contains(c.args, "raid5"); {
			case c.all && (read != total*devices || !whole), parity && read > 0, !c.all && !parity && (read < total/2 || read >= total*devices):
				t.Errorf("%d bytes of %d files were read, of %d on %d devices", read, got, total, devices)
			}
		})
	}
}

// readSome reads each sector of a file, and gives those that are there.
func readSome(t testing.TB, tree *Tree, name string, size int) (n int, out [][]byte) {
	t.Helper()
	info, err := tree.Lstat(name)
	if err != nil {
		return 0, nil
	}
	for off := 0; off < size; off += 4096 {
		b := make([]byte, min(4096, size-off))
		if _, err := info.Sys().(Node).i.Contents().ReadAt(b, int64(off)); err != nil {
			if !strings.Contains(err.Error(), "another device") && !strings.Contains(err.Error(), "not read here") {
				t.Errorf("%s: %v", name, err)
			}
			b = nil
		}
		n += len(b)
		out = append(out, b)
	}
	return n, out
}
