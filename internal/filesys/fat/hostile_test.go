package fat

import (
	"encoding/binary"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// exercise does all there is to do with a volume; what comes out does not
// matter as long as it comes out soon, and the map keeps its promises.
func exercise(t testing.TB, r block.Reader) {
	t.Helper()
	start := time.Now()
	v, err := Open(r)
	if err != nil {
		return
	}
	end := int64(-1)
	for e, err := range v.Used().Extents() {
		if err != nil {
			t.Fatalf("a map that was proven: %v", err)
		}
		if e.Len <= 0 || e.Off <= end || e.End() > r.Size() {
			t.Fatalf("extent %v behind %d on %d bytes", e, end, r.Size())
		}
		end = e.End()
	}
	_, _ = v.Contains(`\EFI\Microsoft\Boot\BCD`)
	_, _ = v.Contains(`\many\none`)
	walk(t, v.Files())
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
}

// nothingLost copies the used bytes of a damaged volume over garbage: what could
// be read before can be read from the copy.
func nothingLost(t testing.TB, d disk) {
	t.Helper()
	v, err := Open(d)
	if err != nil || v.Facts().WholeReason != "" {
		return
	}
	again, err := Open(castOver(t, v, d))
	if err != nil {
		t.Fatal(err)
	}
	volumetest.NothingLost(t, v.Files(), again.Files())
}

// walk goes through some of a tree.
func walk(t testing.TB, tree fs.FS) {
	t.Helper()
	files := 0
	_ = fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if files++; err != nil || files > 200 {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		for range info.Sys().(*node).Extents() {
			_ = path
		}
		f, err := tree.Open(path)
		if err != nil || d.IsDir() {
			return nil
		}
		_, _ = io.CopyN(io.Discard, f, 20000)
		_, _ = f.(io.ReaderAt).ReadAt(make([]byte, 100), info.Size()-50)
		return nil
	})
}

// seeds are the smallest volumes of each kind that mtools can write.
func seeds(t testing.TB) []disk {
	t.Helper()
	var out []disk
	for i, size := range []int64{1 << 20, 3 << 20, 36 << 20} {
		kind := []string{"12", "16", "32"}[i]
		path := makeVolume(t, size, "-F", kind, "-s", "1")
		fillSome(t, path, 6, 700)
		out = append(out, volumetest.Load(t, path))
	}
	return out
}

// hotAreas are the bytes that Open and Contains read.
func hotAreas(d disk) []block.Extent {
	b, err := ParseBoot(d[:BootSize])
	if err != nil {
		panic(err)
	}
	return []block.Extent{
		{Off: 0, Len: 90}, {Off: b.FATOffset, Len: 200}, {Off: b.FATOffset, Len: b.tableBytes()},
		{Off: b.FATOffset + b.FATSize, Len: b.tableBytes()}, {Off: b.RootOffset, Len: 8192}, {Off: b.FSInfo, Len: 512},
	}
}

func TestTruncations(t *testing.T) {
	for _, d := range seeds(t) {
		for n := 0; n < len(d); n += 1021 {
			exercise(t, d[:n])
		}
		exercise(t, d)
	}
}

// TestFlips flips one to eight bits of what is read, many times over.
func TestFlips(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	for _, d := range seeds(t) {
		hot := hotAreas(d)
		for turn := range 3000 {
			undo := map[int64]byte{}
			for range 1 << rng.IntN(4) {
				e := hot[rng.IntN(len(hot))]
				at := e.Off + rng.Int64N(e.Len)
				if _, ok := undo[at]; !ok {
					undo[at] = d[at]
				}
				d[at] ^= 1 << rng.IntN(8)
			}
			exercise(t, d)
			if turn%20 == 0 {
				nothingLost(t, d)
			}
			for at, b := range undo {
				d[at] = b
			}
		}
	}
}

// FuzzFAT writes 5-byte patches (place in the hot areas, byte) on one of the
// volumes.
func FuzzFAT(f *testing.F) {
	volumes := seeds(f)
	var places [3][]int64
	for i, d := range volumes {
		for _, e := range hotAreas(d) {
			for k := range e.Len {
				places[i] = append(places[i], e.Off+k)
			}
		}
	}
	f.Add(uint8(0), []byte{13, 0, 0, 0, 8})
	f.Add(uint8(1), []byte{22, 0, 0, 0, 1})
	f.Add(uint8(2), []byte{44, 0, 0, 0, 3, 40, 0, 0, 0, 0x81})
	f.Fuzz(func(t *testing.T, which uint8, patches []byte) {
		d, at := volumes[which%3], places[which%3]
		undo := map[int64]byte{}
		for ; len(patches) >= 5; patches = patches[5:] {
			i := at[int(binary.LittleEndian.Uint32(patches))%len(at)]
			if _, ok := undo[i]; !ok {
				undo[i] = d[i]
			}
			d[i] = patches[4]
		}
		exercise(t, d)
		for i, b := range undo {
			d[i] = b
		}
	})
}

// FuzzBytes gives bytes to the parsers of them.
func FuzzBytes(f *testing.F) {
	for _, d := range seeds(f) {
		f.Add([]byte(d[:512]))
		for _, e := range hotAreas(d)[4:] {
			f.Add([]byte(d[e.Off:e.End()]))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if boot, err := ParseBoot(b); err == nil && (boot.DataStart <= 0 || boot.tableBytes() > boot.FATSize || boot.DataStart+boot.TotalClusters*boot.ClusterSize > boot.Size) {
			t.Fatalf("%+v", boot)
		}
		var p dirParser
		for ; len(b) >= entrySize; b = b[entrySize:] {
			if e, ok := p.add(b[:entrySize]); ok && (len(e.long) > 3*20*13 || len(e.short) > 3*12) {
				t.Fatalf("%+v", e)
			}
		}
	})
}
