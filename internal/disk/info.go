package disk

import "errors"

// Info describes a disk of this machine or a disk-image file. Texts the
// hardware does not give are "".
type Info struct {
	Path string // to open it by

	// Number is N of \\.\PhysicalDriveN on Windows, and on Linux the place
	// in what List gives, from 0; 0 for files and partitions.
	Number int

	ByID []string // lasting names, as of /dev/disk/by-id, in order

	Vendor, Model, Serial, Revision string

	// Bus is how the disk is attached, in lower case: sata, nvme, usb, scsi,
	// virtio, sd, ... or dm, md, loop, and file for a regular file; for what
	// the device mapper makes lvm, crypt, mpath where its maker is known.
	Bus string

	Removable, ReadOnly bool

	Size                          int64 // bytes
	LogicalSector, PhysicalSector int64 // bytes
}

// Use is one thing that uses a disk or a part of it now.
type Use struct {
	Device   string // the disk, partition or device upon it that is used
	Kind     string // mount, swap or holder
	Where    string // the mount point (Windows: or volume), or the device that holds it
	Writable bool   // what uses it can write to it
	Off      int64  // byte offset on the disk of the partition concerned, 0 for the whole disk
}

// The kinds of Use.
const (
	UseMount  = "mount"
	UseSwap   = "swap"
	UseHolder = "holder" // a device-mapper, md or multi-device file system
)

// ErrInUse is wrapped by the error of OpenTarget for a disk that something
// uses. The message names each use.
var ErrInUse = errors.New("in use")
