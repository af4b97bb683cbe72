// Package winimage makes one disk of a Windows system image: of the virtual disks
// of its volumes, each in a disk of its own, and a partition table.
//
// Open opens the virtual disks of a backup and finds the one volume of each. Draw
// says where they may have lain: each volume of NTFS or FAT keeps the sector it
// begins at, and its length is known; where that does not fit together they are
// put one behind the other. Assemble puts the volumes into the partitions of a
// layout, that of Draw or one that somebody kept.
//
// The folder holds neither the table of the disk nor its identity in a documented
// form, so what is drawn has a new one: a system that is restored may need its
// boot files told where it is now. Assemble says which volumes found no place.
package winimage
