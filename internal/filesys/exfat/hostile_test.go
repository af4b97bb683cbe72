package exfat

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

// hotAreas are the bytes that Open and Files read.
func hotAreas(t testing.TB, d disk) []block.Extent {
	t.Helper()
	v := open(t, d)
	out := []block.Extent{{Off: 64, Len: 56}, {Off: 11 * 512, Len: 8}, {Off: 12*512 + 64, Len: 56}, {Off: v.boot.FATOffset, Len: 600}}
	for _, cluster := range []int64{
		v.sys.bitmaps[0].first, v.boot.RootCluster, v.boot.RootCluster, v.boot.RootCluster,
		find(t, v, "many").file.first, find(t, v, "EFI/Microsoft").file.first, find(t, v, "deep").file.first,
	} {
		out = append(out, block.Extent{Off: v.space.Offset(cluster), Len: 512})
	}
	return append(out, block.Extent{Off: v.space.Offset(v.sys.upcase.first), Len: 512})
}

func seed(t testing.TB) disk {
	t.Helper()
	return filled(t, 3<<20, 4, 3000, "-c", "1K")
}

func TestTruncations(t *testing.T) {
	d := seed(t)
	for n := 0; n < len(d); n += 4093 {
		exercise(t, d[:n])
	}
	exercise(t, d)
}

// TestFlips flips one to eight bits of what is read, many times over; in every
// second turn the boot regions stay whole.
func TestFlips(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	d := seed(t)
	hot := hotAreas(t, d)
	for turn := range 4000 {
		undo := map[int64]byte{}
		for range 1 << rng.IntN(4) {
			e := hot[rng.IntN(len(hot))]
			if turn%2 == 0 {
				e = hot[3+rng.IntN(len(hot)-3)]
			}
			at := e.Off + rng.Int64N(e.Len)
			if _, ok := undo[at]; !ok {
				undo[at] = d[at]
			}
			d[at] ^= 1 << rng.IntN(8)
		}
		mend(d, hot, turn)
		exercise(t, d)
		if turn%8 < 2 {
			nothingLost(t, d)
		}
		for at, b := range undo {
			d[at] = b
		}
		mend(d, hot, 0)
	}
}

// mend gives the sets of the folders their checksums again, so that what lies
// behind a checksum is damaged too; turn 1 of 3 leaves them wrong.
func mend(d disk, hot []block.Extent, turn int) {
	if turn%3 == 1 {
		return
	}
	for _, e := range hot[5 : len(hot)-1] {
		for b := d[e.Off:][:1024]; len(b) >= entrySize; b = b[entrySize:] {
			if n := entrySize * (1 + int(b[1])); b[0] == typeFile && n <= len(b) {
				binary.LittleEndian.PutUint16(b[2:], setSum(b[:n]))
			}
		}
	}
}

// FuzzExFAT writes 5-byte patches (place in the hot areas, byte) on a volume.
func FuzzExFAT(f *testing.F) {
	d := seed(f)
	hot := hotAreas(f, d)
	var places []int64
	for _, e := range hot {
		for k := range e.Len {
			places = append(places, e.Off+k)
		}
	}
	f.Add(byte(0), []byte{13, 0, 0, 0, 8})
	f.Add(byte(1), []byte{100, 2, 0, 0, 1, 40, 0, 0, 0, 0x81})
	f.Fuzz(func(t *testing.T, turn byte, patches []byte) {
		undo := map[int64]byte{}
		for ; len(patches) >= 5; patches = patches[5:] {
			i := places[int(binary.LittleEndian.Uint32(patches))%len(places)]
			if _, ok := undo[i]; !ok {
				undo[i] = d[i]
			}
			d[i] = patches[4]
		}
		mend(d, hot, int(turn))
		exercise(t, d)
		for i, b := range undo {
			d[i] = b
		}
		mend(d, hot, 0)
	})
}

// FuzzBytes gives bytes to the parsers of them.
func FuzzBytes(f *testing.F) {
	d := seed(f)
	f.Add([]byte(d[:512]))
	for _, e := range hotAreas(f, d)[4:] {
		f.Add([]byte(d[e.Off:e.End()]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if boot, err := ParseBoot(b); err == nil && (boot.heapEnd() > boot.Size || boot.DataStart <= boot.FATOffset || boot.FATSize < 4*(boot.TotalClusters+2)) {
			t.Fatalf("%+v", boot)
		}
		_, _ = parseUpcase(b)
		if file, err := parseFile(b); err == nil && (len(file.name) == 0 || len(file.name) > 255 || file.valid > file.size || file.size < 0) {
			t.Fatalf("%+v", file)
		}
	})
}
