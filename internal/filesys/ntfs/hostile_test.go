package ntfs

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
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
	_, _ = v.Contains(`\$Extend\$Reparse`)
	_, _ = v.Contains(`\folder\f79`)
	_ = v.Unneeded()
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
}

// seed is a small volume with a folder large enough for index blocks.
func seed(t testing.TB) disk {
	t.Helper()
	path := makeVolume(t, 3<<20, "-c", "512")
	mounted(t, path, "rw", func(dir string) {
		makeDir(t, dir+"/folder")
		writeFile(t, dir+"/pagefile.sys", content(9000, 1))
		for i := range 80 {
			writeFile(t, dir+"/folder/f"+strconv.Itoa(i), nil)
		}
	})
	return volumetest.Load(t, path)
}

// hotAreas are the bytes that Open and Contains read: boot sector, records,
// restart pages, bitmap and the index of the folder.
func hotAreas(t testing.TB, d disk) []block.Extent {
	t.Helper()
	v := open(t, d)
	ref, found, err := v.lookup("folder")
	if err != nil || !found {
		t.Fatal(err, found)
	}
	folder, err := v.mft.byReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	index, err := v.mft.open(folder, typeIndexAllocation, folderIndex)
	if err != nil {
		t.Fatal(err)
	}
	bits, err := v.systemData(recBitmap, "$Bitmap")
	if err != nil {
		t.Fatal(err)
	}
	mft := v.boot.MFT * v.boot.ClusterSize
	out := []block.Extent{
		{Off: 0, Len: 84}, {Off: mft, Len: 12 * 1024}, {Off: mft, Len: 1024}, {Off: mft + 6*1024, Len: 1024},
		{Off: mft + folder.number*1024, Len: 1024}, bits.extents()[0],
	}
	return append(out, index.extents()...)
}

func TestTruncations(t *testing.T) {
	d := seed(t)
	for n := 0; n < len(d); n += 509 {
		exercise(t, d[:n])
	}
	exercise(t, d)
}

// TestFlips flips one to eight bits of what is read, many times over.
func TestFlips(t *testing.T) {
	d := seed(t)
	hot := hotAreas(t, d)
	rng := rand.New(rand.NewPCG(3, 9))
	for range 12000 {
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
		for at, b := range undo {
			d[at] = b
		}
	}
}

// FuzzNTFS writes 5-byte patches (place in the hot areas, byte) on a volume.
func FuzzNTFS(f *testing.F) {
	d := seed(f)
	var places []int64
	for _, e := range hotAreas(f, d) {
		for i := range e.Len {
			places = append(places, e.Off+i)
		}
	}
	f.Add([]byte{13, 0, 0, 0, 0xf4})
	f.Add([]byte{64, 0, 0, 0, 0x80, 40, 0, 0, 0, 0xff})
	f.Fuzz(func(t *testing.T, patches []byte) {
		c := disk(bytes.Clone(d))
		for ; len(patches) >= 5; patches = patches[5:] {
			c[places[int(binary.LittleEndian.Uint32(patches))%len(places)]] = patches[4]
		}
		exercise(t, c)
	})
}

// FuzzRecord gives bytes to each parser of them; the seeds are records, index
// blocks and a boot sector that mkntfs and ntfs-3g made.
func FuzzRecord(f *testing.F) {
	d := seed(f)
	f.Add([]byte(d[:512]))
	for _, e := range hotAreas(f, d)[2:] {
		for off := e.Off; off < e.End(); off += 1024 {
			f.Add([]byte(d[off : off+1024]))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseBoot(b)
		_, _ = parseList(b)
		_, _ = (&index{check: checkName}).entries(b)
		if len(b) >= fixupStride {
			parseRestart(b)
		}
		_ = fixup(bytes.Clone(b), "INDX")
		rec, err := parseRecord(bytes.Clone(b), 0)
		if err != nil {
			return
		}
		for _, a := range rec.attrs {
			runs, _ := decodeRuns(nil, a.pairs, 1<<32)
			for _, r := range runs {
				if r.lcn < sparse || r.n <= 0 || r.lcn+r.n > 1<<32 && r.lcn != sparse {
					t.Fatalf("run %+v", r)
				}
			}
		}
	})
}
