package ext

import (
	"os"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// image is a volume in a file.
type image struct {
	*os.File
	size int64
}

func (f image) Size() int64 { return f.size }

// BenchmarkMap opens a sparse volume of 1 TiB and walks its map.
func BenchmarkMap(b *testing.B) {
	for _, args := range []string{"-t ext4", "-t ext2", "-t ext4 -b 1024"} {
		b.Run(args, func(b *testing.B) {
			const size = 1 << 40
			f, err := os.Open(volumetest.Make(b, size, "e2fsprogs", "mke2fs", append(strings.Fields(args), "-q", "-F", "-N", "1048576")...))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.ReportAllocs()
			for b.Loop() {
				v := open(b, image{f, size})
				n, err := block.Bytes(v.Used())
				if err != nil || n != v.Facts().UsedBytes {
					b.Fatal(n, err)
				}
			}
		})
	}
}
