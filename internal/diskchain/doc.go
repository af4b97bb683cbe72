// Package diskchain is what the formats of virtual disks share that stand on
// each other: where the parent of a file may lie and how it is opened, and
// bitmaps that say which sectors a file holds itself.
//
// It knows no format, and opens nothing itself: the formats ask an Opener, which
// their caller gives.
package diskchain
