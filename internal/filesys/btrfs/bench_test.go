package btrfs

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

// BenchmarkMap opens a volume of 1 TiB on which 600 GiB are allocated, and
// walks its map.
func BenchmarkMap(b *testing.B) {
	path := makeVolume(b, 1<<40)
	volumetest.LoopMounted(b, path, "rw", func(dir string) {
		volumetest.Churn(b, dir, 1, 20<<20)
		volumetest.RunTool(b, "util-linux", "fallocate", "-l", "600G", dir+"/large")
	})
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ReportAllocs()
	for b.Loop() {
		v := open(b, file{f})
		if n, err := block.Bytes(v.Used()); err != nil || n < 600<<30 {
			b.Fatal(n, err)
		}
	}
}
