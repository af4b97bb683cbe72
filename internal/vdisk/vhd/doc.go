// Package vhd reads and writes virtual disks of the VHD format (Virtual Hard
// Disk Image Format Specification 1.0): fixed, dynamic and differencing ones,
// with their parents.
//
// Open finds the footer at the end of the file, or where that is torn its copy
// at the start, reads the header and the table of blocks, and opens the parents.
// A Disk is a block.Reader of the virtual disk; Used is the map of what the file
// or its parents hold, and all bytes outside of it read as zeros.
//
// Write makes a dynamic or fixed disk of a block.Reader and a map of what matters
// in it: pieces of up to a mebibyte are read by several goroutines and written in
// their order. The footer comes last.
//
// What it does not promise: the bitmaps of dynamic disks are not looked at, the
// bytes of a block that has a place are given as they are; saved states of
// virtual machines are not applied; differencing disks are read only.
package vhd
