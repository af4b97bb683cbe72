package main

import (
	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/plan"
)

// locatePartitions adds where the partitions of a source lie, as the image knows
// it, to their numbers, which are those of the image.
func locatePartitions(s *plan.Source, cd *image.ChainDisk) {
	for i := range s.Partitions {
		for _, vol := range cd.Partitions {
			if int(vol.Doc.Header.Number) != s.Partitions[i].Number {
				continue
			}
			id := plan.PartitionID{Off: vol.Doc.Geometry.Start, Label: plainText(vol.Doc.FileSystem.VolumeLabel)}
			if p, ok := partitionAt(cd.Layout, id.Off); ok {
				id = partitionID(p, id.Label)
			}
			if id.Off > 0 {
				s.Partitions[i] = id
			}
		}
	}
}

// blockSection is the part of a disk that a partition is.
func blockSection(r block.Reader, p disk.Partition) (block.Reader, error) {
	return block.Section(r, p.Off, p.Len)
}
