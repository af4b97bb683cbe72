package exfat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"ingot/internal/filesys/volumetest"
)

// TestGeometries has the driver fill volumes of all kinds, and compares.
func TestGeometries(t *testing.T) {
	for _, c := range []struct {
		name string
		size int64
		args []string
		fill func(t testing.TB, dir string)
	}{
		{"empty", 8 << 20, nil, func(testing.TB, string) {}},
		{"small clusters", 24<<20 + 512*7, []string{"-c", "512"}, some(60, 5000)},
		{"4K", 64 << 20, []string{"-c", "4K"}, some(60, 30000)},
		{"32K", 128 << 20, []string{"-c", "32K"}, some(40, 100_000)},
		{"1M", 256<<20 + 300_032, []string{"-c", "1M"}, some(12, 900_000)},
		{"packed bitmap", 64 << 20, []string{"--pack-bitmap", "-c", "8K"}, some(20, 9000)},
		{"many small files", 32 << 20, []string{"-c", "4K"}, func(t testing.TB, dir string) {
			for i := range 1500 {
				volumetest.Write(t, dir, fmt.Sprintf("folder %d/file of some length %d", i%3, i), content(i%900, i))
			}
		}},
		{"near full", 16 << 20, []string{"-c", "4K"}, nearFull},
		{"huge", 160 << 20, []string{"-c", "128K"}, func(t testing.TB, dir string) {
			volumetest.Write(t, dir, "huge", content(100<<20, 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := makeVolume(t, c.size, c.args...)
			mount(t, path, func(dir string) { c.fill(t, dir) })
			checkAgainstTools(t, path)
		})
	}
}

func some(files, size int) func(t testing.TB, dir string) {
	return func(t testing.TB, dir string) { fill(t, dir, files, size) }
}

// TestFolderInPieces has a folder grow among files: its clusters are chained.
func TestFolderInPieces(t *testing.T) {
	path := makeVolume(t, 16<<20, "-c", "512")
	mount(t, path, func(dir string) {
		for i := range 300 {
			volumetest.Write(t, dir, fmt.Sprintf("grows/file %d", i), content(700, i))
		}
	})
	v := open(t, volumetest.Load(t, path))
	runs := 0
	for _, err := range find(t, v, "grows").Extents() {
		if runs++; err != nil {
			t.Fatal(err)
		}
	}
	if list, err := v.Files().ReadDir("grows"); len(list) != 300 || err != nil || runs < 20 || find(t, v, "grows").file.row {
		t.Errorf("%d files, %v, in %d pieces", len(list), err, runs)
	}
}

// nearFull writes until there is no room.
func nearFull(t testing.TB, dir string) {
	for i := 0; ; i++ {
		err := os.WriteFile(filepath.Join(dir, fmt.Sprint("file ", i)), content(100_000+i, i), 0o644)
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err != nil || i > 1000 {
			t.Fatal(i, err)
		}
		if i%5 == 4 {
			_ = os.Remove(filepath.Join(dir, fmt.Sprint("file ", i-2)))
		}
	}
}

// checkAgainstTools compares a volume with what the tools and the driver say of
// it, and of a copy of its used bytes.
func checkAgainstTools(t *testing.T, path string) {
	t.Helper()
	src := volumetest.Load(t, path)
	v := open(t, src)
	f := v.Facts()
	if want := free(t, path); f.FreeClusters != want || f.Label != "Gußeisen" || len(f.Serial) != 8 {
		t.Errorf("dump.exfat says %d free clusters; %+v", want, f)
	}
	if len(f.Warnings) > 0 {
		t.Errorf("warnings: %q", f.Warnings)
	}
	volumetest.InUse(t, v.Files(), v.Used())
	copied := castOver(t, v, src)
	again := copied.Save(t)
	clean(t, path)
	clean(t, again)
	mount(t, again, func(dir string) {
		volumetest.SameTree(t, v.Files(), dir)
		volumetest.SameTree(t, open(t, copied).Files(), dir)
	})
}

// TestFS runs the standard library's test of a fs.FS.
func TestFS(t *testing.T) {
	d := filled(t, 32<<20, 30, 3000)
	if err := fstest.TestFS(open(t, d).Files(), "EFI/Microsoft/Boot/BCD", "日本語/ファイル.txt", "empty folder"); err != nil {
		t.Error(err)
	}
}

func TestContains(t *testing.T) {
	v := open(t, filled(t, 32<<20, 3, 3000))
	for path, want := range map[string]bool{
		"": true, `\`: true, `\efi\MICROSOFT\boot\bcd`: true, "/EFI/Microsoft/Boot/BCD": true, `\EFI\Microsoft\Boot\BC`: false,
		`EFI\Microsoft\Boot\BCD\x`: false, "wörter/STRAßE UND öL.TEXT": true, "日本語": true, "Gußeisen": false, "empty FOLDER": true,
		"a/../b": false,
	} {
		if got, err := v.Contains(path); err != nil || got != want {
			t.Errorf("Contains(%q) = %v, %v", path, got, err)
		}
	}
	for name := range strings.SplitSeq("turns 0,TURNS 1,long/"+strings.Repeat("Ä", 127), ",") {
		if _, err := v.Files().Stat(name); err != nil {
			t.Error(err)
		}
	}
}
