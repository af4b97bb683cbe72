package xfs

import (
	"os"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// file is a volume in a file, which can be larger than memory.
type file struct{ *os.File }

// Size implements block.Reader.
func (f file) Size() int64 {
	fi, err := f.Stat()
	if err != nil {
		return 0
	}
	return fi.Size()
}

// BenchmarkMap opens an empty volume of 1 TiB with many allocation groups and
// walks its map.
func BenchmarkMap(b *testing.B) {
	f, err := os.Open(makeVolume(b, 1<<40, "-d", "agcount=1000"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ReportAllocs()
	for b.Loop() {
		v := open(b, file{f})
		if n, err := block.Bytes(v.Used()); err != nil || n > 20<<30 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkFragmentedMap is for trees of three levels.
func BenchmarkFragmentedMap(b *testing.B) {
	path := makeVolume(b, 60<<20, "-b", "size=1024", "-d", "agcount=1", "-i", "maxpct=90")
	volumetest.LoopMounted(b, path, "rw", func(dir string) { fragment(b, dir) })
	d := volumetest.Load(b, path)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := block.Bytes(open(b, d).Used()); err != nil {
			b.Fatal(err)
		}
	}
}
