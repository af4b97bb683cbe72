// Package fatchain follows the chains of clusters of the FAT family: FAT12, FAT16,
// FAT32 and exFAT, whose tables are alike but for the width of their entries.
//
// It owns the reading of single entries, by way of a small cache, the walk
// along a chain, and the reading of what lies in its clusters. A Chain is walked
// in runs of neighbouring clusters and is never held in memory; for reading at
// any place of a long one, every 1024th cluster is remembered.
//
// A chain that leaves the volume, goes round, or ends before it should is an
// error when the walk comes there. The package does not know which clusters are
// in use, and does not see that two chains meet.
package fatchain
