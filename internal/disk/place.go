package disk

// Place is where a folder lies.
type Place struct {
	Mount  string // the mount point above it, "/" or `D:\`
	Device string // block device of the file system (Windows: the name of the volume), "" where it has none, as of a share
	FSType string // in the words of the system: ext4, vfat, cifs, NTFS
	Volume string // UUID of the file system (Linux), GUID of the volume (Windows); "" when it is not known
	Serial string // Windows: serial number of the volume as eight hex digits; Linux: ""
	// Disks are the whole disks below it: several of a file system upon
	// several. None for shares and file systems in memory.
	Disks []Info
	// System says that the running system lies on one of these disks, or that
	// they hold swap space: they cannot be taken away.
	System bool
	// Mounts are all mount points upon these disks.
	Mounts []string
	// Stacked says that something stands between a disk and the file system:
	// LVM, LUKS, RAID.
	Stacked bool
}

// External says whether a disk can be pulled out of the running machine: USB,
// memory cards, what the kernel calls removable, and disk-image files.
func (i Info) External() bool {
	switch i.Bus {
	case "usb", "sd", "mmc", "loop", "1394", "file":
		return true
	}
	return i.Removable
}
