package ntfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// fillSome writes files of several kinds and removes some of them again, so
// that the volume has free places between used ones.
func fillSome(t *testing.T, dir string, files, size int) {
	t.Helper()
	for _, d := range []string{"EFI/Microsoft/Boot", "Wörter"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range files {
		write("f"+strconv.Itoa(i), content(size+i*37%size, uint64(i)))
	}
	for i := 0; i < files; i += 3 {
		if err := os.Remove(filepath.Join(dir, "f"+strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	write("EFI/Microsoft/Boot/BCD", content(9000, 1))
	write("Wörter/Straße und Öl.txt", content(700, 2))
	write("zeros", make([]byte, size))
}

func TestGeometries(t *testing.T) {
	for _, c := range []struct {
		cluster, sector, size int64
	}{
		{512, 512, 16 << 20}, {1024, 256, 16 << 20}, {4096, 512, 20<<20 + 1536}, {4096, 4096, 32 << 20}, {65536, 512, 40<<20 + 512*77},
		{131072, 512, 48 << 20}, {2 << 20, 512, 128<<20 + 512*5}, {65536, 4096, 64 << 20},
	} {
		t.Run(fmt.Sprintf("cluster %d sector %d", c.cluster, c.sector), func(t *testing.T) {
			path := makeVolume(t, c.size, "-c", strconv.FormatInt(c.cluster, 10), "-s", strconv.FormatInt(c.sector, 10))
			mounted(t, path, "rw", func(dir string) { fillSome(t, dir, 30, 20000) })
			v := checkAgainstTools(t, path)
			wantContains(t, v, map[string]bool{
				"": true, `\`: true, `\EFI\Microsoft\Boot\BCD`: true, "/efi/MICROSOFT/boot/bcd": true, "F1": true, "f0": false,
				`WÖRTER\straße UND öl.TXT`: true, `EFI\Microsoft\Boot\BCD\x`: false, `EFI\none\BCD`: false, "$mft": true, `$Extend\$ObjId`: true,
			})
		})
	}
}

func wantContains(t *testing.T, v *Volume, want map[string]bool) {
	t.Helper()
	for path, want := range want {
		if got, err := v.Contains(path); err != nil || got != want {
			t.Errorf("Contains(%q) = %v, %v", path, got, err)
		}
	}
}

// fragment fills a volume with small files, removes each second one, and makes
// empty files until no space is left: their MFT records go into the gaps.
func fragment(t *testing.T, dir string) (full, empty int) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	name := func(kind string, i int) string { return filepath.Join(dir, "d", kind+strconv.Itoa(i)) }
	data := content(1500, 3)
	for ; ; full++ {
		if err := os.WriteFile(name("f", full), data, 0o644); err != nil {
			break
		}
	}
	_ = os.Remove(name("f", full))
	for i := 0; i < full; i += 2 {
		if err := os.Remove(name("f", i)); err != nil {
			t.Fatal(err)
		}
	}
	for ; ; empty++ {
		if err := os.WriteFile(name("e", empty), nil, 0o644); err != nil {
			break
		}
	}
	for i := 1; i < full; i += 10 { // some free space for a later mount
		_ = os.Remove(name("f", i))
	}
	return full, empty
}

// TestFragmentedMFT proves that the run list of $MFT is found through an
// attribute list that ntfs-3g made, and the index of a large folder as well.
func TestFragmentedMFT(t *testing.T) {
	path := makeVolume(t, 12<<20, "-c", "512")
	var full, empty int
	mounted(t, path, "rw", func(dir string) { full, empty = fragment(t, dir) })
	v := checkAgainstTools(t, path)
	rec, err := v.mft.record(recMFT)
	if err != nil {
		t.Fatal(err)
	}
	if !hasList(rec) || len(v.mft.data.runs) < 200 {
		t.Fatalf("the volume is no test: %d runs, attribute list %v", len(v.mft.data.runs), hasList(rec))
	}
	wantContains(t, v, map[string]bool{
		"D/F3": true, "d/f0": false, fmt.Sprintf("d/e%d", empty-1): true, fmt.Sprintf("d/f%d", full+1): false, "d/e0/x": false,
	})
}

func hasList(rec record) bool {
	for _, a := range rec.attrs {
		if a.typ == typeAttributeList {
			return true
		}
	}
	return false
}

func TestChangeDuringWalk(t *testing.T) {
	d := volumetest.Load(t, makeVolume(t, 8<<20, "-c", "4096"))
	v := open(t, d)
	d[v.mustBitmap(t)+100] ^= 1
	var err error
	for _, err = range v.Used().Extents() {
	}
	if err == nil || !strings.Contains(err.Error(), "source is changing") {
		t.Errorf("a changed bitmap gave %v", err)
	}
}

// mustBitmap is the byte offset of $Bitmap, in one run on a fresh volume.
func (v *Volume) mustBitmap(t testing.TB) int64 {
	t.Helper()
	s, err := v.systemData(recBitmap, "$Bitmap")
	if err != nil || len(s.runs) != 1 {
		t.Fatal(err, s)
	}
	return s.runs[0].lcn * s.clusterSize
}
