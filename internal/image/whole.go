package image

import (
	"ingot/internal/block"
	"ingot/internal/disk"
)

// Whole is the disk put together: its table, and its partitions in their places.
// What the image does not hold reads as zeros and is not in the map of the used.
func (d *ChainDisk) Whole() (*disk.Assembled, error) {
	return d.WholeOf(func(v *Volume) block.Reader { return v })
}

// WholeOf is Whole with each partition read through what read makes of it, such as
// a cache.
func (d *ChainDisk) WholeOf(read func(v *Volume) block.Reader) (*disk.Assembled, error) {
	var contents []disk.Content
	for _, v := range d.Partitions {
		contents = append(contents, disk.Content{Off: v.Doc.Geometry.Start, Reader: read(v), Used: v.Stored()})
	}
	return d.Layout.Assemble(contents...)
}
