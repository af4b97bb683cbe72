// Package diskmap says where the partitions of a disk are drawn on a lane.
//
// In words: Layout puts the parts of a disk in the order of their offsets, adds
// the gaps between them, gives each the width that its name needs and shares
// the rest of the lane out by size. So a small partition can be read and a large
// one still looks large; what is drawn much wider than to scale says so.
//
// What it does not promise: to draw. The console makes SVG of the segments, the
// terminal cells.
package diskmap
